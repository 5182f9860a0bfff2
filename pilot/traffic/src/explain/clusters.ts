import { anyUnpack } from '@bufbuild/protobuf/wkt'
import { UNIX_PREFIX } from '@seine/api'
import {
  type Cluster,
  Cluster_DiscoveryType as DiscoveryType,
  Cluster_LbPolicy as LbPolicy,
} from '@seine/envoy/envoy/config/cluster/v3/cluster'
import type { Locality } from '@seine/envoy/envoy/config/core/v3/base'
import { HealthStatus } from '@seine/envoy/envoy/config/core/v3/health_check'
import type { ClusterLoadAssignment } from '@seine/envoy/envoy/config/endpoint/v3/endpoint'
import type { LocalityLbEndpoints } from '@seine/envoy/envoy/config/endpoint/v3/endpoint_components'
import { DnsClusterSchema } from '@seine/envoy/envoy/extensions/clusters/dns/v3/dns_cluster'
import { DYNAMIC_CLUSTER_TYPE } from '../dynamic-dns.ts'
import { isPassedOnCluster, TELEMETRY_METADATA } from '../names.ts'
import type { ProxyConfiguration } from './configuration.ts'
import { milliseconds } from './units.ts'

/** One endpoint that a cluster may choose. */
export interface ExplainedEndpoint {
  readonly address: string
  readonly port: number
  readonly weight: number
  readonly priority: number
  /** `region/zone/subzone`, where it is known. */
  readonly locality?: string
  readonly healthy: boolean
  /** `WORKLOAD.NAMESPACE` of what runs there, where the mesh knows. */
  readonly workload?: string
  /** Set for the gateway of a network: for how many endpoints there it stands. */
  readonly gateway?: { readonly network: string; readonly endpoints: number }
}

/** The endpoints of a cluster. Of one that connects to the original destination, or asks DNS, that is all that is known. */
export function endpointsOf(
  configuration: ProxyConfiguration,
  cluster: Cluster,
): readonly ExplainedEndpoint[] {
  const name = cluster.edsClusterConfig?.serviceName || cluster.name
  const assignment: Pick<ClusterLoadAssignment, 'endpoints'> | undefined =
    cluster.loadAssignment ?? configuration.endpoints.get(name)
  return (assignment?.endpoints ?? []).flatMap(localityEndpoints)
}

function localityEndpoints({ lbEndpoints, priority, locality }: LocalityLbEndpoints): ExplainedEndpoint[] {
  return lbEndpoints.flatMap(({ hostIdentifier, healthStatus, loadBalancingWeight, metadata }) => {
    const address = hostIdentifier.case === 'endpoint' ? hostIdentifier.value.address?.address : undefined
    if (address?.case !== 'socketAddress' && address?.case !== 'pipe') return []
    const at =
      address.case === 'pipe'
        ? { address: `${UNIX_PREFIX}${address.value.path}`, port: 0 }
        : {
            address: address.value.address,
            port: address.value.portSpecifier.case === 'portValue' ? address.value.portSpecifier.value : 0,
          }
    const { workload, namespace, network, endpoints } = metadata?.filterMetadata[TELEMETRY_METADATA] ?? {}
    return [
      {
        ...at,
        weight: loadBalancingWeight ?? 1,
        priority,
        ...(locality ? { locality: placeOf(locality) } : {}),
        healthy: healthStatus === HealthStatus.UNKNOWN || healthStatus === HealthStatus.HEALTHY,
        ...(workload && namespace ? { workload: `${workload}.${namespace}` } : {}),
        ...(network ? { gateway: { network: String(network), endpoints: Number(endpoints) } } : {}),
      },
    ]
  })
}

function placeOf({ region, zone, subZone }: Locality): string {
  return [region, zone, subZone].filter(Boolean).join('/')
}

const BALANCERS: Partial<Record<LbPolicy, string>> = {
  [LbPolicy.ROUND_ROBIN]: 'in turn',
  [LbPolicy.LEAST_REQUEST]: 'the one of two with fewer requests under way',
  [LbPolicy.RANDOM]: 'at random',
  [LbPolicy.RING_HASH]: 'by a hash, on a ring',
  [LbPolicy.MAGLEV]: 'by a hash (Maglev)',
  [LbPolicy.CLUSTER_PROVIDED]: 'the address that the client asked for',
}

/** What a cluster does to a request, in words: where its endpoints come from, how one is chosen, what bounds it. */
export function describeCluster(cluster: Cluster): string[] {
  return [
    discoveryOf(cluster),
    ...(isLookedUp(cluster.clusterDiscoveryType)
      ? []
      : [
          `endpoints are chosen ${BALANCERS[cluster.lbPolicy] ?? LbPolicy[cluster.lbPolicy] ?? 'by the default'}`,
        ]),
    ...(cluster.commonLbConfig?.localityConfigSpecifier.case === 'localityWeightedLbConfig'
      ? ['places have shares']
      : []),
    securityOf(cluster),
    ...(cluster.connectTimeout
      ? [`a connection must stand within ${milliseconds(cluster.connectTimeout)}`]
      : []),
    ...limitsOf(cluster),
    ...outlierOf(cluster),
  ]
}

/** Whether endpoints are looked up by the name in each request. */
function isLookedUp(type: Cluster['clusterDiscoveryType']): boolean {
  return type.case === 'clusterType' && type.value.name === DYNAMIC_CLUSTER_TYPE
}

function discoveryOf({ clusterDiscoveryType: type }: Cluster): string {
  const kind = type.case === 'type' ? type.value : undefined
  if (isLookedUp(type)) return 'goes to the address that DNS gives for the name that is asked for'
  const dns = type.case === 'clusterType' && type.value.typedConfig
  if (dns)
    return anyUnpack(dns, DnsClusterSchema)?.allAddressesInSingleEndpoint
      ? 'the endpoint is the first address that DNS gives'
      : 'endpoints are all addresses that DNS gives'
  if (kind === DiscoveryType.ORIGINAL_DST) return 'goes to the address that the client asked for'
  return kind === DiscoveryType.EDS
    ? 'endpoints come from the mesh'
    : 'endpoints are written in the configuration'
}

function securityOf({ name, transportSocket, transportSocketMatches }: Cluster): string {
  if (isPassedOnCluster(name)) return "the caller's own TLS is passed on"
  if (transportSocketMatches.length > 0)
    return 'mutual TLS to endpoints that have a sidecar, plaintext to the others'
  if (!transportSocket) return 'plaintext'
  return transportSocket.name === 'envoy.transport_sockets.tls' ? 'TLS' : transportSocket.name
}

function limitsOf({ circuitBreakers }: Cluster): string[] {
  const limits = circuitBreakers?.thresholds[0]
  if (!limits) return []
  const UNBOUNDED = 2 ** 32 - 1
  const named: readonly (readonly [string, number | undefined])[] = [
    ['connections', limits.maxConnections],
    ['waiting requests', limits.maxPendingRequests],
    ['requests', limits.maxRequests],
    ['retries', limits.maxRetries],
  ]
  const set = named.filter(([, value]) => value !== undefined && value < UNBOUNDED)
  return set.length === 0 ? [] : [`at most ${set.map(([name, value]) => `${value} ${name}`).join(', ')}`]
}

function outlierOf({ outlierDetection: outlier }: Cluster): string[] {
  if (!outlier) return []
  const count = outlier.consecutive5xx ?? outlier.consecutiveGatewayFailure
  return [
    `an endpoint rests after ${count ?? 5} failures in a row${outlier.baseEjectionTime ? `, ${milliseconds(outlier.baseEjectionTime)} the first time` : ''}`,
  ]
}
