import { any } from '@seine/envoy'
import type { TransportSocketSchema } from '@seine/envoy/envoy/config/core/v3/base'
import {
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from '@seine/envoy/envoy/extensions/transport_sockets/tls/v3/tls'
import type { StringMatcherSchema } from '@seine/envoy/envoy/type/matcher/v3/string'
import type { Init } from '../init.ts'

type TransportSocketInit = Init<typeof TransportSocketSchema>
type StringInit = Init<typeof StringMatcherSchema>

/** The provider of certificates in the bootstrap that the agent writes: files, which it renews. */
const PROVIDER = 'default'
const TLS_SOCKET = 'envoy.transport_sockets.tls'

function identity() {
  return { tlsCertificateProviderInstance: { instanceName: PROVIDER, certificateName: 'default' } }
}

function trusted(names: readonly StringInit[]) {
  return {
    validationContextType: {
      case: 'validationContext' as const,
      value: {
        caCertificateProviderInstance: { instanceName: PROVIDER, certificateName: 'ROOTCA' },
        // The older form, and the only one that gRPC reads.
        matchSubjectAltNames: [...names],
      },
    },
  }
}

/**
 * Mutual TLS of a gRPC client: its certificate and the mesh's root come from files, and the server's SPIFFE ID must be
 * one of `peers`; without any, one of the trust domain or of an alias. gRPC refuses TLS parameters and secrets by SDS.
 */
export function clientTlsSocket(
  peers: readonly string[],
  trustDomains: readonly string[],
): TransportSocketInit {
  const names: StringInit[] =
    peers.length > 0
      ? peers.map(id => ({ matchPattern: { case: 'exact', value: id } }))
      : trustDomains.map(domain => ({ matchPattern: { case: 'prefix', value: `spiffe://${domain}/` } }))
  const context = any(UpstreamTlsContextSchema, {
    commonTlsContext: { ...identity(), ...trusted(names) },
  })
  return { name: TLS_SOCKET, configType: { case: 'typedConfig', value: context } }
}

/** Mutual TLS of a gRPC server: whoever has a certificate of the mesh may connect; policy decides what it may do. */
export function serverTlsSocket(): TransportSocketInit {
  const context = any(DownstreamTlsContextSchema, {
    requireClientCertificate: true,
    commonTlsContext: { ...identity(), ...trusted([]) },
  })
  return { name: TLS_SOCKET, configType: { case: 'typedConfig', value: context } }
}
