import type { EncodedResource } from '@seine/envoy'
import type { GatewayConfiguration } from './gateway/configuration.ts'
import type { OutboundScope } from './outbound-scope.ts'
import type { PatchSet } from './patches/patch-set.ts'
import type { Proxy } from './proxy.ts'
import { clustersOfListener } from './references.ts'

/** What is kept for a connected proxy. */
export interface ProxyState {
  readonly proxy: Proxy
  /** Proxies of equal workloads have the same outbound listeners. */
  readonly workload: string
  scope: OutboundScope
  inboundListeners: ReadonlyMap<string, EncodedResource>
  inboundClusters: ReadonlyMap<string, EncodedResource>
  outboundListeners: ReadonlyMap<string, EncodedResource>
  /** Whether its listeners have its Envoy ask where connections to addresses go, instead of saying so. */
  asksForAddresses: boolean
  /** What it needs whatever it calls; made when it is asked for. */
  standingClusters: ReadonlySet<string> | undefined
  /** Of a gateway. */
  gateway: GatewayConfiguration | undefined
  /** A gateway's route tables. */
  tables: ReadonlyMap<string, EncodedResource>
  /** What EnvoyFilters make of its resources. */
  patches: PatchSet | undefined
}

/** Whether a gateway needs a cluster: a route leads there, or a patch does. */
export function isForGateway({ gateway, patches, scope }: ProxyState, cluster: string): boolean {
  return (
    gateway?.clusters.has(cluster) ||
    patches?.clusters.has(cluster) ||
    scope.standing.includes(cluster) ||
    false
  )
}

/** The clusters to elsewhere that a proxy gets when it asks for all. */
export function clustersFor({ gateway, patches, scope }: ProxyState): string[] {
  if (!gateway) return [...scope.clusters.keys()]
  const names = new Set([...gateway.clusters, ...(patches?.clusters ?? []), ...scope.standing])
  return [...names].filter(name => scope.clusters.get(name))
}

/** The clusters that a proxy needs whatever it calls. */
export function standingClusters({
  inboundClusters,
  outboundListeners,
  patches,
  scope,
}: ProxyState): ReadonlySet<string> {
  return new Set([
    ...inboundClusters.keys(),
    ...[...outboundListeners.values()].flatMap(clustersOfListener),
    ...(patches?.clusters ?? []),
    ...scope.standing,
  ])
}

/** Proxies of workloads with equal keys get the same outbound listeners. */
export function workloadKey({
  namespace,
  workloadName,
  app,
  version,
  serviceAccount,
  clusterId,
  type,
  labels,
  onDemand,
  own,
}: Proxy): string {
  return JSON.stringify([
    namespace,
    workloadName,
    app,
    version,
    serviceAccount,
    clusterId,
    type,
    labels,
    onDemand,
    own,
  ])
}
