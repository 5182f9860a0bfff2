import { create } from '@bufbuild/protobuf'
import { duration, type EncodedResource, type Provenance } from '@seine/envoy'
import {
  ClusterSchema,
  Cluster_DiscoveryType as DiscoveryType,
  Cluster_LbPolicy as LbPolicy,
} from '@seine/envoy/envoy/config/cluster/v3/cluster'
import { isHttp, type Protocol } from '@seine/model'
import { encode } from '../encode.ts'
import {
  BLACK_HOLE_CLUSTER,
  INBOUND_PASSTHROUGH_CLUSTER,
  inboundClusterName,
  PASSTHROUGH_CLUSTER,
} from '../names.ts'
import { unlimited } from './connection-settings.ts'
import { httpProtocolOptions } from './http-protocol.ts'

/** The address a sidecar calls its own application from, so that the capture rules let it through. */
const INBOUND_SOURCE = {
  sourceAddress: { address: '127.0.0.6', portSpecifier: { case: 'portValue' as const, value: 0 } },
}
const ORIGINAL_DST = {
  clusterDiscoveryType: { case: 'type' as const, value: DiscoveryType.ORIGINAL_DST },
  lbPolicy: LbPolicy.CLUSTER_PROVIDED,
}

/** The cluster of a port of the workload itself. The application gets the protocol its port declares. */
export function inboundCluster(
  port: number,
  protocol: Protocol,
  connectTimeoutMs: number,
  provenance: readonly Provenance[],
): EncodedResource {
  const name = inboundClusterName(port)
  return encode(
    ClusterSchema,
    name,
    {
      name,
      ...ORIGINAL_DST,
      connectTimeout: duration(connectTimeoutMs),
      upstreamBindConfig: INBOUND_SOURCE,
      ...unlimited(),
      ...protocolOptions(protocol),
    },
    provenance,
  )
}

function protocolOptions(protocol: Protocol) {
  if (!isHttp(protocol)) return {}
  const version =
    protocol === 'auto' ? 'as-client' : protocol === 'http2' || protocol === 'grpc' ? 'http2' : 'http1'
  return { typedExtensionProtocolOptions: httpProtocolOptions(version) }
}

/** The clusters that every sidecar has: to the original destination, into the workload, and to nowhere. */
export function builtInClusters(connectTimeoutMs: number): EncodedResource[] {
  const typedExtensionProtocolOptions = httpProtocolOptions('as-client')
  const connectTimeout = duration(connectTimeoutMs)
  return [
    encode(
      ClusterSchema,
      PASSTHROUGH_CLUSTER,
      create(ClusterSchema, {
        name: PASSTHROUGH_CLUSTER,
        ...ORIGINAL_DST,
        connectTimeout,
        ...unlimited(),
        typedExtensionProtocolOptions,
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
        upstreamBindConfig: INBOUND_SOURCE,
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
