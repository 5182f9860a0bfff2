import type {
  Client,
  ClientDuplexStream,
  Metadata,
  Server,
  ServerDuplexStream,
  ServiceError,
} from '@grpc/grpc-js'
import { status } from '@grpc/grpc-js'
import { errorMessage, type Logger } from '@seine/kit'
import { same } from './upstream.ts'

const SERVICE = '/envoy.service.discovery.v3.AggregatedDiscoveryService/'
type Downstream = ServerDuplexStream<Buffer, Buffer>
type Upstream = ClientDuplexStream<Buffer, Buffer>

/** What the relay needs from outside. */
export interface RelayOptions {
  readonly client: Client
  readonly authorize: () => Promise<Metadata>
  readonly logger: Logger
  /** Told when the control plane answers and when it is lost. */
  readonly onConnected: (connected: boolean) => void
}

/**
 * Adds ADS to the agent's server: each stream of Envoy's is one stream to pilot, with the workload's token,
 * and messages pass as bytes. When pilot is lost, Envoy's stream ends; Envoy keeps serving and comes back
 * with the versions it has.
 */
export function addXdsRelay(server: Server, options: RelayOptions): void {
  const methods = ['StreamAggregatedResources', 'DeltaAggregatedResources']
  const definition = Object.fromEntries(
    methods.map(name => [
      name,
      {
        path: SERVICE + name,
        requestStream: true,
        responseStream: true,
        requestSerialize: same,
        requestDeserialize: same,
        responseSerialize: same,
        responseDeserialize: same,
      },
    ]),
  )
  server.addService(
    definition,
    Object.fromEntries(
      methods.map(name => [name, (call: Downstream) => relay(call, SERVICE + name, options)]),
    ),
  )
}

function relay(downstream: Downstream, path: string, options: RelayOptions): void {
  const waiting: Buffer[] = []
  let upstream: Upstream | undefined
  let over = false
  const end = (details: string) => {
    if (over) return
    over = true
    upstream?.cancel()
    options.onConnected(false)
    downstream.emit('error', { code: status.UNAVAILABLE, details })
  }
  downstream.on('data', (message: Buffer) => {
    if (upstream) upstream.write(message)
    else waiting.push(message)
  })
  const leave = () => {
    over = true
    upstream?.cancel()
  }
  downstream.on('end', () => {
    leave()
    downstream.end()
  })
  downstream.on('cancelled', leave)
  options.authorize().then(
    metadata => {
      if (over) return
      const call: Upstream = options.client.makeBidiStreamRequest(path, same, same, metadata)
      upstream = call
      call.on('data', (message: Buffer) => {
        options.onConnected(true)
        if (!downstream.write(message)) {
          call.pause()
          downstream.once('drain', () => call.resume())
        }
      })
      call.on('error', (failure: ServiceError) => {
        if (!over)
          options.logger.warn(
            { reason: failure.details || failure.message },
            'control plane lost: the proxy serves on with what it has',
          )
        end(failure.details || failure.message)
      })
      call.on('end', () => end('the control plane ended the stream'))
      for (const message of waiting.splice(0)) call.write(message)
    },
    failure => end(`the workload's token can't be read: ${errorMessage(failure)}`),
  )
}
