import { create } from '@bufbuild/protobuf'
import { type DestinationRule, durationMs, type MeshConfig, type Subset } from '@seine/api'
import { any, duration, type EncodedResource, type Provenance } from '@seine/envoy'
import {
  ClusterSchema,
  type ClusterSchema as ClusterSchemaType,
  Cluster_DiscoveryType as DiscoveryType,
  Cluster_LbPolicy as LbPolicy,
} from '@seine/envoy/envoy/config/cluster/v3/cluster'
import { ConfigSourceSchema } from '@seine/envoy/envoy/config/core/v3/config_source'
import { DnsLookupFamily } from '@seine/envoy/envoy/extensions/clusters/common/dns/v3/dns'
import { DnsClusterSchema } from '@seine/envoy/envoy/extensions/clusters/dns/v3/dns_cluster'
import {
  type BackendTls,
  isHttp,
  isHttp2,
  type MeshService,
  type MeshSnapshot,
  type ServiceEndpoints,
  type ServicePort,
} from '@seine/model'
import type { AddressFamilies } from '../address-families.ts'
import { standsFor } from '../destination.ts'
import { type EffectivePolicy, effectivePolicy, goesWhereClientWent } from '../destination-rules.ts'
import { dynamicDiscovery } from '../dynamic-dns.ts'
import { encode } from '../encode.ts'
import { dnsReached, localityOf } from '../endpoints.ts'
import type { ClientCertificate } from '../gateway/client-certificate.ts'
import type { Init } from '../init.ts'
import { type ClientPlace, localitySetting } from '../locality.ts'
import { MeshAlpn, outboundClusterName, sniOf, TELEMETRY_METADATA } from '../names.ts'
import { causesOfGateways, type NetworkView, type ReachedGroup } from '../networks.ts'
import { originatesTls } from '../outside.ts'
import { provenanceMetadata } from '../provenance-metadata.ts'
import { clusterCauses } from './causes.ts'
import {
  connectionPoolFields,
  httpSettings,
  loadBalancerFields,
  outlierDetectionFields,
} from './connection-settings.ts'
import { alpnOf, type HttpVersion, httpProtocolOptions, nameFromRequest } from './http-protocol.ts'
import { backendTlsAt, usesMeshTls, withBackendTls } from './mesh-tls.ts'
import { listedNames, serverIdentities } from './server-identities.ts'
import {
  backendTlsSocket,
  meshTlsSocket,
  originatedTlsSocket,
  socketByEndpoint,
  withProxyProtocol,
} from './transport-security.ts'

/**
 * What DNS is asked for. A client of both families takes all addresses and connects to those that answer. Where
 * workloads have no IPv6, what only has an address of that kind could not be reached anyway.
 */
const LOOKUP = {
  ipv4: DnsLookupFamily.V4_PREFERRED,
  ipv6: DnsLookupFamily.V6_ONLY,
  dual: DnsLookupFamily.ALL,
} as const

type ClusterInit = Init<typeof ClusterSchemaType>

/** What a service's clusters are made from. */
export interface OutboundClusterInputs {
  readonly snapshot: MeshSnapshot
  readonly service: MeshService
  readonly endpoints: ServiceEndpoints
  readonly rule: DestinationRule | undefined
  readonly client: ClientPlace
  /** The addresses that the client has, and by which it can reach others. */
  readonly families: AddressFamilies
  readonly view: NetworkView
  /** What the Gateway API asks of gateways that connect to the service. */
  readonly backendTls?: readonly BackendTls[] | undefined
  /** Names of headers keep the letters that they were written with, over HTTP/1.1. */
  readonly keepsCase: boolean
  /** The certificate by which they are known there. */
  readonly clientCertificate?: ClientCertificate | undefined
}

/**
 * The clusters of a service: one for each port, and one for each port and subset. A service that is another
 * name for one of the mesh has none of its own.
 */
export function outboundClusters(inputs: OutboundClusterInputs): EncodedResource[] {
  const subsets: (Subset | undefined)[] = [undefined, ...(inputs.rule?.spec.subsets ?? [])]
  const { service, snapshot } = inputs
  return service.ports
    .filter(port => !standsFor(snapshot.services, service, port.number))
    .flatMap(port => subsets.map(subset => outboundCluster(inputs, port, subset)))
}

function outboundCluster(
  inputs: OutboundClusterInputs,
  port: ServicePort,
  subset: Subset | undefined,
): EncodedResource {
  const { service, rule, snapshot } = inputs
  const name = outboundClusterName(port.number, subset?.name ?? '', service.hostname)
  const backend = backendTlsAt(inputs, port)
  const policy = withBackendTls(effectivePolicy(rule, subset, port.number, snapshot.config), backend)
  const reached = isResolved(service)
    ? dnsReached({ ...inputs, config: snapshot.config }, port, subset)
    : undefined
  const provenance = [
    ...clusterCauses(inputs, port, subset, policy),
    ...backendCauses(inputs, backend),
    ...causesOfGateways(reached?.groups ?? []),
  ]
  const version = httpVersion(inputs, port, policy)
  const init: ClusterInit = {
    name,
    ...discoveryFields(inputs, policy, name, reached?.groups ?? []),
    ...connectionPoolFields(policy.connectionPool, snapshot.config, policy.retryBudget),
    ...lbFields(inputs, policy),
    ...outlierDetectionFields(policy.outlierDetection),
    ...commonLbFields(service, policy, snapshot.config),
    ...withProxyProtocol(policy.proxyProtocol, securityFields(inputs, port, subset, policy, version)),
    ...(version ? protocolFields(inputs, policy, version) : {}),
    metadata: {
      filterMetadata: {
        [TELEMETRY_METADATA]: {
          services: [{ host: service.hostname, name: service.name, namespace: service.namespace }],
        },
        ...provenanceMetadata(provenance),
      },
    },
  }
  const made = encode(ClusterSchema, name, init, provenance)
  return reached?.notes.length ? { ...made, notes: reached.notes } : made
}

function isResolved({ resolution }: MeshService): boolean {
  return resolution === 'dns' || resolution === 'dns-round-robin'
}

function backendCauses(
  { clientCertificate }: OutboundClusterInputs,
  backend: BackendTls | undefined,
): Provenance[] {
  if (!backend) return []
  return clientCertificate ? [backend.cause, clientCertificate.cause] : [backend.cause]
}

/** Places have shares where they are said; else only their endpoints count. */
export function commonLbFields(
  service: MeshService,
  policy: EffectivePolicy,
  config: MeshConfig,
): ClusterInit {
  const panic = policy.outlierDetection && { value: policy.outlierDetection.minHealthPercent ?? 0 }
  const isDistributed = localitySetting(service, config, policy)?.distribute?.length
  if (!panic && !isDistributed) return {}
  return {
    commonLbConfig: {
      ...(panic ? { healthyPanicThreshold: panic } : {}),
      ...(isDistributed
        ? { localityConfigSpecifier: { case: 'localityWeightedLbConfig' as const, value: {} } }
        : {}),
    },
  }
}

function lbFields({ service }: OutboundClusterInputs, policy: EffectivePolicy): ClusterInit {
  if (goesWhereClientWent(service, policy) || service.resolution === 'dynamic-dns')
    return { lbPolicy: LbPolicy.CLUSTER_PROVIDED }
  return loadBalancerFields(policy.loadBalancer)
}

/** Endpoints that come by EDS, under the cluster's own name. */
export function edsFields(name: string): ClusterInit {
  return {
    clusterDiscoveryType: { case: 'type', value: DiscoveryType.EDS },
    edsClusterConfig: {
      serviceName: name,
      edsConfig: create(ConfigSourceSchema, {
        resourceApiVersion: 2,
        initialFetchTimeout: duration(0),
        configSourceSpecifier: { case: 'ads', value: {} },
      }),
    },
  }
}

function discoveryFields(
  inputs: OutboundClusterInputs,
  policy: EffectivePolicy,
  name: string,
  resolved: readonly ReachedGroup[],
): ClusterInit {
  const { service } = inputs
  if (goesWhereClientWent(service, policy))
    return { clusterDiscoveryType: { case: 'type', value: DiscoveryType.ORIGINAL_DST } }
  switch (service.resolution) {
    case 'static':
      return edsFields(name)
    case 'dns':
    case 'dns-round-robin': {
      const endpoints = resolved.map(localityOf)
      const dns = any(DnsClusterSchema, {
        dnsRefreshRate: duration(durationMs(inputs.snapshot.config.dnsRefreshRate)),
        respectDnsTtl: true,
        dnsLookupFamily: LOOKUP[inputs.families],
        // A subset can be left without any name, where there must be one for this.
        allAddressesInSingleEndpoint: service.resolution === 'dns-round-robin' && endpoints.length > 0,
      })
      return {
        clusterDiscoveryType: { case: 'clusterType', value: { name: 'envoy.cluster.dns', typedConfig: dns } },
        loadAssignment: { clusterName: name, endpoints },
      }
    }
    case 'dynamic-dns':
      return dynamicDiscovery(inputs.families)
    default:
      return {}
  }
}

/** The HTTP that endpoints get; undefined for a port that is not known to speak it. */
function httpVersion(
  inputs: OutboundClusterInputs,
  port: ServicePort,
  policy: EffectivePolicy,
): HttpVersion | undefined {
  if (!isHttp(port.protocol)) return undefined
  if (policy.connectionPool?.http?.useClientProtocol || port.protocol === 'auto') return 'as-client'
  return speaksHttp2(inputs, port, policy) ? 'http2' : 'http1'
}

/** HTTP/2 between sidecars costs less than HTTP/1.1 and needs every endpoint to have one; else the port's own protocol decides. */
function speaksHttp2(inputs: OutboundClusterInputs, port: ServicePort, policy: EffectivePolicy): boolean {
  if (isHttp2(port.protocol)) return true
  const own = policy.connectionPool?.http?.h2UpgradePolicy ?? 'DEFAULT'
  const upgrade = own === 'DEFAULT' ? inputs.snapshot.config.h2UpgradePolicy : own
  if (upgrade === 'UPGRADE') return true
  // HTTP/2 has small letters only.
  if (upgrade === 'DO_NOT_UPGRADE' || inputs.keepsCase) return false
  return usesMeshTls(meshTls(inputs), policy) && inputs.endpoints.meshed === 'all'
}

function meshTls({ service, endpoints, snapshot }: OutboundClusterInputs) {
  return { service, endpoints, config: snapshot.config }
}

function securityFields(
  inputs: OutboundClusterInputs,
  port: ServicePort,
  subset: Subset | undefined,
  policy: EffectivePolicy,
  version: HttpVersion | undefined,
): ClusterInit {
  const { service, snapshot, endpoints } = inputs
  const backend = backendTlsAt(inputs, port)
  if (backend)
    return { transportSocket: backendTlsSocket(backend, alpnOf(version), inputs.clientCertificate?.secret) }
  const mode = policy.tls?.mode
  if (policy.tls && (mode === 'SIMPLE' || mode === 'MUTUAL')) {
    const sans = listedNames(service, policy)
    const name = serverName(service, policy)
    return {
      transportSocket: originatedTlsSocket(
        policy.tls,
        name,
        sans,
        alpnOf(version),
        snapshot.config.tlsDefaults,
      ),
    }
  }
  if (!usesMeshTls(meshTls(inputs), policy)) return {}
  const peers = serverIdentities(inputs, policy)
  const sni = policy.tls?.sni || sniOf(port.number, subset?.name ?? '', service.hostname)
  const alpn = version ? [MeshAlpn.http, ...alpnOf(version)] : [MeshAlpn.tcp]
  const socket = meshTlsSocket(sni, peers, alpn)
  return endpoints.meshed === 'some' && mode === undefined
    ? { transportSocketMatches: socketByEndpoint(socket) }
    : { transportSocket: socket }
}

/** By what name a server outside the mesh is asked for; undefined where a wildcard leaves it to each request. */
function serverName(service: MeshService, policy: EffectivePolicy): string | undefined {
  const name = policy.tls?.sni || service.externalName || service.hostname
  return name.includes('*') ? undefined : name
}

function protocolFields(
  { service, keepsCase }: OutboundClusterInputs,
  policy: EffectivePolicy,
  version: HttpVersion,
): ClusterInit {
  const { tls } = policy
  const isByRequest = tls && originatesTls(tls) && serverName(service, policy) === undefined
  const settings = {
    ...httpSettings(policy.connectionPool, policy.outlierDetection),
    nameFromRequest: isByRequest ? nameFromRequest(tls, listedNames(service, policy)) : undefined,
    keepsCase,
  }
  return { typedExtensionProtocolOptions: httpProtocolOptions(version, settings) }
}
