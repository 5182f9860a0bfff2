import type { ServerTlsSettings } from '@seine/api'
import { any } from '@seine/envoy'
import type { TransportSocketSchema } from '@seine/envoy/envoy/config/core/v3/base'
import { TlsParameters_TlsProtocol as Tls } from '@seine/envoy/envoy/extensions/transport_sockets/tls/v3/common'
import {
  type CommonTlsContextSchema,
  DownstreamTlsContextSchema,
} from '@seine/envoy/envoy/extensions/transport_sockets/tls/v3/tls'
import type { Init } from '../init.ts'

type CommonTls = Init<typeof CommonTlsContextSchema>

const VERSIONS = {
  TLS_AUTO: Tls.TLS_AUTO,
  TLSV1_0: Tls.TLSv1_0,
  TLSV1_1: Tls.TLSv1_1,
  TLSV1_2: Tls.TLSv1_2,
  TLSV1_3: Tls.TLSv1_3,
} as const

/** The server's side of TLS as somebody wrote it down, with certificates from files on the workload's disk. */
export function serverTlsSocket(
  tls: ServerTlsSettings,
  alpnProtocols: readonly string[],
): Init<typeof TransportSocketSchema> {
  const isMutual = tls.mode === 'MUTUAL' || tls.mode === 'OPTIONAL_MUTUAL'
  const minimum = VERSIONS[tls.minProtocolVersion ?? 'TLS_AUTO']
  const common: CommonTls = {
    alpnProtocols: [...alpnProtocols],
    tlsParams: {
      // What TLS_AUTO is for a server, as Istio has it.
      tlsMinimumProtocolVersion: minimum === Tls.TLS_AUTO ? Tls.TLSv1_2 : minimum,
      tlsMaximumProtocolVersion: VERSIONS[tls.maxProtocolVersion ?? 'TLS_AUTO'],
      cipherSuites: [...new Set(tls.cipherSuites)],
    },
    tlsCertificates: [
      { certificateChain: file(tls.serverCertificate ?? ''), privateKey: file(tls.privateKey ?? '') },
    ],
    ...(isMutual
      ? {
          validationContextType: {
            case: 'validationContext',
            value: {
              trustedCa: file(tls.caCertificates ?? ''),
              ...(tls.caCrl ? { crl: file(tls.caCrl) } : {}),
              verifyCertificateSpki: [...(tls.verifyCertificateSpki ?? [])],
              verifyCertificateHash: [...(tls.verifyCertificateHash ?? [])],
            },
          },
        }
      : {}),
  }
  const context = any(DownstreamTlsContextSchema, {
    commonTlsContext: common,
    requireClientCertificate: tls.mode === 'MUTUAL',
  })
  return { name: 'envoy.transport_sockets.tls', configType: { case: 'typedConfig', value: context } }
}

function file(filename: string) {
  return { specifier: { case: 'filename' as const, value: filename } }
}
