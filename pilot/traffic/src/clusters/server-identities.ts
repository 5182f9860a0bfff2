import type { MeshService, MeshSnapshot, ServiceEndpoints } from '@seine/model'
import type { EffectivePolicy } from '../destination-rules.ts'

/** The names that a rule, or else the service, says its servers have; none where neither says any. */
export function listedNames(service: MeshService, { tls }: EffectivePolicy): readonly string[] {
  return tls?.subjectAltNames?.length ? tls.subjectAltNames : service.subjectAltNames
}

/** The names of which a server must have one for mutual TLS: those that are listed, else its endpoints' SPIFFE IDs. */
export function serverIdentities(
  inputs: {
    readonly snapshot: MeshSnapshot
    readonly service: MeshService
    readonly endpoints: ServiceEndpoints
  },
  policy: EffectivePolicy,
): readonly string[] {
  const { snapshot, service, endpoints } = inputs
  const listed = listedNames(service, policy)
  return listed.length > 0
    ? listed
    : endpoints.identities.map(path => `spiffe://${snapshot.config.trustDomain}/${path}`)
}
