import type { MtlsMode, PeerAuthentication } from '@seine/api'
import type { Provenance } from '@seine/envoy'
import { type MeshSnapshot, selects } from '@seine/model'
import type { Proxy } from './proxy.ts'

/** How a workload takes connections, for each of its ports. */
export interface InboundMtls {
  modeOf(port: number): MtlsMode
  readonly default: MtlsMode
  readonly provenance: readonly Provenance[]
}

/**
 * The mTLS mode of a workload. As in Istio, a policy that selects the workload comes before one of its
 * namespace, and that before the mesh's in the root namespace; of several, the oldest by name holds;
 * UNSET inherits; without any it is PERMISSIVE.
 */
export function inboundMtls(snapshot: MeshSnapshot, proxy: Pick<Proxy, 'namespace' | 'labels'>): InboundMtls {
  const root = snapshot.config.rootNamespace
  const all = [...snapshot.peerAuthentications.values()].sort((a, b) =>
    a.metadata.name < b.metadata.name ? -1 : 1,
  )
  const hasSelector = (policy: PeerAuthentication) =>
    Object.keys(policy.spec.selector?.matchLabels ?? {}).length > 0
  const selecting = all.find(
    policy =>
      policy.metadata.namespace === proxy.namespace &&
      hasSelector(policy) &&
      selects(policy.spec.selector?.matchLabels, proxy.labels),
  )
  const ofNamespace = all.find(
    policy =>
      policy.metadata.namespace === proxy.namespace && proxy.namespace !== root && !hasSelector(policy),
  )
  const ofMesh = all.find(policy => policy.metadata.namespace === root && !hasSelector(policy))
  const chain = [selecting, ofNamespace, ofMesh].filter(policy => policy !== undefined)
  const fallback =
    chain.map(policy => setMode(policy.spec.mtls?.mode)).find(mode => mode !== undefined) ?? 'PERMISSIVE'
  return {
    default: fallback,
    modeOf: port => setMode(selecting?.spec.portLevelMtls?.[String(port)]?.mode) ?? fallback,
    provenance: chain.map(policy => ({
      kind: policy.kind,
      namespace: policy.metadata.namespace,
      name: policy.metadata.name,
      path: 'spec.mtls',
    })),
  }
}

function setMode(mode: string | undefined): MtlsMode | undefined {
  return mode === undefined || mode === 'UNSET' ? undefined : (mode as MtlsMode)
}
