import type { Provenance } from '@seine/envoy'
import { byAge, type MeshSnapshot, selects } from '@seine/model'
import type { Proxy } from '../proxy.ts'

/** The certificate by which a gateway is known to services that it reaches by TLS. */
export interface ClientCertificate {
  /** Its Secret, as `namespace/name`. */
  readonly secret: string
  readonly cause: Provenance
}

/** The certificate that a gateway shows, as its Gateway of the Gateway API has it; undefined where it has none. */
export function clientCertificateOf(
  { gateways }: Pick<MeshSnapshot, 'gateways'>,
  { type, namespace, labels }: Pick<Proxy, 'type' | 'namespace' | 'labels'>,
): ClientCertificate | undefined {
  if (type !== 'router') return undefined
  const [found] = [...gateways.values()]
    .filter(
      ({ clientCertificate, metadata, spec }) =>
        clientCertificate !== undefined && metadata.namespace === namespace && selects(spec.selector, labels),
    )
    .sort(byAge)
  if (!found?.clientCertificate || !found.derivedFrom) return undefined
  const cause = { ...found.derivedFrom, path: 'spec.tls.backend.clientCertificateRef' }
  return { secret: found.clientCertificate, cause }
}
