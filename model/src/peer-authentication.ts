import type { MtlsMode, PeerAuthentication } from '@seine/api'
import { byAge } from './age.ts'
import type { MeshSnapshot } from './snapshot.ts'
import { selects } from './workload.ts'

/** What a workload is told apart by when policies are looked for. */
export interface PolicyTarget {
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
}

/** How a workload takes connections, for each of its ports. */
export interface InboundMtls {
  modeOf(port: number): MtlsMode
  readonly default: MtlsMode
  /** Ports that a policy gives a mode of their own. */
  readonly ports: readonly number[]
  /** The policies that decided, the most specific first. */
  readonly policies: readonly PeerAuthentication[]
}

/**
 * The mTLS mode of a workload. As in Istio, a policy that selects the workload comes before one of its
 * namespace, and that before the mesh's in the root namespace; of several, the oldest holds; UNSET inherits;
 * without any it is PERMISSIVE.
 */
export function inboundMtls(
  { peerAuthentications, config }: Pick<MeshSnapshot, 'peerAuthentications' | 'config'>,
  { namespace, labels }: PolicyTarget,
): InboundMtls {
  const byNamespace = indexOf(peerAuthentications)
  const own = byNamespace.get(namespace)
  const selecting = own?.selecting.find(({ spec }) => selects(spec.selector?.matchLabels, labels))
  const ofMesh = byNamespace.get(config.rootNamespace)?.whole
  const ofNamespace = namespace === config.rootNamespace ? undefined : own?.whole
  const policies = [selecting, ofNamespace, ofMesh].filter(policy => policy !== undefined)
  const fallback =
    policies.map(({ spec }) => setMode(spec.mtls?.mode)).find(mode => mode !== undefined) ?? 'PERMISSIVE'
  const byPort = selecting?.spec.portLevelMtls ?? {}
  return {
    default: fallback,
    modeOf: port => setMode(byPort[String(port)]?.mode) ?? fallback,
    ports: Object.keys(byPort).map(Number),
    policies,
  }
}

/** The policies of one namespace. */
interface NamespacePolicies {
  /** The one for all its workloads. */
  readonly whole: PeerAuthentication | undefined
  /** Those with a selector, oldest first. */
  readonly selecting: readonly PeerAuthentication[]
}

const indexes = new WeakMap<MeshSnapshot['peerAuthentications'], Map<string, NamespacePolicies>>()

/** The policies by namespace. Made once for each set of policies, because every endpoint asks. */
function indexOf(policies: MeshSnapshot['peerAuthentications']): Map<string, NamespacePolicies> {
  const known = indexes.get(policies)
  if (known) return known
  const made = new Map<string, NamespacePolicies>()
  for (const policy of [...policies.values()].sort(byAge)) {
    const { whole, selecting } = made.get(policy.metadata.namespace) ?? { whole: undefined, selecting: [] }
    const isSelecting = Object.keys(policy.spec.selector?.matchLabels ?? {}).length > 0
    made.set(policy.metadata.namespace, {
      whole: isSelecting ? whole : (whole ?? policy),
      selecting: isSelecting ? [...selecting, policy] : selecting,
    })
  }
  indexes.set(policies, made)
  return made
}

function setMode(mode: string | undefined): MtlsMode | undefined {
  return mode === undefined || mode === 'UNSET' ? undefined : (mode as MtlsMode)
}
