import { fromBinary } from '@bufbuild/protobuf'
import {
  type Metadata,
  type Server,
  type ServerDuplexStream,
  type ServiceDefinition,
  status,
} from '@grpc/grpc-js'
import { shortTypeName, type TypeUrl } from '@seine/envoy'
import type { Node } from '@seine/envoy/envoy/config/core/v3/base'
import {
  DeltaDiscoveryRequestSchema,
  DiscoveryRequestSchema,
} from '@seine/envoy/envoy/service/discovery/v3/discovery'
import { type Clock, Counter, Gauge, Histogram, type Logger, type Registry, type Result } from '@seine/kit'
import type { ConfigSource, NodeInfo, ProxySession, PushHint } from './config-source.ts'
import { DeltaStream, type StreamEvents } from './delta-stream.ts'
import type { ProxyStatus } from './proxy-status.ts'
import { StateStream } from './state-stream.ts'

/** What the ADS server needs from outside. */
export interface DiscoveryOptions {
  readonly source: ConfigSource
  readonly logger: Logger
  readonly clock: Clock
  readonly metrics: Registry
  /** Told of each rejection, once. */
  readonly onNack?: (proxyId: string, type: string, names: readonly string[], message: string) => void
}

/** Proves who a caller is, or says why not. Ports without it take anyone. */
export type Authenticate = (metadata: Metadata) => Promise<Result<{ readonly identity: string }, string>>

type Call = ServerDuplexStream<Buffer, Buffer>
type Protocol = DeltaStream | StateStream

interface Connection {
  readonly session: ProxySession
  readonly node: NodeInfo
  readonly protocol: Protocol
  readonly connectedAt: number
}

const SERVICE = '/envoy.service.discovery.v3.AggregatedDiscoveryService/'
/** The largest request that is taken, in bytes: a reconnecting client names all it has. */
const MAX_REQUEST_BYTES = 16 << 20

/** The definition of `AggregatedDiscoveryService` with messages passed through as bytes. */
const serviceDefinition: ServiceDefinition = Object.fromEntries(
  ['StreamAggregatedResources', 'DeltaAggregatedResources'].map(method => [
    method,
    {
      path: SERVICE + method,
      requestStream: true,
      responseStream: true,
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    },
  ]),
)

function same(value: Buffer): Buffer {
  return value
}

/**
 * The ADS server: streams, subscriptions, acknowledgements and order. Changes are pushed at once when it is
 * idle; changes that come within one turn of the event loop go out together.
 */
export class DiscoveryServer {
  readonly #options: DiscoveryOptions
  readonly #connections = new Set<Connection>()
  readonly #meters: Meters
  #hint: Map<string, Set<string> | 'all'> | undefined
  #pushedAt = 0

  constructor(options: DiscoveryOptions) {
    this.#options = options
    this.#meters = meters(options.metrics, () => this.#connections.size)
  }

  /** Adds the service to a gRPC server, for callers that `authenticate` lets in. */
  addTo(server: Server, authenticate?: Authenticate): void {
    server.addService(serviceDefinition, {
      DeltaAggregatedResources: (call: Call) => this.#accept(call, 'delta', authenticate),
      StreamAggregatedResources: (call: Call) => this.#accept(call, 'state-of-the-world', authenticate),
    })
  }

  /** Tells all clients what changed. Returns at once; sending starts in the same turn of the event loop. */
  push(hint: PushHint): void {
    if (hint.size === 0) return
    if (!this.#hint) {
      this.#hint = new Map()
      this.#pushedAt = this.#options.clock.now()
      setImmediate(() => this.#flush())
    }
    for (const [type, names] of hint) {
      const known = this.#hint.get(type)
      if (names === 'all' || known === 'all') this.#hint.set(type, 'all')
      else if (known) for (const name of names) known.add(name)
      else this.#hint.set(type, new Set(names))
    }
  }

  /** What each connected client has acknowledged, by id. */
  statuses(): ProxyStatus[] {
    const all = [...this.#connections].map(({ session, node, protocol, connectedAt }) => ({
      id: session.proxyId,
      protocol: node.protocol,
      connectedAt,
      types: protocol.status(),
    }))
    return all.sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  #flush(): void {
    const hint = this.#hint
    this.#hint = undefined
    if (!hint) return
    for (const [type] of hint) this.#meters.pushes.inc({ type: nameOf(type) })
    for (const { protocol } of this.#connections) protocol.push(hint)
  }

  #accept(call: Call, protocol: NodeInfo['protocol'], authenticate: Authenticate | undefined): void {
    const queue: Buffer[] = []
    let connection: Connection | undefined
    let identity: string | undefined
    let admitted = authenticate === undefined
    let ended = false
    const refuse = (code: status, details: string) => {
      if (ended) return
      this.#options.logger.warn({ peer: call.getPeer(), reason: details }, 'xds stream refused')
      call.emit('error', { code, details })
    }
    const take = (message: Buffer) => {
      try {
        connection ??= this.#connect(call, message, protocol, identity, refuse)
        if (connection) receive(connection.protocol, message)
      } catch (failure) {
        refuse(status.INVALID_ARGUMENT, `the request can't be read: ${String(failure)}`)
      }
    }
    const end = () => {
      if (ended) return
      ended = true
      if (!connection) return
      this.#connections.delete(connection)
      connection.protocol.close()
      connection.session.close()
      this.#options.logger.info({ proxy: connection.session.proxyId }, 'proxy disconnected')
    }
    call.on('data', (message: Buffer) => {
      if (message.length > MAX_REQUEST_BYTES)
        return refuse(
          status.RESOURCE_EXHAUSTED,
          `a request of ${message.length} bytes is larger than ${MAX_REQUEST_BYTES}`,
        )
      if (admitted) take(message)
      else queue.push(message)
      return undefined
    })
    call.on('end', () => {
      end()
      call.end()
    })
    call.on('cancelled', end)
    call.on('close', end)
    call.on('error', end)
    authenticate?.(call.metadata).then(
      proof => {
        if (!proof.ok) return refuse(status.UNAUTHENTICATED, proof.error)
        identity = proof.value.identity
        admitted = true
        for (const message of queue.splice(0)) take(message)
        return undefined
      },
      failure => refuse(status.INTERNAL, String(failure)),
    )
  }

  #connect(
    call: Call,
    message: Buffer,
    protocol: NodeInfo['protocol'],
    identity: string | undefined,
    refuse: (code: status, details: string) => void,
  ): Connection | undefined {
    const request =
      protocol === 'delta'
        ? fromBinary(DeltaDiscoveryRequestSchema, message)
        : fromBinary(DiscoveryRequestSchema, message)
    if (!request.node?.id) {
      refuse(status.INVALID_ARGUMENT, 'the first request on a stream must name its node')
      return undefined
    }
    const node = nodeInfo(request.node, protocol, identity)
    const opened = this.#options.source.open(node)
    if (!opened.ok) {
      refuse(status.PERMISSION_DENIED, opened.error)
      return undefined
    }
    const session = opened.value
    const events = this.#eventsOf(call, session)
    const { clock } = this.#options
    const stream =
      protocol === 'delta'
        ? new DeltaStream(session.view, events, clock)
        : new StateStream(session.view, events, clock)
    call.on('drain', () => stream.setBlocked(false))
    const connection = { session, node, protocol: stream, connectedAt: clock.now() }
    this.#connections.add(connection)
    this.#options.logger.info({ proxy: session.proxyId, protocol }, 'proxy connected')
    return connection
  }

  #eventsOf(call: Call, session: ProxySession): StreamEvents {
    const { logger, onNack, clock } = this.#options
    return {
      send: message => {
        this.#meters.bytes.inc(message.length)
        // A full transport is waited for: what changes meanwhile goes out as its latest state.
        if (!call.write(message)) this.#streamOf(session)?.setBlocked(true)
      },
      acked: () => {
        if (this.#pushedAt > 0) this.#meters.convergence.observe((clock.now() - this.#pushedAt) / 1000)
      },
      nacked: (type, names, message) => {
        this.#meters.rejects.inc({ type: nameOf(type) })
        logger.error(
          { proxy: session.proxyId, type: nameOf(type), resources: names, reason: message },
          'proxy rejected configuration',
        )
        onNack?.(session.proxyId, nameOf(type), names, message)
      },
      failed: message => call.emit('error', { code: status.RESOURCE_EXHAUSTED, details: message }),
    }
  }

  #streamOf(session: ProxySession): Protocol | undefined {
    for (const connection of this.#connections) if (connection.session === session) return connection.protocol
    return undefined
  }
}

function receive(protocol: Protocol, message: Buffer): void {
  if (protocol instanceof DeltaStream) protocol.receive(fromBinary(DeltaDiscoveryRequestSchema, message))
  else protocol.receive(fromBinary(DiscoveryRequestSchema, message))
}

function nodeInfo(node: Node, protocol: NodeInfo['protocol'], peerIdentity: string | undefined): NodeInfo {
  const metadata: Record<string, unknown> = node.metadata ?? {}
  return {
    id: node.id,
    cluster: node.cluster,
    metadata,
    protocol,
    ...(peerIdentity === undefined ? {} : { peerIdentity }),
  }
}

function nameOf(type: string): string {
  return shortTypeName[type as TypeUrl] ?? type.slice(type.lastIndexOf('.') + 1)
}

interface Meters {
  readonly pushes: Counter
  readonly rejects: Counter
  readonly bytes: Counter
  readonly convergence: Histogram
}

/** The names of Istio's own pilot metrics, so that its dashboards show ours. */
function meters(registry: Registry, connected: () => number): Meters {
  const registers = [registry]
  new Gauge({
    name: 'pilot_xds',
    help: 'Connected xDS clients',
    registers,
    collect() {
      this.set(connected())
    },
  })
  return {
    pushes: new Counter({
      name: 'pilot_xds_pushes',
      help: 'Pushes by resource type',
      labelNames: ['type'],
      registers,
    }),
    rejects: new Counter({
      name: 'pilot_total_xds_rejects',
      help: 'Rejected responses by resource type',
      labelNames: ['type'],
      registers,
    }),
    bytes: new Counter({ name: 'pilot_xds_sent_bytes_total', help: 'Bytes of xDS responses', registers }),
    convergence: new Histogram({
      name: 'pilot_proxy_convergence_time',
      help: 'Seconds from a change to a proxy acknowledging it',
      buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 3, 5, 10, 20, 30],
      registers,
    }),
  }
}
