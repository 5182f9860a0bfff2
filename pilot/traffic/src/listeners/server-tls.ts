import { isIpAddress, type MeshConfig, type ServerTlsSettings } from '@seine/api'
import { any, duration } from '@seine/envoy'
import type { TransportSocketSchema } from '@seine/envoy/envoy/config/core/v3/base'
import {
  type CertificateValidationContextSchema,
  SubjectAltNameMatcher_SanType as SanType,
  TlsParameters_TlsProtocol as Tls,
  CertificateValidationContext_TrustChainVerification as Verification,
} from '@seine/envoy/envoy/extensions/transport_sockets/tls/v3/common'
import type { SdsSecretConfigSchema } from '@seine/envoy/envoy/extensions/transport_sockets/tls/v3/secret'
import {
  type CommonTlsContextSchema,
  DownstreamTlsContextSchema,
} from '@seine/envoy/envoy/extensions/transport_sockets/tls/v3/tls'
import type { ServedListener } from '@seine/model'
import { AGENT_SECRETS, agentSds } from '../agent-sds.ts'
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
  defaults: MeshConfig['tlsDefaults'],
  credentials: Credentials = {},
): Init<typeof TransportSocketSchema> {
  const written = tls.minProtocolVersion ?? 'TLS_AUTO'
  const minimum = VERSIONS[written === 'TLS_AUTO' ? (defaults?.minProtocolVersion ?? written) : written]
  const common: CommonTls = {
    alpnProtocols: [...alpnProtocols],
    tlsParams: {
      // What TLS_AUTO is for a server, as Istio has it.
      tlsMinimumProtocolVersion: minimum === Tls.TLS_AUTO ? Tls.TLSv1_2 : minimum,
      tlsMaximumProtocolVersion: VERSIONS[tls.maxProtocolVersion ?? 'TLS_AUTO'],
      cipherSuites: [...new Set(tls.cipherSuites?.length ? tls.cipherSuites : defaults?.cipherSuites)],
      ecdhCurves: [...(defaults?.ecdhCurves ?? [])],
    },
    ...certificatesOf(tls, credentials),
    ...validationOf(tls, credentials),
  }
  const context = any(DownstreamTlsContextSchema, {
    commonTlsContext: common,
    requireClientCertificate: tls.mode === 'MUTUAL',
  })
  return { name: 'envoy.transport_sockets.tls', configType: { case: 'typedConfig', value: context } }
}

/** What a listener of the Gateway API says of certificates in other words than Istio's. */
export interface Credentials extends Pick<ServedListener, 'certificates' | 'clientCertificateOptional'> {
  /** The name, as SDS has it, of the authorities by which certificates of clients are checked. */
  readonly clientAuthority?: string | undefined
}

function certificatesOf(tls: ServerTlsSettings, credentials: Credentials): CommonTls {
  const secrets = certificateSecrets(tls, credentials)
  if (secrets.length > 0) return { tlsCertificateSdsSecretConfigs: secrets.map(overSds) }
  return {
    tlsCertificates: (tls.tlsCertificates ?? [tls]).map(({ serverCertificate, privateKey }) => ({
      certificateChain: file(serverCertificate ?? ''),
      privateKey: file(privateKey ?? ''),
    })),
  }
}

/** How certificates of clients are checked, where they are asked for. */
function validationOf(
  tls: ServerTlsSettings,
  { clientAuthority, clientCertificateOptional }: Credentials,
): CommonTls {
  if (tls.mode !== 'MUTUAL' && tls.mode !== 'OPTIONAL_MUTUAL') return {}
  if (clientAuthority !== undefined) {
    // Untrusted ones are looked at, and let in.
    const lenient = clientCertificateOptional ? { trustChainVerification: Verification.ACCEPT_UNTRUSTED } : {}
    return combined(lenient, clientAuthority)
  }
  // Whoever has a certificate may come, whosever it is. Envoy asks for one only where it knows some authority.
  if (tls.insecureSkipVerify)
    return {
      validationContextType: {
        case: 'combinedValidationContext',
        value: {
          defaultValidationContext: { trustChainVerification: Verification.ACCEPT_UNTRUSTED },
          validationContextSdsSecretConfig: { name: AGENT_SECRETS.root, sdsConfig: agentSds() },
        },
      },
    }
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
  if (authority !== undefined) return combined(context, authority)
  const trustedCa = file(tls.caCertificates ?? '')
  return { validationContextType: { case: 'validationContext', value: { trustedCa, ...context } } }
}

/** A check against authorities that come over SDS. */
export function combined(
  defaultValidationContext: Init<typeof CertificateValidationContextSchema>,
  authority: string,
): { validationContextType: NonNullable<CommonTls['validationContextType']> } {
  return {
    validationContextType: {
      case: 'combinedValidationContext',
      value: { defaultValidationContext, validationContextSdsSecretConfig: overSds(authority) },
    },
  }
}

const SCHEME = 'kubernetes://'
/** Before a name with its namespace, which Istio writes so as well. */
const ANY_NAMESPACE = 'kubernetes-gateway://'

/** The name, as SDS has it, of a secret in the proxy's own namespace. */
export function credentialSecret(name: string): string {
  return SCHEME + name
}

/** The name, as SDS has it, of a secret that is given as `namespace/name`. */
export function namespacedSecret(name: string): string {
  return ANY_NAMESPACE + name
}

/** The names, as SDS has them, of the secrets from which a server's own certificates come. */
export function certificateSecrets(
  { credentialName, credentialNames }: ServerTlsSettings,
  { certificates = [] }: Credentials = {},
): string[] {
  if (certificates.length > 0) return certificates.map(namespacedSecret)
  return [...(credentialName ? [credentialName] : []), ...(credentialNames ?? [])].map(credentialSecret)
}

/** The name of the secret by which certificates of clients are checked; undefined where none is. */
export function authoritySecret(tls: ServerTlsSettings): string | undefined {
  if ((tls.mode !== 'MUTUAL' && tls.mode !== 'OPTIONAL_MUTUAL') || tls.insecureSkipVerify) return undefined
  if (tls.caCertCredentialName) return credentialSecret(tls.caCertCredentialName)
  const [first] = certificateSecrets(tls)
  return first === undefined ? undefined : `${first}${AUTHORITY_SUFFIX}`
}

/** What the name of a secret ends in that holds certificates of authorities only. */
export const AUTHORITY_SUFFIX = '-cacert'

/** The Kubernetes Secret that a name of SDS stands for, for a gateway of a namespace. */
export function secretOf(
  sdsName: string,
  namespace: string,
): { readonly namespace: string; readonly name: string } | undefined {
  if (sdsName.startsWith(ANY_NAMESPACE)) {
    const [own = '', name = ''] = sdsName.slice(ANY_NAMESPACE.length).split('/')
    return { namespace: own, name }
  }
  return sdsName.startsWith(SCHEME) ? { namespace, name: sdsName.slice(SCHEME.length) } : undefined
}

/** The names by which a secret, `namespace/name`, may be asked for. */
export function sdsNamesOf(secret: string): string[] {
  const name = secret.slice(secret.indexOf('/') + 1)
  return [SCHEME + name, `${SCHEME}${name}${AUTHORITY_SUFFIX}`, ANY_NAMESPACE + secret]
}

/** A listener waits so long for its certificates at first; what is missing then refuses handshakes, and nothing else. */
const SECRET_WAIT_MS = 2000

/** A secret that pilot serves, to proxies that need it. */
export function overSds(name: string): Init<typeof SdsSecretConfigSchema> {
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
