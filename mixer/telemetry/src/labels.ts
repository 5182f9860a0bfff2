import { create } from '@bufbuild/protobuf'
import { any } from '@seine/envoy'
import type { Config_TagSchema as TagSchema } from '@seine/envoy/envoy/extensions/access_loggers/stats/v3/stats'
import { TransformStatSchema } from '@seine/envoy/envoy/extensions/matching/actions/transform_stat/v3/transform_stat'
import { StatTagValueInputSchema } from '@seine/envoy/envoy/extensions/matching/common_inputs/stats/v3/stats'
import { type Matcher, MatcherSchema } from '@seine/envoy/xds/type/matcher/v3/matcher'
import {
  BLACK_HOLE_CLUSTER,
  type FilterChainContext,
  type Init,
  PASSTHROUGH_CLUSTER,
} from '@seine/pilot-traffic'

export type TagInit = Init<typeof TagSchema>

/** Keys of filter state in which a caller's identity is kept, parsed from its certificate once for each connection. */
export const PeerState = {
  workload: 'seine.peer.workload',
  namespace: 'seine.peer.namespace',
  app: 'seine.peer.app',
  version: 'seine.peer.version',
} as const

const UNKNOWN = 'unknown'

/** Istio's standard labels for one side of a connection or request, in Istio's order. */
export function standardLabels(context: FilterChainContext): TagInit[] {
  const { direction, protocol } = context
  const source = direction !== 'inbound' ? ownSource(context) : peerSource()
  const destination = direction !== 'inbound' ? peerDestination(context) : ownDestination(context)
  return [
    literal('reporter', direction !== 'inbound' ? 'source' : 'destination'),
    ...source,
    ...destination,
    ...(protocol === 'http' ? requestLabels() : [literal('request_protocol', 'tcp')]),
    format('response_flags', '%RESPONSE_FLAGS%'),
    literal('connection_security_policy', direction !== 'inbound' ? UNKNOWN : context.security),
  ]
}

function ownSource({ proxy }: FilterChainContext): TagInit[] {
  return [
    literal('source_workload', proxy.workloadName),
    literal('source_canonical_service', proxy.app),
    literal('source_canonical_revision', proxy.version),
    literal('source_workload_namespace', proxy.namespace),
    format('source_principal', '%UPSTREAM_LOCAL_URI_SAN%', orUnknown()),
    literal('source_app', proxy.app),
    literal('source_version', proxy.version),
    literal('source_cluster', proxy.clusterId),
  ]
}

function peerSource(): TagInit[] {
  const state = (name: string, key: string) => format(name, `%FILTER_STATE(${key}:PLAIN)%`, orUnknown())
  return [
    state('source_workload', PeerState.workload),
    state('source_canonical_service', PeerState.app),
    state('source_canonical_revision', PeerState.version),
    state('source_workload_namespace', PeerState.namespace),
    format('source_principal', '%DOWNSTREAM_PEER_URI_SAN%', orUnknown()),
    state('source_app', PeerState.app),
    state('source_version', PeerState.version),
    literal('source_cluster', UNKNOWN),
  ]
}

function peerDestination({
  snapshot,
  service,
  serviceOfCluster,
  protocol,
  proxy,
}: FilterChainContext): TagInit[] {
  const endpoint = (name: string, key: string) =>
    format(name, `%METADATA(UPSTREAM_HOST:istio:${key})%`, orUnknown())
  const from = protocol === 'http' ? 'ROUTE' : serviceOfCluster ? 'CLUSTER' : undefined
  const route = (name: string, key: string, known: string | undefined) =>
    from === undefined
      ? literal(name, known ?? UNKNOWN)
      : format(name, `%METADATA(${from}:istio:${key})%`, orUnknown())
  return [
    endpoint('destination_workload', 'workload'),
    endpoint('destination_workload_namespace', 'namespace'),
    format('destination_principal', '%UPSTREAM_PEER_URI_SAN%', orUnknown()),
    endpoint('destination_app', 'app'),
    endpoint('destination_version', 'version'),
    route('destination_service', 'destination_service', service?.hostname),
    endpoint('destination_canonical_service', 'app'),
    endpoint('destination_canonical_revision', 'version'),
    route('destination_service_name', 'destination_service_name', service?.name ?? catchAll(snapshot)),
    route('destination_service_namespace', 'destination_service_namespace', service?.namespace),
    literal('destination_cluster', proxy.clusterId),
  ]
}

/** Where connections go that are for no service, as Istio names it. */
function catchAll({ config }: FilterChainContext['snapshot']): string {
  return config.outboundTrafficPolicy.mode === 'ALLOW_ANY' ? PASSTHROUGH_CLUSTER : BLACK_HOLE_CLUSTER
}

function ownDestination({ proxy, service, security }: FilterChainContext): TagInit[] {
  return [
    literal('destination_workload', proxy.workloadName),
    literal('destination_workload_namespace', proxy.namespace),
    security === 'mutual_tls'
      ? format('destination_principal', '%DOWNSTREAM_LOCAL_URI_SAN%', orUnknown())
      : literal('destination_principal', UNKNOWN),
    literal('destination_app', proxy.app),
    literal('destination_version', proxy.version),
    literal('destination_service', service?.hostname ?? UNKNOWN),
    literal('destination_canonical_service', proxy.app),
    literal('destination_canonical_revision', proxy.version),
    literal('destination_service_name', service?.name ?? 'InboundPassthroughCluster'),
    literal('destination_service_namespace', service?.namespace ?? proxy.namespace),
    literal('destination_cluster', proxy.clusterId),
  ]
}

function requestLabels(): TagInit[] {
  return [
    format('request_protocol', '%REQ(content-type)%', protocolRule()),
    format('response_code', '%RESPONSE_CODE%'),
    format('grpc_response_status', '%GRPC_STATUS_NUMBER%', replaceValues({ '-': '' })),
  ]
}

function literal(name: string, value: string): TagInit {
  // A percent sign would start an access-log operator.
  return { name, valueFormat: value.replaceAll('%', '%%') }
}

function format(name: string, valueFormat: string, rules?: Matcher): TagInit {
  return rules ? { name, valueFormat, rules } : { name, valueFormat }
}

function orUnknown(): Matcher {
  return replaceValues({ '-': UNKNOWN, '': UNKNOWN })
}

function input() {
  return { name: 'value', typedConfig: any(StatTagValueInputSchema, {}) }
}

function replaceBy(newTagValue: string) {
  const config = any(TransformStatSchema, { updateTag: { newTagValue } })
  return { onMatch: { case: 'action' as const, value: { name: 'replace', typedConfig: config } } }
}

/** Replaces the given values of a tag; others stay. */
function replaceValues(values: Readonly<Record<string, string>>): Matcher {
  const map = Object.fromEntries(Object.entries(values).map(([from, to]) => [from, replaceBy(to)]))
  return create(MatcherSchema, {
    matcherType: {
      case: 'matcherTree',
      value: { input: input(), treeType: { case: 'exactMatchMap', value: { map } } },
    },
  })
}

/** `grpc` by content type, else `http`. */
function protocolRule(): Matcher {
  const map = { 'application/grpc': replaceBy('grpc'), '': replaceBy('http') }
  return create(MatcherSchema, {
    matcherType: {
      case: 'matcherTree',
      value: { input: input(), treeType: { case: 'prefixMatchMap', value: { map } } },
    },
  })
}
