import { canonicalIp, canonicalService, type OwnLiveSettings, readOwnLiveSettings } from '@seine/api'
import { err, ok, type Result } from '@seine/kit'

/** The proxy that configuration is made for: who it is and what it can do. */
export interface Proxy {
  /** Istio's node id: `sidecar~<ip>~<pod>.<namespace>~<domain>`. */
  readonly id: string
  readonly type: 'sidecar' | 'router'
  /** Those of its workload, the main one first; IPv6 in canonical form. */
  readonly addresses: readonly string[]
  readonly name: string
  readonly namespace: string
  readonly workloadName: string
  readonly app: string
  readonly version: string
  readonly serviceAccount: string
  readonly labels: Readonly<Record<string, string>>
  readonly clusterId: string
  /** The WorkloadGroup by which it registers; undefined for one that does not. */
  readonly group: string | undefined
  /** The network that it says it is in. */
  readonly network: string | undefined
  /** What it says of its own settings: it goes before the mesh's. */
  readonly own: OwnLiveSettings
  /** What the node says of itself in words: EnvoyFilters can ask for it. */
  readonly metadata: Readonly<Record<string, string>>
  /** Takes virtual hosts one by one (VHDS), which needs delta xDS; others get whole route tables. */
  readonly virtualHostDiscovery: boolean
  /** Asks for virtual hosts with the first request to them, and gets clusters along with those. */
  readonly onDemand: boolean
  /** Its identity was proven, by which it may get secrets. */
  readonly authenticated: boolean
  /** What reads the configuration: Envoy, or an application's own gRPC library (proxyless). */
  readonly generator: 'envoy' | 'grpc'
}

/** What a node says of itself, as Istio's agents and ours put it into the node's metadata. */
export interface ProxyMetadata {
  readonly LABELS?: unknown
  readonly NAMESPACE?: unknown
  readonly WORKLOAD_NAME?: unknown
  readonly SERVICE_ACCOUNT?: unknown
  readonly INSTANCE_IPS?: unknown
  readonly CLUSTER_ID?: unknown
  readonly AUTO_REGISTER_GROUP?: unknown
  readonly NETWORK?: unknown
  /** The proxy's own settings, in the words of Istio's ProxyConfig. */
  readonly PROXY_CONFIG?: unknown
  /** `true` where the agent lets Envoy ask for what its workload calls; it takes an Envoy that can. */
  readonly ON_DEMAND?: unknown
  /** `grpc` for an application that is its own proxy, as in Istio; anything else is an Envoy. */
  readonly GENERATOR?: unknown
}

/**
 * Reads a node id of the form `<type>~<ip>~<name>.<namespace>~<domain>` and the node's metadata.
 *
 * @returns the proxy, or what is wrong with the id or with the settings that it says.
 */
export function parseProxy(
  id: string,
  metadata: ProxyMetadata = {},
  virtualHostDiscovery = true,
): Result<Proxy, string> {
  const [type, ip, fullName, domain, ...rest] = id.split('~')
  if (!ip || !fullName || !domain || rest.length > 0 || (type !== 'sidecar' && type !== 'router')) {
    return err(`node id "${id}" is not of the form sidecar~<ip>~<name>.<namespace>~<domain>`)
  }
  const dot = fullName.lastIndexOf('.')
  if (dot <= 0) return err(`node id "${id}" names no namespace: its third part is <name>.<namespace>`)
  const generator = metadata.GENERATOR === 'grpc' ? 'grpc' : 'envoy'
  if (generator === 'grpc' && type === 'router')
    return err(`node id "${id}" is that of a gateway, which gRPC (GENERATOR: grpc) can not be`)
  const own = readOwnLiveSettings(metadata.PROXY_CONFIG)
  if (!own.ok) return err(`PROXY_CONFIG of node "${id}": ${own.error}`)
  const labels = readLabels(metadata.LABELS)
  const name = fullName.slice(0, dot)
  const workloadName = text(metadata.WORKLOAD_NAME) ?? name
  return ok({
    id,
    type,
    addresses: (text(metadata.INSTANCE_IPS)?.split(',') ?? [ip]).map(one => canonicalIp(one) ?? one),
    name,
    namespace: text(metadata.NAMESPACE) ?? fullName.slice(dot + 1),
    workloadName,
    ...canonicalService(labels, workloadName),
    serviceAccount: text(metadata.SERVICE_ACCOUNT) ?? 'default',
    labels,
    clusterId: text(metadata.CLUSTER_ID) ?? 'Kubernetes',
    group: text(metadata.AUTO_REGISTER_GROUP),
    network: text(metadata.NETWORK),
    own: own.value,
    metadata: texts(metadata),
    virtualHostDiscovery: virtualHostDiscovery && generator === 'envoy',
    authenticated: false,
    generator,
    // A gateway's routes are known beforehand.
    onDemand:
      type === 'sidecar' &&
      generator === 'envoy' &&
      virtualHostDiscovery &&
      (metadata.ON_DEMAND === true || metadata.ON_DEMAND === 'true'),
  })
}

/** The proxy of a workload that has registered by a group: it is called as its WorkloadEntry, and has the labels of that. */
export function asRegistered(proxy: Proxy, name: string, labels: Readonly<Record<string, string>>): Proxy {
  return { ...proxy, name, labels, ...canonicalService(labels, proxy.workloadName) }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function readLabels(value: unknown): Record<string, string> {
  return typeof value === 'object' && value !== null ? texts(value) : {}
}

/** In one order, whoever sends them: Envoy sends a map's entries in any. */
function texts(value: object): Record<string, string> {
  return Object.fromEntries(
    Object.entries(value)
      .filter((entry): entry is [string, string] => typeof entry[1] === 'string')
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  )
}
