import { TypeUrl } from '@seine/envoy'
import type { Problem } from '@seine/kit'
import type { MeshSnapshot } from '@seine/model'
import { generatedNames, patchTargetOf, resourceBeforePatches } from '../proxy-resource.ts'
import type { ProxyState } from '../proxy-state.ts'
import { adds, type Patch } from './patch.ts'
import type { PatchSet } from './patch-set.ts'

/** Resources that a proxy has whatever it calls, and whose patches show in them. */
const WHOLE = [TypeUrl.listener, TypeUrl.route] as const
/** Where virtual hosts come by themselves, most are not made before they are called. */
const OF_VIRTUAL_HOSTS: ReadonlySet<Patch['applyTo']> = new Set(['VIRTUAL_HOST', 'HTTP_ROUTE'])
const ADDED_WHOLE: ReadonlySet<Patch['applyTo']> = new Set(['LISTENER', 'CLUSTER', 'EXTENSION_CONFIG'])

/**
 * The patches of EnvoyFilters that some of these proxies get and that take hold in none of them. A patch that no proxy
 * gets is none of these, and neither is one of virtual hosts where a proxy asks for those one by one.
 */
export function unusedPatches(snapshot: MeshSnapshot, states: Iterable<ProxyState>): Problem[] {
  const all = new Set<Patch>()
  const used = new Set<Patch>()
  const seen = new Map<PatchSet, Set<string>>()
  for (const state of states) {
    const { patches } = state
    if (!patches) continue
    for (const patch of patches.patches) all.add(patch)
    if (patches.patches.every(patch => used.has(patch))) continue
    // Replicas of a workload have the same resources but for their address.
    const workloads = seen.get(patches) ?? new Set()
    if (workloads.has(state.workload)) continue
    seen.set(patches, workloads.add(state.workload))
    for (const patch of usedBy(snapshot, state, patches)) used.add(patch)
  }
  return [...all].filter(patch => !used.has(patch)).flatMap(patch => problemOf(snapshot, patch))
}

function* usedBy(snapshot: MeshSnapshot, state: ProxyState, patches: PatchSet): Iterable<Patch> {
  const target = patchTargetOf(snapshot, state)
  for (const patch of patches.patches) {
    const isAdded = ADDED_WHOLE.has(patch.applyTo) && adds(patch)
    const isUnknown = state.proxy.virtualHostDiscovery && OF_VIRTUAL_HOSTS.has(patch.applyTo)
    if (isAdded || isUnknown || patch.applyTo === 'BOOTSTRAP') yield patch
  }
  for (const type of WHOLE) {
    if (!patches.touches(type)) continue
    for (const name of generatedNames(state, type)) {
      const resource = resourceBeforePatches(snapshot, state, type, name)
      if (resource) yield* patches.appliedTo(type, resource, target)
    }
  }
  if (patches.touches(TypeUrl.cluster))
    for (const name of generatedNames(state, TypeUrl.cluster)) yield* patches.ofCluster(name, target)
}

/** The annotation by which an object says that something is as it should be: codes, or `*` for all. */
const SUPPRESS = 'galley.istio.io/analyze-suppress'

function problemOf({ envoyFilters }: MeshSnapshot, { applyTo, cause }: Patch): Problem[] {
  const { kind, namespace, name, path } = cause
  const filter = envoyFilters.get(`${namespace}/${name}`)
  const suppressed = filter?.metadata.annotations[SUPPRESS]?.split(',').map(code => code.trim()) ?? []
  if (suppressed.includes('patch-unused') || suppressed.includes('*')) return []
  const place = `${path}.match`
  return [
    {
      severity: 'warning',
      code: 'patch-unused',
      message: `the patch has no effect: no ${applyTo} of the proxies it is for is matched`,
      resource: { kind, namespace, name },
      path: place,
      ...(filter?.origin ? { position: filter.origin.locate(place) } : {}),
    },
  ]
}
