import type { ClientTlsSettings } from '@seine/api'
import type { Provenance } from '@seine/envoy'
import { type MeshSnapshot, resolveHost } from '@seine/model'
import { clusterNameOf, type ResolvedDestination, resolveDestination } from './destination.ts'
import { causeOf, type Egress } from './egress.ts'
import { BLACK_HOLE_CLUSTER, DYNAMIC_CLUSTER, PASSTHROUGH_CLUSTER } from './names.ts'
import type { RouteHeaders } from './proxy-settings.ts'

/** What happens to calls that nothing in the mesh is there for. */
export interface Outside {
  /** Where they go: past the mesh, to nowhere, or to a proxy on the way out. */
  readonly cluster: string
  /** Where requests go instead, whose host is looked up; `byPort` says that their port is the one that was called. */
  readonly requests?: { readonly cluster: string; readonly byPort: boolean }
  readonly causes: readonly Provenance[]
  /** Set where requests do not say which try they are. */
  readonly hidesAttempts?: true
}

/** The policy of the clients' Sidecar, or the mesh's. A Sidecar's policy without a mode is REGISTRY_ONLY, as Istio's API has it. */
export function outsideOf(
  { services, config }: MeshSnapshot,
  { sidecar }: Egress,
  { hidesAttempts }: RouteHeaders,
): Outside {
  const own = sidecar?.spec.outboundTrafficPolicy
  const mode = own ? (own.mode ?? 'REGISTRY_ONLY') : config.outboundTrafficPolicy.mode
  const causes = own && sidecar ? [causeOf(sidecar, 'spec.outboundTrafficPolicy')] : []
  const proxy = sidecar && egressProxyOf(services, sidecar)
  const rest = { causes, ...(hidesAttempts ? { hidesAttempts: true as const } : {}) }
  if (proxy) return { cluster: clusterNameOf(proxy), ...rest }
  if (mode === 'ALLOW_ANY_DYNAMIC_DNS') {
    // Without a port in its host, what goes over TLS goes to its usual port.
    const byPort = !originatesTls(config.outboundTrafficPolicy.tls)
    return { cluster: PASSTHROUGH_CLUSTER, requests: { cluster: DYNAMIC_CLUSTER, byPort }, ...rest }
  }
  return { cluster: mode === 'ALLOW_ANY' ? PASSTHROUGH_CLUSTER : BLACK_HOLE_CLUSTER, ...rest }
}

/** The proxy through which a Sidecar lets unknown calls out. */
export function egressProxyOf(
  services: MeshSnapshot['services'],
  { spec, metadata }: NonNullable<Egress['sidecar']>,
): ResolvedDestination | undefined {
  const proxy = spec.outboundTrafficPolicy?.egressProxy
  if (!proxy) return undefined
  const host = resolveHost(proxy.host, metadata.namespace)
  return resolveDestination(services, { ...proxy, host }, proxy.port?.number ?? 0)
}

/** Whether plaintext leaves as TLS. */
export function originatesTls(tls: ClientTlsSettings | undefined): boolean {
  return tls?.mode === 'SIMPLE' || tls?.mode === 'MUTUAL'
}

/** On a socket of its own there is no address that clients meant: what is not known there, and not looked up, ends. */
export function closed(outside: Outside): Outside {
  return { ...outside, cluster: BLACK_HOLE_CLUSTER }
}

const proxied = new WeakMap<Outside, Outside>()

/** The same for an HTTP proxy: there, requests say their port, or are for the usual one. The same object each time. */
export function atProxy(outside: Outside): Outside {
  if (!outside.requests?.byPort) return outside
  const found = proxied.get(outside) ?? { ...outside, requests: { ...outside.requests, byPort: false } }
  proxied.set(outside, found)
  return found
}

/** Whether requests go on at all. */
export function passes({ cluster, requests }: Outside): boolean {
  return requests !== undefined || cluster !== BLACK_HOLE_CLUSTER
}

/** Whether two policies lead to the same configuration, which names its causes. */
export function sameOutside(a: Outside, b: Outside): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
