import { Server, ServerCredentials } from '@grpc/grpc-js'
import { type Clock, createMetrics, FakeClock, type Registry, silentLogger } from '@seine/kit'
import { type Authenticate, DiscoveryServer } from '../src/discovery-server.ts'
import type { HandFedSource } from './hand-fed-source.ts'

/** An ADS server on a loopback port. */
export interface Served {
  readonly port: number
  readonly discovery: DiscoveryServer
  readonly metrics: Registry
  /** Moves only when a test moves it. */
  readonly clock: FakeClock
  /** Rejections that were reported, as `<proxy> <type> <names>: <message>`. */
  readonly nacks: readonly string[]
  /** Tells the clients what was put into the source since the last time. */
  push(): void
  close(): void
}

/** Serves what a test puts into the source. */
export async function serve(source: HandFedSource, authenticate?: Authenticate): Promise<Served> {
  const clock = new FakeClock(1_000_000)
  const metrics = createMetrics()
  const nacks: string[] = []
  let pushes = 0
  const discovery = new DiscoveryServer({
    source,
    logger: silentLogger,
    clock: clock satisfies Clock,
    metrics,
    version: () => `push ${pushes}`,
    onNack: (proxy, type, names, message) => nacks.push(`${proxy} ${type} ${names.join()}: ${message}`),
  })
  const server = new Server({ 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 })
  discovery.addTo(server, authenticate)
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (failure, bound) =>
      failure ? reject(failure) : resolve(bound),
    ),
  )
  return {
    port,
    discovery,
    metrics,
    clock,
    nacks,
    push: () => {
      pushes++
      discovery.push(source.changes())
    },
    close: () => server.forceShutdown(),
  }
}
