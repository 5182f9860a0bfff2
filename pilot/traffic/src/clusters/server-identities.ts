import { trustDomainsOf } from '@seine/api'
import type { MeshService, MeshSnapshot, ServiceEndpoints } from '@seine/model'
import type { EffectivePolicy } from '../destination-rules.ts'

/** The names that a rule, or else the service, says its servers have; none where neither says any. */
export function listedNames(service: MeshService, { tls }: EffectivePolicy): readonly string[] {
  return tls?.subjectAltNames?.length ? tls.subjectAltNames : service.subjectAltNames
}

/**
 * The names of which a server must have one for mutual TLS: those that are listed, else its endpoints' SPIFFE IDs. Where an
 * ID is of the mesh, the same of each alias of its trust domain will do; what a rule lists is meant as it is, as in Istio.
 */
export function serverIdentities(
  inputs: {
    readonly snapshot: MeshSnapshot
    readonly service: MeshService
    readonly endpoints: ServiceEndpoints
  },
  policy: EffectivePolicy,
): readonly string[] {
  const { snapshot, service, endpoints } = inputs
  const byRule = policy.tls?.subjectAltNames ?? []
  if (byRule.length > 0) return byRule
  const domains = trustDomainsOf(snapshot.config)
  const ofService = service.subjectAltNames.flatMap(name => {
    const [, domain = '', path = ''] = /^spiffe:\/\/([^/]+)\/(.*)$/.exec(name) ?? []
    return domains.includes(domain) ? inEach([path], domains) : name
  })
  return ofService.length > 0 ? [...new Set(ofService)] : inEach(endpoints.identities, domains)
}

/** The SPIFFE IDs of some accounts in each of some trust domains. */
function inEach(paths: readonly string[], domains: readonly string[]): string[] {
  return domains.flatMap(domain => paths.map(path => `spiffe://${domain}/${path}`))
}
