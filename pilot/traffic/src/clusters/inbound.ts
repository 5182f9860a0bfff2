import { create } from '@bufbuild/protobuf'
import { type ConnectionPoolSettings, durationMs, type MeshConfig } from '@seine/api'
import { duration, type EncodedResource } from '@seine/envoy'
import {
  ClusterSchema,
  Cluster_DiscoveryType as DiscoveryType,
  Cluster_LbPolicy as LbPolicy,
} from '@seine/envoy/envoy/config/cluster/v3/cluster'
import { isHttp, isHttp2, type Protocol } from '@seine/model'
import { familiesOf, ownSources } from '../address-families.ts'
import { encode } from '../encode.ts'
import type { InboundEndpoint } from '../ingress.ts'
import type { Init } from '../init.ts'
import type { InboundPort } from '../listeners/inbound.ts'
import {
  BLACK_HOLE_CLUSTER,
  INBOUND_PASSTHROUGH_CLUSTER,
  inboundClusterName,
  PASSTHROUGH_CLUSTER,
} from '../names.ts'
import { provenanceField } from '../provenance-metadata.ts'
import type { Proxy } from '../proxy.ts'
import { connectionPoolFields, httpSettings, unlimited } from './connection-settings.ts'
import { httpProtocolOptions } from './http-protocol.ts'

/** Calls the application from addresses that the capture rules let through; Envoy takes the one of the right family. */
function fromOwnSource({ addresses }: Pick<Proxy, 'addresses'>): Init<typeof ClusterSchema> {
  const [sourceAddress, ...others] = ownSources(familiesOf(addresses)).map(address => ({
    address,
    portSpecifier: { case: 'portValue' as const, value: 0 },
  }))
  return {
    upstreamBindConfig: {
      ...(sourceAddress ? { sourceAddress } : {}),
      ...(others.length > 0 ? { extraSourceAddresses: others.map(address => ({ address })) } : {}),
    },
  }
}
const ORIGINAL_DST = {
  clusterDiscoveryType: { case: 'type' as const, value: DiscoveryType.ORIGINAL_DST },
  lbPolicy: LbPolicy.CLUSTER_PROVIDED,
}

/** What the mesh says of connections. */
type PoolDefaults = Pick<MeshConfig, 'connectTimeout' | 'defaultTrafficPolicy'>

type InboundDefaults = PoolDefaults & Pick<MeshConfig, 'inboundTrafficPolicy'>

/** The cluster of a port of the workload itself. The application gets the protocol its port declares. */
export function inboundCluster(
  { port, protocol, provenance, settings }: InboundPort,
  proxy: Pick<Proxy, 'addresses'>,
  { connectTimeout, inboundTrafficPolicy, defaultTrafficPolicy }: InboundDefaults,
  keepsCase: boolean,
): EncodedResource {
  const pool = settings.connectionPool ?? defaultTrafficPolicy?.connectionPool
  const name = inboundClusterName(port)
  const causes = [provenance, ...settings.provenance]
  const onLoopback =
    inboundTrafficPolicy.mode === 'LOCALHOST'
      ? { kind: 'loopback' as const, ipv6: proxy.addresses.every(one => one.includes(':')), port }
      : undefined
  const endpoint = settings.endpoint ?? onLoopback
  return encode(
    ClusterSchema,
    name,
    {
      name,
      ...(endpoint ? fixedEndpoint(name, endpoint, proxy) : { ...ORIGINAL_DST, ...fromOwnSource(proxy) }),
      // Probes of the mesh are for connections to elsewhere.
      ...connectionPoolFields(pool, { connectTimeout }),
      ...protocolOptions(protocol, pool, keepsCase),
      ...provenanceField(causes),
    },
    causes,
  )
}

/** A place that a Sidecar names. The workload's own address is called as the capture rules let it through. */
function fixedEndpoint(
  name: string,
  endpoint: InboundEndpoint,
  proxy: Pick<Proxy, 'addresses'>,
): Init<typeof ClusterSchema> {
  const address =
    endpoint.kind === 'socket'
      ? { case: 'pipe' as const, value: { path: endpoint.path } }
      : {
          case: 'socketAddress' as const,
          value: {
            address: hostOf(endpoint, proxy.addresses),
            portSpecifier: { case: 'portValue' as const, value: endpoint.port },
          },
        }
  return {
    clusterDiscoveryType: { case: 'type', value: DiscoveryType.STATIC },
    ...(endpoint.kind === 'own-address' ? fromOwnSource(proxy) : {}),
    loadAssignment: {
      clusterName: name,
      endpoints: [
        {
          lbEndpoints: [{ hostIdentifier: { case: 'endpoint', value: { address: { address } } } }],
        },
      ],
    },
  }
}

function hostOf(
  { kind, ipv6 }: Exclude<InboundEndpoint, { kind: 'socket' }>,
  addresses: readonly string[],
): string {
  const loopback = ipv6 ? '::1' : '127.0.0.1'
  if (kind === 'loopback') return loopback
  return addresses.find(address => address.includes(':') === ipv6) ?? addresses[0] ?? loopback
}

function protocolOptions(protocol: Protocol, pool: ConnectionPoolSettings | undefined, keepsCase: boolean) {
  if (!isHttp(protocol)) return {}
  const http2 = isHttp2(protocol) || pool?.http?.h2UpgradePolicy === 'UPGRADE'
  const version =
    protocol === 'auto' || pool?.http?.useClientProtocol ? 'as-client' : http2 ? 'http2' : 'http1'
  return { typedExtensionProtocolOptions: httpProtocolOptions(version, { ...httpSettings(pool), keepsCase }) }
}

/** The clusters that every sidecar has: to the original destination, into the workload, and to nowhere. */
export function builtInClusters(
  { connectTimeout: timeout, defaultTrafficPolicy }: PoolDefaults,
  proxy: Pick<Proxy, 'addresses'>,
  keepsCase: boolean,
): EncodedResource[] {
  const pool = defaultTrafficPolicy?.connectionPool
  const typedExtensionProtocolOptions = httpProtocolOptions('as-client', { keepsCase })
  const connectTimeout = duration(durationMs(timeout))
  return [
    encode(
      ClusterSchema,
      PASSTHROUGH_CLUSTER,
      create(ClusterSchema, {
        name: PASSTHROUGH_CLUSTER,
        ...ORIGINAL_DST,
        ...connectionPoolFields(pool, { connectTimeout: timeout }),
        typedExtensionProtocolOptions: httpProtocolOptions('as-client', { ...httpSettings(pool), keepsCase }),
      }),
      [],
    ),
    encode(
      ClusterSchema,
      INBOUND_PASSTHROUGH_CLUSTER,
      create(ClusterSchema, {
        name: INBOUND_PASSTHROUGH_CLUSTER,
        ...ORIGINAL_DST,
        connectTimeout,
        ...fromOwnSource(proxy),
        ...unlimited(),
        typedExtensionProtocolOptions,
      }),
      [],
    ),
    encode(
      ClusterSchema,
      BLACK_HOLE_CLUSTER,
      {
        name: BLACK_HOLE_CLUSTER,
        clusterDiscoveryType: { case: 'type', value: DiscoveryType.STATIC },
        connectTimeout,
      },
      [],
    ),
  ]
}
