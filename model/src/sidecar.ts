import type { Sidecar } from '@seine/api'
import { byAge } from './age.ts'
import type { PolicyTarget } from './peer-authentication.ts'
import type { MeshSnapshot } from './snapshot.ts'
import { selects } from './workload.ts'

/**
 * The Sidecar that holds for a workload: one of its namespace that selects it, else the namespace's own, else
 * the root namespace's. Of several, the oldest holds. As in Istio, they are not merged.
 */
export function effectiveSidecar(
  { sidecars, config }: Pick<MeshSnapshot, 'sidecars' | 'config'>,
  { namespace, labels }: PolicyTarget,
): Sidecar | undefined {
  if (sidecars.size === 0) return undefined
  const byNamespace = indexOf(sidecars)
  const own = byNamespace.get(namespace)
  return (
    own?.selecting.find(({ spec }) => selects(spec.workloadSelector?.labels, labels)) ??
    own?.whole ??
    byNamespace.get(config.rootNamespace)?.whole
  )
}

/** The Sidecars of one namespace. */
interface NamespaceSidecars {
  readonly whole: Sidecar | undefined
  /** Those with a selector, oldest first. */
  readonly selecting: readonly Sidecar[]
}

const indexes = new WeakMap<MeshSnapshot['sidecars'], Map<string, NamespaceSidecars>>()

/** The Sidecars by namespace. Made once for each set of them, because every proxy asks. */
function indexOf(sidecars: MeshSnapshot['sidecars']): Map<string, NamespaceSidecars> {
  const known = indexes.get(sidecars)
  if (known) return known
  const made = new Map<string, NamespaceSidecars>()
  for (const sidecar of [...sidecars.values()].sort(byAge)) {
    const { namespace } = sidecar.metadata
    const { whole, selecting } = made.get(namespace) ?? { whole: undefined, selecting: [] }
    const isSelecting = Object.keys(sidecar.spec.workloadSelector?.labels ?? {}).length > 0
    made.set(namespace, {
      whole: isSelecting ? whole : (whole ?? sidecar),
      selecting: isSelecting ? [...selecting, sidecar] : selecting,
    })
  }
  indexes.set(sidecars, made)
  return made
}
