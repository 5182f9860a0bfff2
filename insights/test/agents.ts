import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

type Answer = (request: IncomingMessage, response: ServerResponse) => void

/** Agents of sidecars: one HTTP server on all loopback addresses, that answers each address as it is told. */
export class Agents {
  readonly port: number
  readonly #answers = new Map<string, Answer>()
  readonly #close: () => Promise<void>
  /** How many requests are being answered now, and how many at most at once. */
  now = 0
  most = 0
  /** Addresses that were asked, in order. */
  readonly asked: string[] = []

  private constructor(port: number, close: () => Promise<void>) {
    this.port = port
    this.#close = close
  }

  static async start(): Promise<Agents> {
    const server = createServer((request, response) => agents.#answer(request, response))
    await new Promise<void>(resolve => server.listen(0, '0.0.0.0', resolve))
    const close = () =>
      new Promise<void>(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    const agents = new Agents((server.address() as AddressInfo).port, close)
    return agents
  }

  /** What the agent at an address of 127.0.0.0/8 answers from now on: metrics, or anything. */
  serve(address: string, answer: string | (() => string) | Answer): void {
    this.#answers.set(address, (request, response) => {
      if (typeof answer === 'string') response.end(answer)
      else if (answer.length === 0) response.end((answer as () => string)())
      else answer(request, response)
    })
  }

  close(): Promise<void> {
    return this.#close()
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const address = request.socket.localAddress ?? ''
    this.asked.push(address)
    this.now++
    this.most = Math.max(this.most, this.now)
    response.on('close', () => this.now--)
    const answer = this.#answers.get(address)
    if (answer) answer(request, response)
    else response.writeHead(404).end()
  }
}
