import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a backend saw of a request: the body of its answer. */
export interface Seen {
  readonly backend: string
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

/** Headers by which a request tells its backend what to do. */
const ASK = {
  id: 'x-id',
  status: 'x-status',
  failFirst: 'x-fail-first',
  delay: 'x-delay-ms',
  close: 'x-close',
}

/**
 * Servers on loopback addresses, told apart by them. They answer with what they saw, and do as requests tell them:
 * `x-status`, `x-fail-first` (so many of an `x-id` fail with the status, or 503), `x-delay-ms`, `x-close`.
 */
export class EchoBackends {
  readonly #names: ReadonlyMap<string, string>
  readonly #server: Server
  readonly #arrivals = new Map<string, Map<string, number>>()

  /** `names` by address. */
  constructor(names: ReadonlyMap<string, string>) {
    this.#names = names
    this.#server = createServer((request, response) => this.#answer(request, response))
  }

  /** Listens on all of loopback. @returns the port. */
  async start(): Promise<number> {
    await new Promise<void>(resolve => this.#server.listen(0, '0.0.0.0', resolve))
    return (this.#server.address() as AddressInfo).port
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }

  /** How many requests with an id each backend has seen. */
  arrivals(id: string): Record<string, number> {
    return Object.fromEntries(this.#arrivals.get(id) ?? [])
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    request.resume()
    const backend = this.#names.get(request.socket.localAddress ?? '') ?? 'nobody'
    const header = (name: string) => String(request.headers[name] ?? '')
    const id = header(ASK.id)
    const counts = this.#arrivals.get(id) ?? new Map<string, number>()
    counts.set(backend, (counts.get(backend) ?? 0) + 1)
    this.#arrivals.set(id, counts)
    const total = [...counts.values()].reduce((sum, one) => sum + one, 0)
    const fails =
      header(ASK.failFirst) === '' ? header(ASK.status) !== '' : total <= Number(header(ASK.failFirst))
    if (header(ASK.close) && fails) {
      request.socket.destroy()
      return
    }
    const status = fails ? Number(header(ASK.status) || 503) : 200
    const seen: Seen = {
      backend,
      method: request.method ?? '',
      path: request.url ?? '',
      headers: Object.fromEntries(
        Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
      ),
    }
    const answer = () => {
      response.writeHead(status, {
        'content-type': 'application/json',
        'x-backend': backend,
        'x-own': 'backend',
      })
      response.end(JSON.stringify(seen))
    }
    const delayMs = Number(header(ASK.delay))
    if (delayMs > 0) setTimeout(answer, delayMs).unref()
    else answer()
  }
}
