import { fromBinary } from '@bufbuild/protobuf'
import { Client, type ClientDuplexStream, credentials, type ServiceError } from '@grpc/grpc-js'
import { TypeUrl } from '@seine/envoy'
import { ListenerSchema } from '@seine/envoy/envoy/config/listener/v3/listener'
import { HttpConnectionManagerSchema } from '@seine/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager'
import { deltaRequest, type ReceivedResponse, readResponse } from './discovery-messages.ts'

const METHOD = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources'
/** The names that an agent answers DNS from. */
export const NAME_TABLE_TYPE = 'type.googleapis.com/seine.nds.v1.NameTable'

/** Told of each resource that a sidecar receives; without a value it was removed. */
export interface ReceiptObserver {
  received(proxy: number, type: string, name: string, value: Uint8Array | undefined): void
  failed(proxy: number, reason: string): void
}

/** Who a simulated sidecar is. */
export interface ProxyIdentity {
  readonly name: string
  readonly namespace: string
  readonly ip: string
  /** Hosts that its workload calls from the start; undefined for a sidecar that gets everything, called or not. */
  readonly calls: readonly string[] | undefined
}

type Stream = ClientDuplexStream<Buffer, Buffer>

/**
 * A sidecar as the control plane sees it: one connection with two delta streams, Envoy's and the agent's.
 * Envoy's subscribes as Envoy 1.40 was seen to do: all clusters; the endpoints of those that are discovered
 * by EDS, before it acknowledges the clusters; listeners once the first clusters are warm; the route
 * configurations that listeners name; and virtual hosts: all, or those that its workload calls, each with its
 * first request. Everything is acknowledged.
 */
export class SimulatedProxy {
  readonly index: number
  /** Bytes of all responses so far. */
  bytes = 0
  readonly #identity: ProxyIdentity
  readonly #observer: ReceiptObserver
  readonly #client: Client
  readonly #xds: Stream
  readonly #nds: Stream
  /** Type → names it holds. */
  readonly #held = new Map<string, Set<string>>()
  readonly #endpointsWanted = new Set<string>()
  readonly #tablesWanted = new Set<string>()
  #hostsWanted = false
  #calling = false
  #listening = false
  #closed = false

  constructor(index: number, address: string, identity: ProxyIdentity, observer: ReceiptObserver) {
    this.index = index
    this.#identity = identity
    this.#observer = observer
    this.#client = new Client(address, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.use_local_subchannel_pool': 1,
    })
    this.#xds = this.#open()
    this.#nds = this.#open()
    const node = nodeOf(identity)
    this.#xds.write(deltaRequest({ node, typeUrl: TypeUrl.cluster }))
    this.#nds.write(deltaRequest({ node, typeUrl: NAME_TABLE_TYPE, resourceNamesSubscribe: ['*'] }))
  }

  /** Its workload sends first requests to these hosts. */
  call(hosts: readonly string[]): void {
    const resourceNamesSubscribe = hosts.map(host => `80/${host}`)
    this.#xds.write(deltaRequest({ typeUrl: TypeUrl.virtualHost, resourceNamesSubscribe }))
  }

  /** How many resources of a type it holds. */
  holds(type: string): number {
    return this.#held.get(type)?.size ?? 0
  }

  close(): void {
    this.#closed = true
    this.#xds.cancel()
    this.#nds.cancel()
    this.#client.close()
  }

  #open(): Stream {
    const stream: Stream = this.#client.makeBidiStreamRequest(METHOD, same, same)
    const failed = (reason: string) => this.#closed || this.#observer.failed(this.index, reason)
    stream.on('error', (failure: ServiceError) => failed(failure.details || failure.message))
    stream.on('end', () => failed('the control plane ended the stream'))
    stream.on('data', (message: Buffer) => {
      this.bytes += message.length
      const response = readResponse(message)
      this.#note(response)
      this.#follow(response)
      stream.write(deltaRequest({ typeUrl: response.type, responseNonce: response.nonce }))
    })
    return stream
  }

  #note({ type, resources, removed }: ReceivedResponse): void {
    const held = this.#held.get(type) ?? new Set<string>()
    this.#held.set(type, held)
    for (const { name, value } of resources) {
      if (value.length > 0) held.add(name)
      this.#observer.received(this.index, type, name, value)
    }
    for (const name of removed) {
      held.delete(name)
      this.#observer.received(this.index, type, name, undefined)
    }
  }

  /** Asks for what a response names. */
  #follow({ type, resources, removed }: ReceivedResponse): void {
    const names = resources.map(({ name }) => name)
    if (type === TypeUrl.cluster) this.#followClusters(names, removed)
    else if (type === TypeUrl.endpoint) this.#listenOnceWarm()
    else if (type === TypeUrl.listener) this.#followListeners(resources.map(({ value }) => value))
    else if (type === TypeUrl.route) this.#askForVirtualHosts()
    else if (type === TypeUrl.virtualHost) this.#beginCalls()
  }

  /** Envoy's VHDS over a delta ADS stream begins with a request that names nothing, and gets all. */
  #askForVirtualHosts(): void {
    if (this.#hostsWanted) return
    this.#hostsWanted = true
    this.#xds.write(deltaRequest({ typeUrl: TypeUrl.virtualHost }))
  }

  /** A workload is started once its sidecar takes traffic. */
  #beginCalls(): void {
    if (this.#calling) return
    this.#calling = true
    if (this.#identity.calls) this.call(this.#identity.calls)
  }

  #listenOnceWarm(): void {
    if (this.#listening || this.holds(TypeUrl.endpoint) < this.#endpointsWanted.size) return
    this.#listening = true
    this.#xds.write(deltaRequest({ typeUrl: TypeUrl.listener }))
  }

  /** Outbound clusters of services get their endpoints by EDS; the built-in and inbound ones do not. */
  #followClusters(added: readonly string[], removed: readonly string[]): void {
    const fresh = added.filter(name => name.startsWith('outbound|') && !this.#endpointsWanted.has(name))
    const gone = removed.filter(name => this.#endpointsWanted.delete(name))
    for (const name of fresh) this.#endpointsWanted.add(name)
    for (const name of gone) this.#held.get(TypeUrl.endpoint)?.delete(name)
    if (fresh.length === 0 && gone.length === 0) {
      this.#listenOnceWarm()
      return
    }
    this.#xds.write(
      deltaRequest({
        typeUrl: TypeUrl.endpoint,
        resourceNamesSubscribe: fresh,
        resourceNamesUnsubscribe: gone,
      }),
    )
  }

  #followListeners(listeners: readonly Uint8Array[]): void {
    const named = new Set(listeners.flatMap(routeConfigurationsOf))
    const fresh = [...named].filter(name => !this.#tablesWanted.has(name))
    for (const name of fresh) this.#tablesWanted.add(name)
    if (fresh.length > 0)
      this.#xds.write(deltaRequest({ typeUrl: TypeUrl.route, resourceNamesSubscribe: fresh }))
  }
}

/** The route configurations that a listener's connection managers ask for by RDS. */
function routeConfigurationsOf(listener: Uint8Array): string[] {
  const { filterChains, defaultFilterChain } = fromBinary(ListenerSchema, listener)
  return [...filterChains, ...(defaultFilterChain ? [defaultFilterChain] : [])].flatMap(({ filters }) =>
    filters.flatMap(({ name, configType }) => {
      if (name !== 'envoy.filters.network.http_connection_manager' || configType.case !== 'typedConfig')
        return []
      const { routeSpecifier } = fromBinary(HttpConnectionManagerSchema, configType.value.value)
      return routeSpecifier.case === 'rds' ? [routeSpecifier.value.routeConfigName] : []
    }),
  )
}

/** What our agent puts into its Envoy's bootstrap. */
function nodeOf({ name, namespace, ip, calls }: ProxyIdentity) {
  return {
    id: `sidecar~${ip}~${name}.${namespace}~${namespace}.svc.cluster.local`,
    cluster: `${name}.${namespace}`,
    metadata: {
      NAME: name,
      NAMESPACE: namespace,
      WORKLOAD_NAME: name,
      SERVICE_ACCOUNT: 'default',
      INSTANCE_IPS: ip,
      CLUSTER_ID: 'Kubernetes',
      MESH_ID: 'cluster.local',
      ...(calls ? { ON_DEMAND: 'true' } : {}),
      LABELS: { app: name },
    },
  }
}

function same(value: Buffer): Buffer {
  return value
}
