import { isIpAddress, type ServerTlsSettings } from '@seine/api'
import { any, duration } from '@seine/envoy'
import type { TransportSocketSchema } from '@seine/envoy/envoy/config/core/v3/base'
import {
  SubjectAltNameMatcher_SanType as SanType,
  TlsParameters_TlsProtocol as Tls,
} from '@seine/envoy/envoy/extensions/transport_sockets/tls/v3/common'
import type { SdsSecretConfigSchema } from '@seine/envoy/envoy/extensions/transport_sockets/tls/v3/secret'
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

/**
 * The server's side of TLS as somebody wrote it down, with certificates from files on the workload's disk or, where
 * a credential is named, from pilot over SDS.
 */
export function serverTlsSocket(
  tls: ServerTlsSettings,
  alpnProtocols: readonly string[],
): Init<typeof TransportSocketSchema> {
  const minimum = VERSIONS[tls.minProtocolVersion ?? 'TLS_AUTO']
  const common: CommonTls = {
    alpnProtocols: [...alpnProtocols],
    tlsParams: {
      // What TLS_AUTO is for a server, as Istio has it.
      tlsMinimumProtocolVersion: minimum === Tls.TLS_AUTO ? Tls.TLSv1_2 : minimum,
      tlsMaximumProtocolVersion: VERSIONS[tls.maxProtocolVersion ?? 'TLS_AUTO'],
      cipherSuites: [...new Set(tls.cipherSuites)],
    },
    ...certificatesOf(tls),
    ...validationOf(tls),
  }
  const context = any(DownstreamTlsContextSchema, {
    commonTlsContext: common,
    requireClientCertificate: tls.mode === 'MUTUAL',
  })
  return { name: 'envoy.transport_sockets.tls', configType: { case: 'typedConfig', value: context } }
}

function certificatesOf(tls: ServerTlsSettings): CommonTls {
  const credentials = certificateSecrets(tls)
  if (credentials.length > 0) return { tlsCertificateSdsSecretConfigs: credentials.map(overSds) }
  return {
    tlsCertificates: (tls.tlsCertificates ?? [tls]).map(({ serverCertificate, privateKey }) => ({
      certificateChain: file(serverCertificate ?? ''),
      privateKey: file(privateKey ?? ''),
    })),
  }
}

/** How certificates of clients are checked, where they are asked for. */
function validationOf(tls: ServerTlsSettings): CommonTls {
  if (tls.mode !== 'MUTUAL' && tls.mode !== 'OPTIONAL_MUTUAL') return {}
  const context = {
    ...(tls.caCrl ? { crl: file(tls.caCrl) } : {}),
    verifyCertificateSpki: [...(tls.verifyCertificateSpki ?? [])],
    verifyCertificateHash: [...(tls.verifyCertificateHash ?? [])],
    matchTypedSubjectAltNames: (tls.subjectAltNames ?? []).map(name => ({
      sanType: sanTypeOf(name),
      matcher: { matchPattern: { case: 'exact' as const, value: name } },
    })),
  }
  const authority = authoritySecret(tls)
  if (authority !== undefined)
    return {
      validationContextType: {
        case: 'combinedValidationContext',
        value: { defaultValidationContext: context, validationContextSdsSecretConfig: overSds(authority) },
      },
    }
  const trustedCa = file(tls.caCertificates ?? '')
  return { validationContextType: { case: 'validationContext', value: { trustedCa, ...context } } }
}

const SCHEME = 'kubernetes://'

/** The names, as SDS has them, of the secrets from which a server's own certificates come. */
export function certificateSecrets({ credentialName, credentialNames }: ServerTlsSettings): string[] {
  return [...(credentialName ? [credentialName] : []), ...(credentialNames ?? [])].map(name => SCHEME + name)
}

/** The name of the secret by which certificates of clients are checked; undefined where none is. */
export function authoritySecret(tls: ServerTlsSettings): string | undefined {
  if (tls.mode !== 'MUTUAL' && tls.mode !== 'OPTIONAL_MUTUAL') return undefined
  if (tls.caCertCredentialName) return SCHEME + tls.caCertCredentialName
  const [first] = certificateSecrets(tls)
  return first === undefined ? undefined : `${first}${AUTHORITY_SUFFIX}`
}

/** What the name of a secret ends in that holds certificates of authorities only. */
export const AUTHORITY_SUFFIX = '-cacert'

/** The name of a Kubernetes Secret that a name of SDS stands for. */
export function secretName(sdsName: string): string | undefined {
  return sdsName.startsWith(SCHEME) ? sdsName.slice(SCHEME.length) : undefined
}

/** A listener waits so long for its certificates at first; what is missing then refuses handshakes, and nothing else. */
const SECRET_WAIT_MS = 2000

function overSds(name: string): Init<typeof SdsSecretConfigSchema> {
  return {
    name,
    sdsConfig: {
      resourceApiVersion: 2,
      initialFetchTimeout: duration(SECRET_WAIT_MS),
      configSourceSpecifier: { case: 'ads', value: {} },
    },
  }
}

function sanTypeOf(name: string): SanType {
  if (name.includes('://')) return SanType.URI
  if (name.includes('@')) return SanType.EMAIL
  return isIpAddress(name) ? SanType.IP_ADDRESS : SanType.DNS
}

function file(filename: string) {
  return { specifier: { case: 'filename' as const, value: filename } }
}
