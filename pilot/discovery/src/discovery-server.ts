import { fromBinary } from '@bufbuild/protobuf'
import {
  type Metadata,
  type Server,
  type ServerDuplexStream,
  type ServiceDefinition,
  status,
} from '@grpc/grpc-js'
import type { Node } from '@seine/envoy/envoy/config/core/v3/base'
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  type DiscoveryRequest,
  DiscoveryRequestSchema,
} from '@seine/envoy/envoy/service/discovery/v3/discovery'
import { type Clock, err, errorMessage, type Logger, ok, type Registry, type Result } from '@seine/kit'
import {
  type ConfigSource,
  HEALTH_TYPE,
  type NodeInfo,
  type ProxySession,
  type PushHint,
} from './config-source.ts'
import { DeltaStream, type StreamEvents } from './delta-stream.ts'
import { HeldNames } from './holdings.ts'
import { type Meters, meters, shortName } from './meters.ts'
import type { ProxyStatus, TypeStatus } from './proxy-status.ts'
import { StateStream } from './state-stream.ts'
import type { Response } from './wire.ts'

/** What the ADS server needs from outside. */
export interface DiscoveryOptions {
  readonly source: ConfigSource
  readonly logger: Logger
  readonly clock: Clock
  readonly metrics: Registry
  /** The version of the configuration as it is now, for people: it is shown beside what clients acknowledged. */
  readonly version?: () => string
  /** Told of each rejection, once. */
  readonly onNack?: (proxyId: string, type: string, names: readonly string[], message: string) => void
}

/** Proves who a caller is, or says why not. Ports without it take anyone. */
export type Authenticate = (metadata: Metadata) => Promise<Result<{ readonly identity: string }, string>>

type Call = ServerDuplexStream<Buffer, Response>
type Protocol = DeltaStream | StateStream

interface Connection {
  readonly session: ProxySession
  readonly node: NodeInfo
  readonly protocol: Protocol
  readonly connectedAt: number
  /** When the oldest change was made that the client has not acknowledged all of. */
  changedAt: number | undefined
  /** Versions of the configuration by type: of the newest response, and of the last that was acknowledged. */
  readonly sent: Map<string, string>
  readonly acked: Map<string, string>
}

function tell(connection: Connection, hint: PushHint, changedAt: number): void {
  connection.changedAt ??= changedAt
  connection.protocol.push(hint)
  if (connection.protocol.settled) connection.changedAt = undefined
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
      responseSerialize: asBuffer,
      responseDeserialize: same,
    },
  ]),
)

function same(value: Buffer): Buffer {
  return value
}

/** grpc-js asks of a serialised message what a {@link Response} has: its length, and to be copied. */
function asBuffer(response: Response): Buffer {
  return response as unknown as Buffer
}

/**
 * The ADS server: streams, subscriptions, acknowledgements and order. Changes are pushed at once when it is
 * idle; changes that come within one turn of the event loop go out together.
 */
export class DiscoveryServer {
  readonly #options: DiscoveryOptions
  readonly #connections = new Set<Connection>()
  readonly #meters: Meters
  readonly #names = new HeldNames()
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

  /** Tells some clients alone, at once, that what they get may differ from before. */
  pushTo(isMeant: (proxyId: string) => boolean, hint: PushHint): void {
    const now = this.#options.clock.now()
    for (const connection of this.#connections)
      if (isMeant(connection.session.proxyId)) tell(connection, hint, now)
  }

  /** What each connected client has acknowledged, by id. */
  statuses(): ProxyStatus[] {
    const all = [...this.#connections].map(({ session, node, protocol, connectedAt, acked }) => ({
      id: session.proxyId,
      protocol: node.protocol,
      connectedAt,
      types: withVersions(protocol.status(), acked),
    }))
    return all.sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  #flush(): void {
    const hint = this.#hint
    this.#hint = undefined
    if (!hint) return
    for (const connection of this.#connections) tell(connection, hint, this.#pushedAt)
  }

  #accept(call: Call, protocol: NodeInfo['protocol'], authenticate: Authenticate | undefined): void {
    let connection: Connection | undefined
    let ended = false
    const refuse = (code: status, details: string) => {
      if (ended) return
      this.#options.logger.warn(
        { peer: call.getPeer(), proxy: connection?.session.proxyId, reason: details },
        'xds stream refused',
      )
      call.emit('error', { code, details })
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
    const take = (message: Buffer, identity: string | undefined) => {
      if (ended) return
      if (message.length > MAX_REQUEST_BYTES) {
        const details = `a request of ${message.length} bytes is larger than ${MAX_REQUEST_BYTES}`
        return refuse(status.RESOURCE_EXHAUSTED, details)
      }
      const request = readRequest(protocol, message)
      if (!request.ok) return refuse(status.INVALID_ARGUMENT, request.error)
      connection ??= this.#connect(call, request.value, protocol, identity, refuse)
      if (!connection) return
      // A report is no subscription: nothing answers it.
      if (request.value.typeUrl === HEALTH_TYPE) connection.session.reportHealth?.(reasonOf(request.value))
      else receive(connection.protocol, request.value)
    }
    call.on('end', () => {
      end()
      call.end()
    })
    for (const event of ['cancelled', 'close', 'error']) call.on(event, end)
    // Nothing is read of a caller before it has proved who it is: the transport holds it back.
    const listen = (identity?: string) => call.on('data', (message: Buffer) => take(message, identity))
    if (!authenticate) return void listen()
    authenticate(call.metadata).then(
      proof => (proof.ok ? listen(proof.value.identity) : refuse(status.UNAUTHENTICATED, proof.error)),
      failure => refuse(status.INTERNAL, String(failure)),
    )
  }

  #connect(
    call: Call,
    request: Request,
    protocol: NodeInfo['protocol'],
    identity: string | undefined,
    refuse: (code: status, details: string) => void,
  ): Connection | undefined {
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
    const { clock, logger } = this.#options
    const events = this.#eventsOf(call, session, refuse, () => connection)
    const stream =
      protocol === 'delta'
        ? new DeltaStream(session.view, events, clock, this.#names)
        : new StateStream(session.view, events, clock)
    call.on('drain', () => stream.setBlocked(false))
    const connection: Connection = {
      session,
      node,
      protocol: stream,
      connectedAt: clock.now(),
      changedAt: undefined,
      sent: new Map(),
      acked: new Map(),
    }
    this.#connections.add(connection)
    logger.info({ proxy: session.proxyId, protocol }, 'proxy connected')
    return connection
  }

  #eventsOf(
    call: Call,
    session: ProxySession,
    refuse: (code: status, details: string) => void,
    connection: () => Connection,
  ): StreamEvents {
    const { logger, onNack, clock, version } = this.#options
    return {
      send: (type, response) => {
        // No more than one response of a type is on its way.
        if (version) connection().sent.set(shortName(type), version())
        this.#meters.pushes.add(type)
        this.#meters.bytes.add(type, response.byteLength)
        // A full transport is waited for: what changes meanwhile goes out as its latest state.
        if (!call.write(response)) connection().protocol.setBlocked(true)
      },
      acked: type => {
        const { changedAt, protocol, sent, acked } = connection()
        const version = sent.get(shortName(type))
        if (version !== undefined) acked.set(shortName(type), version)
        if (changedAt === undefined || !protocol.settled) return
        this.#meters.convergence.observe((clock.now() - changedAt) / 1000)
        connection().changedAt = undefined
      },
      nacked: (type, names, message) => {
        this.#meters.rejects.add(type)
        logger.error(
          { proxy: session.proxyId, type: shortName(type), resources: names, reason: message },
          'proxy rejected configuration',
        )
        onNack?.(session.proxyId, shortName(type), names, message)
      },
      failed: refuse,
    }
  }
}

function withVersions(
  types: Readonly<Record<string, TypeStatus>>,
  versions: ReadonlyMap<string, string>,
): Record<string, TypeStatus> {
  return Object.fromEntries(
    Object.entries(types).map(([type, status]) => {
      const version = versions.get(type)
      return [type, version === undefined ? status : { ...status, version }]
    }),
  )
}

type Request = DeltaDiscoveryRequest | DiscoveryRequest

function readRequest(protocol: NodeInfo['protocol'], message: Buffer): Result<Request, string> {
  let request: Request
  try {
    request =
      protocol === 'delta'
        ? fromBinary(DeltaDiscoveryRequestSchema, message)
        : fromBinary(DiscoveryRequestSchema, message)
  } catch (failure) {
    return err(`the request can't be read: ${errorMessage(failure)}`)
  }
  return request.typeUrl === '' ? err('a request must name the type of its resources') : ok(request)
}

/** Why a workload is unhealthy, as the report says; undefined when it is well. */
function reasonOf({ errorDetail }: Request): string | undefined {
  return errorDetail && (errorDetail.message || 'its agent does not say why')
}

function receive(protocol: Protocol, request: Request): void {
  if (protocol instanceof DeltaStream) protocol.receive(request as DeltaDiscoveryRequest)
  else protocol.receive(request as DiscoveryRequest)
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
