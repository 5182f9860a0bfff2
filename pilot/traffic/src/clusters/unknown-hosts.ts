import type { MeshConfig } from '@seine/api'
import type { EncodedResource } from '@seine/envoy'
import { ClusterSchema, Cluster_LbPolicy as LbPolicy } from '@seine/envoy/envoy/config/cluster/v3/cluster'
import { familiesOf } from '../address-families.ts'
import { dynamicDiscovery } from '../dynamic-dns.ts'
import { encode } from '../encode.ts'
import { DYNAMIC_CLUSTER } from '../names.ts'
import { originatesTls } from '../outside.ts'
import type { Proxy } from '../proxy.ts'
import { connectionPoolFields, httpSettings } from './connection-settings.ts'
import { httpProtocolOptions, nameFromRequest } from './http-protocol.ts'
import { originatedTlsSocket } from './transport-security.ts'

/** The cluster of requests for hosts that the mesh does not know, where those are looked up; else none. */
export function unknownHostClusters(
  { connectTimeout, outboundTrafficPolicy: { mode, tls }, tlsDefaults, defaultTrafficPolicy }: MeshConfig,
  { addresses }: Pick<Proxy, 'addresses'>,
  keepsCase: boolean,
): EncodedResource[] {
  if (mode !== 'ALLOW_ANY_DYNAMIC_DNS') return []
  const secured = tls && originatesTls(tls) ? tls : undefined
  const pool = defaultTrafficPolicy?.connectionPool
  const sans = secured?.subjectAltNames ?? []
  const init = {
    name: DYNAMIC_CLUSTER,
    ...dynamicDiscovery(familiesOf(addresses)),
    lbPolicy: LbPolicy.CLUSTER_PROVIDED,
    ...connectionPoolFields(pool, { connectTimeout }),
    typedExtensionProtocolOptions: httpProtocolOptions('as-client', {
      ...httpSettings(pool),
      nameFromRequest: secured && nameFromRequest(secured, sans),
      keepsCase,
    }),
    ...(secured
      ? {
          transportSocket: originatedTlsSocket(secured, secured.sni || undefined, sans, [], tlsDefaults),
        }
      : {}),
  }
  return [encode(ClusterSchema, DYNAMIC_CLUSTER, init, [])]
}
