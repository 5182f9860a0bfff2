import type { GatewayServer } from '@seine/api'

/** How a server of a gateway takes connections, by its protocol and its TLS settings. */
export type ServerKind = 'http' | 'https' | 'tcp' | 'tls' | 'passthrough' | 'auto-passthrough'

const HTTP: ReadonlySet<string> = new Set(['HTTP', 'HTTP2', 'GRPC', 'GRPC-WEB'])

/** How a server takes connections. TLS that says no mode passes as it is. */
export function serverKind({ port, tls }: Pick<GatewayServer, 'port' | 'tls'>): ServerKind {
  const protocol = port.protocol.toUpperCase()
  if (HTTP.has(protocol)) return 'http'
  if (!tls) return 'tcp'
  if ((tls.mode ?? 'PASSTHROUGH') === 'PASSTHROUGH') return 'passthrough'
  if (tls.mode === 'AUTO_PASSTHROUGH') return 'auto-passthrough'
  return protocol === 'HTTPS' ? 'https' : 'tls'
}

/** Ports of the pod on which the agent and Envoy listen for themselves: admin, metrics, health, names, statistics. */
const OWN_PORTS: ReadonlySet<number> = new Set([15000, 15020, 15021, 15053, 15090])

/** Why a server can't be had: its port is the proxy's own, or the older servers there speak in another way. */
export type ServerConflict = 'own-port' | 'protocol'

/**
 * Whether a server can be had at a port of a gateway's pod, beside the older ones there. As in Istio, HTTP servers share
 * a port, servers with TLS share one by server name, and other TCP has one alone.
 */
export function serverConflict(
  kind: ServerKind,
  port: number,
  others: readonly ServerKind[],
): ServerConflict | undefined {
  if (OWN_PORTS.has(port)) return 'own-port'
  const [first] = others
  if (first === undefined) return undefined
  const goWell = first === 'http' || kind === 'http' ? first === kind : first !== 'tcp' && kind !== 'tcp'
  return goWell ? undefined : 'protocol'
}
