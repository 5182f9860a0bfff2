import { type ClientTlsSettings, type MeshConfig, type TrafficPolicy, trustDomainsOf } from '@seine/api'
import { any } from '@seine/envoy'
import type {
  Cluster_TransportSocketMatchSchema,
  ClusterSchema,
} from '@seine/envoy/envoy/config/cluster/v3/cluster'
import type { TransportSocketSchema } from '@seine/envoy/envoy/config/core/v3/base'
import { ProxyProtocolConfig_Version as ProxyVersion } from '@seine/envoy/envoy/config/core/v3/proxy_protocol'
import { ProxyProtocolUpstreamTransportSchema } from '@seine/envoy/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol'
import { RawBufferSchema } from '@seine/envoy/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer'
import {
  SubjectAltNameMatcher_SanType as SanType,
  TlsParameters_TlsProtocol as Tls,
} from '@seine/envoy/envoy/extensions/transport_sockets/tls/v3/common'
import {
  type CommonTlsContextSchema,
  DownstreamTlsContextSchema,
  UpstreamTlsContextSchema,
} from '@seine/envoy/envoy/extensions/transport_sockets/tls/v3/tls'
import type { BackendTls } from '@seine/model'
import { AGENT_SECRETS, agentSds } from '../agent-sds.ts'
import { clientSecrets } from '../client-secrets.ts'
import type { Init } from '../init.ts'
import { combined, namespacedSecret, overSds } from '../listeners/server-tls.ts'
import { TLS_MODE_KEY } from '../names.ts'

type TransportSocketInit = Init<typeof TransportSocketSchema>
type MatchInit = Init<typeof Cluster_TransportSocketMatchSchema>
type SocketsInit = Pick<Init<typeof ClusterSchema>, 'transportSocket' | 'transportSocketMatches'>
type CommonTls = Init<typeof CommonTlsContextSchema>

/** Where the machine has the certificates of authorities that it trusts. */
const SYSTEM_AUTHORITIES = '/etc/ssl/certs/ca-certificates.crt'
const TLS_SOCKET = 'envoy.transport_sockets.tls'

/** The workload's own certificate, and a peer's checked against the mesh's root and, where given, these SPIFFE IDs. */
function meshTlsContext(alpn: readonly string[], peers: readonly string[]): CommonTls {
  return {
    alpnProtocols: [...alpn],
    tlsParams: { tlsMinimumProtocolVersion: Tls.TLSv1_2, tlsMaximumProtocolVersion: Tls.TLSv1_3 },
    tlsCertificateSdsSecretConfigs: [{ name: AGENT_SECRETS.certificate, sdsConfig: agentSds() }],
    validationContextType: {
      case: 'combinedValidationContext',
      value: {
        defaultValidationContext: {
          matchTypedSubjectAltNames: peers.map(id => ({
            sanType: SanType.URI,
            matcher: { matchPattern: { case: 'exact', value: id } },
          })),
        },
        validationContextSdsSecretConfig: { name: AGENT_SECRETS.root, sdsConfig: agentSds() },
      },
    },
  }
}

/** Mutual TLS towards another sidecar. */
export function meshTlsSocket(
  sni: string,
  peers: readonly string[],
  alpn: readonly string[],
): TransportSocketInit {
  const context = any(UpstreamTlsContextSchema, { sni, commonTlsContext: meshTlsContext(alpn, peers) })
  return { name: TLS_SOCKET, configType: { case: 'typedConfig', value: context } }
}

/** The server's side of mutual TLS: any identity of the mesh may connect; policy decides what it may do. */
export function inboundTlsSocket(
  config: Pick<MeshConfig, 'trustDomain' | 'trustDomainAliases' | 'meshMTLS'>,
  http: boolean,
): TransportSocketInit {
  const common = meshTlsContext(http ? ['h2', 'http/1.1'] : [], [])
  if (config.meshMTLS) common.tlsParams = tlsParams(config.meshMTLS)
  const prefixes = trustDomainsOf(config).map(domain => ({
    sanType: SanType.URI,
    matcher: { matchPattern: { case: 'prefix' as const, value: `spiffe://${domain}/` } },
  }))
  if (common.validationContextType?.case === 'combinedValidationContext') {
    common.validationContextType.value.defaultValidationContext = { matchTypedSubjectAltNames: prefixes }
  }
  const context = any(DownstreamTlsContextSchema, {
    requireClientCertificate: true,
    commonTlsContext: common,
  })
  return { name: TLS_SOCKET, configType: { case: 'typedConfig', value: context } }
}

/** TLS 1.2 and 1.3, unless the mesh's settings say otherwise. */
function tlsParams({
  minProtocolVersion,
  cipherSuites = [],
  ecdhCurves = [],
}: NonNullable<MeshConfig['tlsDefaults']> = {}): NonNullable<CommonTls['tlsParams']> {
  return {
    tlsMinimumProtocolVersion: minProtocolVersion === 'TLSV1_3' ? Tls.TLSv1_3 : Tls.TLSv1_2,
    tlsMaximumProtocolVersion: Tls.TLSv1_3,
    cipherSuites: [...cipherSuites],
    ecdhCurves: [...ecdhCurves],
  }
}

function inline(value: string) {
  return { specifier: { case: 'inlineString' as const, value } }
}

/** A hash that no certificate has: a connection that must fail can't be made. */
const NO_CERTIFICATE = '0'.repeat(64)

/**
 * TLS as a BackendTLSPolicy asks for it towards a service.
 *
 * @param certificate the Secret, as `namespace/name`, by whose certificate the client is known; undefined for none
 */
export function backendTlsSocket(
  { sni, subjectAltNames, authorities }: BackendTls,
  alpn: readonly string[],
  certificate: string | undefined,
): TransportSocketInit {
  const names = {
    matchTypedSubjectAltNames: subjectAltNames.map(({ type, value }) => ({
      sanType: SanType[type],
      matcher: { matchPattern: { case: 'exact' as const, value } },
    })),
  }
  const trust =
    authorities === 'none'
      ? { verifyCertificateHash: [NO_CERTIFICATE] }
      : { trustedCa: authorities === 'system' ? file(SYSTEM_AUTHORITIES) : inline(authorities), ...names }
  const commonTlsContext: CommonTls = {
    alpnProtocols: [...alpn],
    tlsParams: { tlsMinimumProtocolVersion: Tls.TLSv1_2, tlsMaximumProtocolVersion: Tls.TLSv1_3 },
    ...(certificate === undefined
      ? {}
      : { tlsCertificateSdsSecretConfigs: [overSds(namespacedSecret(certificate))] }),
    validationContextType: { case: 'validationContext', value: trust },
  }
  const context = any(UpstreamTlsContextSchema, { sni, commonTlsContext })
  return { name: TLS_SOCKET, configType: { case: 'typedConfig', value: context } }
}

/**
 * TLS as a DestinationRule asks for it towards something outside the mesh.
 *
 * @param name the server's, for SNI; undefined where it is known with each request only
 * @param sans the names of which the server's certificate must have one; empty for the server's own name
 */
export function originatedTlsSocket(
  tls: ClientTlsSettings,
  name: string | undefined,
  sans: readonly string[],
  alpn: readonly string[],
  defaults?: MeshConfig['tlsDefaults'],
): TransportSocketInit {
  // A chain that ends at a trusted root says nothing of whose it is: without names to check, the host's own is.
  const expected = sans.length > 0 || name === undefined ? sans : [name]
  const common: CommonTls = {
    alpnProtocols: [...alpn],
    tlsParams: tlsParams(defaults),
  }
  if (tls.clientCertificate && tls.privateKey) {
    common.tlsCertificates = [
      { certificateChain: file(tls.clientCertificate), privateKey: file(tls.privateKey) },
    ]
  }
  const secrets = clientSecrets(tls)
  if (secrets?.certificate) common.tlsCertificateSdsSecretConfigs = [overSds(secrets.certificate)]
  if (!tls.insecureSkipVerify) {
    const matchers = expected.map(san => ({
      sanType: san.includes('://') ? SanType.URI : SanType.DNS,
      matcher: { matchPattern: { case: 'exact' as const, value: san } },
    }))
    const names = { matchTypedSubjectAltNames: matchers }
    const trustedCa = file(tls.caCertificates ?? SYSTEM_AUTHORITIES)
    common.validationContextType = secrets?.authority
      ? combined(names, secrets.authority).validationContextType
      : {
          case: 'validationContext',
          value: { trustedCa, ...names, ...(tls.caCrl ? { crl: file(tls.caCrl) } : {}) },
        }
  }
  const context = any(UpstreamTlsContextSchema, {
    ...(name === undefined ? {} : { sni: name }),
    commonTlsContext: common,
  })
  return { name: TLS_SOCKET, configType: { case: 'typedConfig', value: context } }
}

function file(filename: string) {
  return { specifier: { case: 'filename' as const, value: filename } }
}

const RAW: TransportSocketInit = {
  name: 'envoy.transport_sockets.raw_buffer',
  configType: { case: 'typedConfig', value: any(RawBufferSchema, {}) },
}

/** The transport sockets of a cluster, with the PROXY protocol's header before what each sends. */
export function withProxyProtocol(
  settings: TrafficPolicy['proxyProtocol'],
  sockets: SocketsInit,
): SocketsInit {
  if (!settings) return sockets
  const version = settings.version === 'V2' ? ProxyVersion.V2 : ProxyVersion.V1
  const wrap = (transportSocket: TransportSocketInit): TransportSocketInit => ({
    name: 'envoy.transport_sockets.upstream_proxy_protocol',
    configType: {
      case: 'typedConfig',
      value: any(ProxyProtocolUpstreamTransportSchema, { config: { version }, transportSocket }),
    },
  })
  const { transportSocket: only = RAW, transportSocketMatches: matches } = sockets
  if (!matches) return { transportSocket: wrap(only as TransportSocketInit) }
  const wrapped = (matches as readonly MatchInit[]).map(match => ({
    ...match,
    transportSocket: wrap((match.transportSocket ?? RAW) as TransportSocketInit),
  }))
  return { transportSocketMatches: wrapped }
}

/** Mutual TLS for endpoints that take it, plaintext for the others: for services of which only some have a sidecar. */
export function socketByEndpoint(mesh: TransportSocketInit): MatchInit[] {
  return [
    { name: 'tlsMode-istio', match: { [TLS_MODE_KEY]: 'istio' }, transportSocket: mesh },
    { name: 'tlsMode-disabled', match: {}, transportSocket: RAW },
  ]
}
