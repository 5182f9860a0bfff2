import type { MeshConfig } from '@seine/api'
import type { BackendTls, Endpoint, MeshService, ServiceEndpoints, ServicePort } from '@seine/model'
import { type EffectivePolicy, goesWhereClientWent } from '../destination-rules.ts'

/** What of a service decides whether it is called by mutual TLS of the mesh. */
export interface MeshTlsInputs {
  readonly service: MeshService
  readonly endpoints: ServiceEndpoints
  readonly config: Pick<MeshConfig, 'enableAutoMtls'>
}

/** Whether a cluster speaks mutual TLS of the mesh: as the rule says or, without one, by itself. */
export function usesMeshTls({ service, config, endpoints }: MeshTlsInputs, policy: EffectivePolicy): boolean {
  if (policy.tls) return policy.tls.mode === 'ISTIO_MUTUAL'
  if (!config.enableAutoMtls || service.external || endpoints.meshed === 'none') return false
  // Where clients choose the endpoint by themselves, the cluster can't tell one that takes TLS from another.
  const isInside = service.resolution === 'static' || service.headless
  return isInside && (endpoints.meshed === 'all' || !goesWhereClientWent(service, policy))
}

/** Whether an endpoint is called by it: where a rule does not say that all are, one that does not take it is not. */
export function isCalledByMeshTls(
  { meshed }: Pick<Endpoint, 'meshed'>,
  inputs: MeshTlsInputs,
  policy: EffectivePolicy,
): boolean {
  return usesMeshTls(inputs, policy) && (meshed || policy.tls !== undefined)
}

/** What the Gateway API says of TLS towards a port: what is said of it, else what is said of all. */
export function backendTlsAt(
  { backendTls = [] }: { readonly backendTls?: readonly BackendTls[] | undefined },
  { number }: ServicePort,
): BackendTls | undefined {
  return backendTls.find(({ port }) => port === number) ?? backendTls.find(({ port }) => port === undefined)
}

/** TLS that a policy of the Gateway API asks for stands in place of what a DestinationRule does. */
export function withBackendTls(policy: EffectivePolicy, backend: BackendTls | undefined): EffectivePolicy {
  return backend ? { ...policy, tls: { mode: 'SIMPLE', sni: backend.sni } } : policy
}
