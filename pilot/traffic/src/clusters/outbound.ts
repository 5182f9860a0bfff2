import { create } from '@bufbuild/protobuf'
import { type DestinationRule, durationMs, type Subset } from '@seine/api'
import { duration, type EncodedResource, type Provenance } from '@seine/envoy'
import {
  ClusterSchema,
  type ClusterSchema as ClusterSchemaType,
  Cluster_DiscoveryType as DiscoveryType,
  Cluster_LbPolicy as LbPolicy,
} from '@seine/envoy/envoy/config/cluster/v3/cluster'
import { ConfigSourceSchema } from '@seine/envoy/envoy/config/core/v3/config_source'
import {
  isHttp,
  type MeshService,
  type MeshSnapshot,
  type ServiceEndpoints,
  type ServicePort,
} from '@seine/model'
import { type EffectivePolicy, effectivePolicy } from '../destination-rules.ts'
import { encode } from '../encode.ts'
import { dnsLocality } from '../endpoints.ts'
import type { Init } from '../init.ts'
import { outboundClusterName, sniOf, TELEMETRY_METADATA } from '../names.ts'
import { provenanceMetadata } from '../provenance-metadata.ts'
import { connectionPoolFields, loadBalancerFields, outlierDetectionFields } from './connection-settings.ts'
import { httpProtocolOptions } from './http-protocol.ts'
import {
  meshTcpTlsSocket,
  meshTlsSocket,
  originatedTlsSocket,
  socketByEndpoint,
} from './transport-security.ts'

type ClusterInit = Init<typeof ClusterSchemaType>

/** What a service's clusters are made from. */
export interface OutboundClusterInputs {
  readonly snapshot: MeshSnapshot
  readonly service: MeshService
  readonly endpoints: ServiceEndpoints
  readonly rule: DestinationRule | undefined
}

/** The clusters of a service: one for each port, and one for each port and subset. */
export function outboundClusters(inputs: OutboundClusterInputs): EncodedResource[] {
  const subsets: (Subset | undefined)[] = [undefined, ...(inputs.rule?.spec.subsets ?? [])]
  return inputs.service.ports.flatMap(port => subsets.map(subset => outboundCluster(inputs, port, subset)))
}

function outboundCluster(
  inputs: OutboundClusterInputs,
  port: ServicePort,
  subset: Subset | undefined,
): EncodedResource {
  const { service, rule, snapshot } = inputs
  const name = outboundClusterName(port.number, subset?.name ?? '', service.hostname)
  const policy = effectivePolicy(rule, subset, port.number)
  const provenance = provenanceOf(inputs, port, subset, policy)
  const http2 = speaksHttp2(inputs, port, policy)
  const init: ClusterInit = {
    name,
    ...discoveryFields(inputs, port, subset, name),
    ...connectionPoolFields(policy.connectionPool, durationMs(snapshot.config.connectTimeout)),
    ...lbFields(inputs, policy),
    ...outlierDetectionFields(policy.outlierDetection),
    ...securityFields(inputs, port, subset, policy, http2),
    ...protocolFields(port, policy, http2),
    metadata: {
      filterMetadata: {
        [TELEMETRY_METADATA]: {
          services: [{ host: service.hostname, name: service.name, namespace: service.namespace }],
        },
        ...provenanceMetadata(provenance),
      },
    },
  }
  return encode(ClusterSchema, name, init, provenance)
}

function lbFields({ service }: OutboundClusterInputs, policy: EffectivePolicy): ClusterInit {
  if (service.resolution === 'passthrough') return { lbPolicy: LbPolicy.CLUSTER_PROVIDED }
  return loadBalancerFields(policy.loadBalancer, false)
}

function discoveryFields(
  inputs: OutboundClusterInputs,
  port: ServicePort,
  subset: Subset | undefined,
  name: string,
): ClusterInit {
  const { service } = inputs
  switch (service.resolution) {
    case 'static':
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
    case 'dns':
    case 'dns-round-robin': {
      const endpoints = dnsLocality(inputs, port, subset)
      // A subset can be left without any name, which only the strict kind takes.
      const isLogical = service.resolution === 'dns-round-robin' && endpoints.length > 0
      return {
        clusterDiscoveryType: {
          case: 'type',
          value: isLogical ? DiscoveryType.LOGICAL_DNS : DiscoveryType.STRICT_DNS,
        },
        dnsRefreshRate: duration(60_000),
        respectDnsTtl: true,
        loadAssignment: { clusterName: name, endpoints },
      }
    }
    case 'passthrough':
      return { clusterDiscoveryType: { case: 'type', value: DiscoveryType.ORIGINAL_DST } }
  }
}

/** HTTP/2 between sidecars costs less than HTTP/1.1 and needs every endpoint to have one; else the port's own protocol decides. */
function speaksHttp2(inputs: OutboundClusterInputs, port: ServicePort, policy: EffectivePolicy): boolean {
  if (port.protocol === 'http2' || port.protocol === 'grpc') return true
  if (port.protocol !== 'http' && port.protocol !== 'auto') return false
  const upgrade = policy.connectionPool?.http?.h2UpgradePolicy
  if (upgrade === 'UPGRADE') return true
  if (upgrade === 'DO_NOT_UPGRADE') return false
  return usesMeshTls(inputs, policy) && inputs.endpoints.meshed === 'all' && port.protocol === 'http'
}

function usesMeshTls(
  { service, snapshot, endpoints }: OutboundClusterInputs,
  policy: EffectivePolicy,
): boolean {
  if (policy.tls) return policy.tls.mode === 'ISTIO_MUTUAL'
  if (!snapshot.config.enableAutoMtls || service.external || endpoints.meshed === 'none') return false
  // Where clients choose the endpoint by themselves, the cluster can't tell one that takes TLS from another.
  return service.resolution === 'static' || (service.headless && endpoints.meshed === 'all')
}

function securityFields(
  inputs: OutboundClusterInputs,
  port: ServicePort,
  subset: Subset | undefined,
  policy: EffectivePolicy,
  http2: boolean,
): ClusterInit {
  const { service, snapshot, endpoints } = inputs
  const mode = policy.tls?.mode
  if (policy.tls && (mode === 'SIMPLE' || mode === 'MUTUAL'))
    return { transportSocket: originatedTlsSocket(policy.tls, service.hostname, http2) }
  if (!usesMeshTls(inputs, policy)) return {}
  const listed = policy.tls?.subjectAltNames?.length ? policy.tls.subjectAltNames : service.subjectAltNames
  const peers =
    listed.length > 0
      ? listed
      : endpoints.identities.map(path => `spiffe://${snapshot.config.trustDomain}/${path}`)
  const sni = policy.tls?.sni ?? sniOf(port.number, subset?.name ?? '', service.hostname)
  const socket =
    isHttp(port.protocol) && port.protocol !== 'auto'
      ? meshTlsSocket(sni, peers, http2)
      : meshTcpTlsSocket(sni, peers)
  return endpoints.meshed === 'some' && mode === undefined
    ? { transportSocketMatches: socketByEndpoint(socket) }
    : { transportSocket: socket }
}

function protocolFields(port: ServicePort, policy: EffectivePolicy, http2: boolean): ClusterInit {
  const http = policy.connectionPool?.http
  const tcp = policy.connectionPool?.tcp
  if (!isHttp(port.protocol)) return {}
  const version =
    http?.useClientProtocol === true || port.protocol === 'auto' ? 'as-client' : http2 ? 'http2' : 'http1'
  const idle = http?.idleTimeout ?? tcp?.idleTimeout
  const common = {
    ...(idle === undefined ? {} : { idleTimeout: duration(durationMs(idle)) }),
    ...(tcp?.maxConnectionDuration === undefined
      ? {}
      : { maxConnectionDuration: duration(durationMs(tcp.maxConnectionDuration)) }),
    ...(http?.maxRequestsPerConnection === undefined
      ? {}
      : { maxRequestsPerConnection: http.maxRequestsPerConnection }),
  }
  return { typedExtensionProtocolOptions: httpProtocolOptions(version, http?.maxConcurrentStreams, common) }
}

function provenanceOf(
  { service, rule }: OutboundClusterInputs,
  port: ServicePort,
  subset: Subset | undefined,
  policy: EffectivePolicy,
): Provenance[] {
  const found: Provenance[] = [{ ...service.ref, path: `spec.ports[${service.ports.indexOf(port)}]` }]
  if (!rule) return found
  const ref = { kind: rule.kind, namespace: rule.metadata.namespace, name: rule.metadata.name }
  for (const path of policy.paths) found.push({ ...ref, path })
  if (subset) found.push({ ...ref, path: `spec.subsets[${(rule.spec.subsets ?? []).indexOf(subset)}]` })
  return found
}
