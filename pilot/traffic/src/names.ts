/** `outbound|80|v1|reviews.default.svc.cluster.local`, Istio's name for a client's cluster; `subset` may be empty. */
export function outboundClusterName(port: number, subset: string, hostname: string): string {
  return `outbound|${port}|${subset}|${hostname}`
}

/** `inbound|8080||`, Istio's name for the cluster of the workload's own port. */
export function inboundClusterName(port: number): string {
  return `inbound|${port}||`
}

/** The server name that one sidecar's TLS offers another: `outbound_.80_.v1_.reviews.default.svc.cluster.local`. */
export function sniOf(port: number, subset: string, hostname: string): string {
  return `outbound_.${port}_.${subset}_.${hostname}`
}

/** The server name that a sidecar's TLS offers the endpoints of a cluster with a name of the first form. */
export function serverNameOf(cluster: string): string {
  return cluster.split('|').join('_.')
}

const SERVER_NAME = /^outbound_\.\d+_\.[^_]*_\.(.+)$/

/** What all server names begin with that sidecars offer each other. */
export const PASSED_ON_PREFIX = 'outbound_.'

/** Whether a name is that of a cluster by which a gateway between networks passes connections on, or a server name of the mesh. */
export function isPassedOnCluster(name: string): boolean {
  return SERVER_NAME.test(name)
}

/** The host of the service that a cluster is for, by the name of the cluster, whichever of the forms above it has. */
export function hostOfCluster(name: string): string {
  return SERVER_NAME.exec(name)?.[1] ?? name.slice(name.lastIndexOf('|') + 1)
}

/** Direction, port, subset and host in a cluster's name, as texts. */
export function partsOfCluster(name: string): readonly string[] {
  return SERVER_NAME.test(name) ? name.split('_.') : name.split('|')
}

const DESTINATION_PREFIX = 'destination|'

/** The name of the cluster of a connection as Envoy's formatter makes it, from the address that the client meant. */
export const DESTINATION_CLUSTER_FORMAT = `${DESTINATION_PREFIX}%DOWNSTREAM_LOCAL_ADDRESS%`

/**
 * `destination|10.96.0.12:5432`, the cluster of connections to an address. A sidecar asks for it with the first of
 * them; it is the cluster of the service that has the address, by another name.
 */
export function destinationClusterName(address: string, port: number): string {
  return `${DESTINATION_PREFIX}${address.includes(':') ? `[${address}]` : address}:${port}`
}

/** Whether a name is that of a cluster for an address. */
export function isDestinationCluster(name: string): boolean {
  return name.startsWith(DESTINATION_PREFIX)
}

/** Requests for unknown hosts, which are looked up. */
export const DYNAMIC_CLUSTER = 'AllowAnyDynamicDNSCluster'
export const PASSTHROUGH_CLUSTER = 'PassthroughCluster'
export const BLACK_HOLE_CLUSTER = 'BlackHoleCluster'
export const INBOUND_PASSTHROUGH_CLUSTER = 'InboundPassthroughCluster'
export const VIRTUAL_OUTBOUND = 'virtualOutbound'
export const VIRTUAL_INBOUND = 'virtualInbound'

/** Ports of a sidecar, as Istio assigns them. */
export const SidecarPort = { outbound: 15001, inbound: 15006, prometheus: 15090 } as const

/** Endpoints in Envoy's metadata name what they can take under this key. */
export const TLS_MODE_KEY = 'tlsMode'

/**
 * The ALPNs that tell a sidecar that its peer is one too, and whether it sends requests or bytes: where a port
 * does not declare its protocol, the client has found it out. They are offered, never negotiated.
 */
export const MeshAlpn = { http: 'istio-http', tcp: 'istio' } as const

/** Metadata namespace for what telemetry reads from routes, clusters and endpoints. */
export const TELEMETRY_METADATA = 'istio'

/** The cluster of requests whose destination is not there. No such cluster exists. */
export const MISSING_CLUSTER = 'MissingCluster'

/** The connection's own cluster, by the name under which Envoy's TCP proxy looks for it in the connection's state. */
export const CLUSTER_STATE = 'envoy.tcp_proxy.cluster'
