import { type EncodedResource, TypeUrl } from '@seine/envoy'
import type { Problem, Severity } from '@seine/kit'
import type { MeshSnapshot } from '@seine/model'
import { generatedNames, listenerInTheWay, patchTargetOf, resourceBeforePatches } from '../proxy-resource.ts'
import type { ProxyState } from '../proxy-state.ts'
import { candidateClusters, candidateHosts } from './candidates.ts'
import type { Patch } from './patch.ts'
import { addedAs, type PatchSet } from './patch-set.ts'

/** Resources that a proxy has whatever it calls, and whose patches show in them. */
const WHOLE = [TypeUrl.listener, TypeUrl.route] as const

/**
 * What EnvoyFilters ask for and these proxies do not get: patches that take hold in none of those that get them, and
 * patches that are left out of a resource, as Envoy would refuse what they make of it. A patch that no proxy gets is
 * none of these. Proxies that get what they call are judged by what they have, and by the names that a patch says.
 */
export function patchProblems(snapshot: MeshSnapshot, states: Iterable<ProxyState>): Problem[] {
  const found = new Findings(snapshot)
  const seen = new Map<PatchSet, Set<string>>()
  for (const state of states) {
    const { patches } = state
    if (!patches) continue
    // Replicas of a workload have the same resources but for their address.
    const workloads = seen.get(patches) ?? new Set()
    if (workloads.has(state.workload)) continue
    seen.set(patches, workloads.add(state.workload))
    found.lookAt(state, patches)
  }
  return found.problems()
}

/** What was found out about the patches of the proxies looked at so far. */
class Findings {
  readonly #snapshot: MeshSnapshot
  readonly #all = new Set<Patch>()
  readonly #used = new Set<Patch>()
  /** Of which resources patches are left out, and why: the first of each reason. */
  readonly #leftOut = new Map<Patch, Map<string, string>>()

  constructor(snapshot: MeshSnapshot) {
    this.#snapshot = snapshot
  }

  lookAt(state: ProxyState, patches: PatchSet): void {
    for (const patch of patches.patches) this.#all.add(patch)
    for (const patch of patches.patches) if (patch.applyTo === 'BOOTSTRAP') this.#used.add(patch)
    this.#lookAtAdded(state, patches)
    for (const type of WHOLE)
      if (patches.touches(type))
        for (const name of generatedNames(state, type)) this.#lookAtResource(state, patches, type, name)
    if (patches.touches(TypeUrl.cluster)) {
      const target = patchTargetOf(this.#snapshot, state)
      for (const name of candidateClusters(state, patches.patches))
        if (patches.ofCluster(name, target).length > 0)
          this.#lookAtResource(state, patches, TypeUrl.cluster, name)
    }
    if (patches.touches(TypeUrl.virtualHost) && state.proxy.virtualHostDiscovery) {
      const { names, unknown } = candidateHosts(state, patches.patches)
      for (const name of names) this.#lookAtResource(state, patches, TypeUrl.virtualHost, name)
      for (const patch of unknown) this.#used.add(patch)
    }
  }

  #lookAtAdded(state: ProxyState, patches: PatchSet): void {
    for (const [patch, reason] of patches.neverAdded) this.#note(patch, undefined, reason)
    for (const patch of patches.patches) {
      const type = addedAs(patch)
      if (type === undefined || patches.neverAdded.has(patch)) continue
      const { name = '' } = (patch.value ?? {}) as { name?: string }
      const own = resourceBeforePatches(this.#snapshot, state, type, name)
      const isThere = own && patches.apply(type, own, patchTargetOf(this.#snapshot, state))
      const added = patches.added(type).get(name)
      const inTheWay = added && listenerInTheWay(state, type, added)
      if (isThere) this.#note(patch, undefined, `the proxy has a ${patch.applyTo} ${name} already`)
      else if (inTheWay) this.#note(patch, added, `the listener ${inTheWay.name} has its address`)
      else this.#used.add(patch)
    }
  }

  #lookAtResource(state: ProxyState, patches: PatchSet, type: string, name: string): void {
    const resource = resourceBeforePatches(this.#snapshot, state, type, name)
    if (!resource) return
    const { applied, leftOut } = patches.appliedTo(type, resource, patchTargetOf(this.#snapshot, state))
    for (const patch of applied) this.#used.add(patch)
    for (const [patch, reason] of leftOut) this.#note(patch, resource, reason)
  }

  #note(patch: Patch, resource: EncodedResource | undefined, reason: string): void {
    this.#used.add(patch)
    const reasons = this.#leftOut.get(patch) ?? new Map<string, string>()
    this.#leftOut.set(patch, reasons)
    if (!reasons.has(reason)) reasons.set(reason, resource?.name ?? '')
  }

  problems(): Problem[] {
    const unused = [...this.#all].filter(patch => !this.#used.has(patch))
    return [
      ...unused.flatMap(patch => this.#unused(patch)),
      ...[...this.#leftOut].map(([patch, reasons]) => this.#refused(patch, reasons)),
    ]
  }

  #unused(patch: Patch): Problem[] {
    const suppressed = this.#filterOf(patch)?.metadata.annotations[SUPPRESS]?.split(',') ?? []
    if (suppressed.some(code => ['patch-unused', '*'].includes(code.trim()))) return []
    const message = `the patch has no effect: no ${patch.applyTo} of the proxies it is for is matched`
    return [this.#problem('warning', 'patch-unused', patch, 'match', message)]
  }

  #refused(patch: Patch, reasons: ReadonlyMap<string, string>): Problem {
    const said = [...reasons].map(([reason, name]) => (name ? `of ${name}: ${reason}` : reason))
    const message = `the patch is left out, as Envoy would refuse what comes out ${said.join('; ')}`
    return this.#problem('error', 'patch-refused', patch, 'patch', message)
  }

  #filterOf({ cause: { namespace, name } }: Patch) {
    return this.#snapshot.envoyFilters.get(`${namespace}/${name}`)
  }

  #problem(severity: Severity, code: string, patch: Patch, field: string, message: string): Problem {
    const { kind, namespace, name, path } = patch.cause
    const at = `${path}.${field}`
    const position = this.#filterOf(patch)?.origin?.locate(at)
    return {
      severity,
      code,
      message,
      resource: { kind, namespace, name },
      path: at,
      ...(position ? { position } : {}),
    }
  }
}

/** The annotation by which an object says that something is as it should be: codes, or `*` for all. */
const SUPPRESS = 'galley.istio.io/analyze-suppress'
