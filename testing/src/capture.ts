import { connect, createServer, type Server, type Socket } from 'node:net'

/** An address and a port. */
export interface Place {
  readonly address: string
  readonly port: number
}

/** Envoy calls its own application from here, and the capture rules let that pass. */
const INBOUND_SOURCE = '127.0.0.6'

/** The PROXY protocol's first version: it tells an Envoy on loopback where a connection came from and went to. */
export function proxyHeader(from: Place, to: Place): string {
  const family = to.address.includes(':') ? 'TCP6' : 'TCP4'
  return `PROXY ${family} ${from.address} ${to.address} ${from.port} ${to.port}\r\n`
}

/** What stands at a meshed workload's address in the place of capture rules. */
export interface CapturedWorkload {
  readonly address: string
  readonly ports: readonly number[]
  /** Where the application is in truth; a gateway has none. */
  readonly application?: string
  /** The port of the Envoy that takes what is captured on its way to a port. */
  readonly inboundPort: (port: number) => number
}

/**
 * Hands connections to a workload's ports to its Envoy, and those that Envoy makes to the application, as capture
 * rules would in a network namespace.
 */
export class Capture {
  readonly #workload: CapturedWorkload
  readonly #servers: Server[] = []
  readonly #sockets = new Set<Socket>()

  constructor(workload: CapturedWorkload) {
    this.#workload = workload
  }

  async start(): Promise<void> {
    const { address, ports } = this.#workload
    for (const port of ports) {
      const server = createServer(socket => this.#relay(socket, port))
      this.#servers.push(server)
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, address, resolve)
      })
    }
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await Promise.all(this.#servers.map(server => new Promise(resolve => server.close(resolve))))
  }

  #relay(socket: Socket, port: number): void {
    const { address, application, inboundPort } = this.#workload
    const from = { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 }
    const isEnvoys = application !== undefined && from.address === INBOUND_SOURCE
    const target = isEnvoys ? connect(port, application) : connect(inboundPort(port), '127.0.0.1')
    if (!isEnvoys) target.write(proxyHeader(from, { address, port }))
    for (const [one, other] of [
      [socket, target],
      [target, socket],
    ] as const) {
      this.#sockets.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        this.#sockets.delete(one)
        other.destroy()
      })
    }
    socket.pipe(target)
    target.pipe(socket)
  }
}
