import { TypeUrl } from '@seine/envoy'
import { generatedNames } from '../proxy-resource.ts'
import type { ProxyState } from '../proxy-state.ts'
import type { Patch } from './patch.ts'

/**
 * The names of the clusters that patches may take hold of, as far as they are needed to tell whether one does. A proxy
 * that gets what it calls has few of them made: of the others those are made that patches name.
 */
export function candidateClusters(state: ProxyState, patches: readonly Patch[]): Iterable<string> {
  const own = patches.filter(({ applyTo }) => applyTo === 'CLUSTER')
  const named = own.flatMap(({ match: { cluster } }) =>
    cluster?.name ? [cluster.name] : cluster?.service ? [`outbound|||${cluster.service}`] : [],
  )
  if (!state.proxy.onDemand || named.length < own.length) return generatedNames(state, TypeUrl.cluster)
  // Asking for one makes all of its host.
  for (const name of named) state.scope.clusters.get(name)
  return [...state.inboundClusters.keys(), ...state.scope.clusters.made.keys()]
}

/**
 * The names of the virtual hosts that come by themselves and that patches may take hold of: those that are made, and
 * those that patches name; and the patches that name none, of which these do not tell whether they have an effect.
 */
export function candidateHosts(
  { scope }: ProxyState,
  patches: readonly Patch[],
): { readonly names: ReadonlySet<string>; readonly unknown: readonly Patch[] } {
  const own = patches.filter(({ applyTo }) => applyTo === 'VIRTUAL_HOST' || applyTo === 'HTTP_ROUTE')
  const names = new Set(scope.virtualHosts.made.keys())
  const unknown: Patch[] = []
  for (const patch of own) {
    const { name, portNumber, vhost } = patch.match.routeConfiguration ?? {}
    const isElsewhere = [undefined, 'ANY', 'SIDECAR_OUTBOUND'].includes(patch.match.context)
    const tables = [...scope.httpPorts.keys()].filter(
      port => (!name || name === String(port)) && (!portNumber || portNumber === port),
    )
    if (!isElsewhere || tables.length === 0) continue
    const asked = vhost?.domainName ?? (vhost?.name && hostOf(vhost.name))
    if (asked === undefined || isForUnknown(vhost?.name)) unknown.push(patch)
    else
      for (const table of tables) {
        const found = scope.hostNames.resourceName(`${table}/${asked}`)
        if (scope.virtualHosts.get(found)) names.add(found)
      }
  }
  return { names, unknown }
}

/** Virtual hosts for what the mesh does not know are made as they are called. */
function isForUnknown(name: string | undefined): boolean {
  return name === 'allow_any' || name === 'block_all'
}

/** The host of `80/reviews.default.svc.cluster.local` and of `reviews.default.svc.cluster.local:80`. */
function hostOf(name: string): string {
  return name.replace(/^\d+\//, '').replace(/:\d+$/, '')
}
