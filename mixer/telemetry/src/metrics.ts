import { any } from '@seine/envoy'
import { AccessLogType } from '@seine/envoy/envoy/data/accesslog/v3/accesslog'
import {
  ConfigSchema,
  type ConfigSchema as StatsSchema,
  Config_Histogram_Unit as Unit,
} from '@seine/envoy/envoy/extensions/access_loggers/stats/v3/stats'
import { ConfigSchema as SetFilterStateSchema } from '@seine/envoy/envoy/extensions/filters/network/set_filter_state/v3/set_filter_state'
import { CelSchema } from '@seine/envoy/envoy/extensions/formatter/cel/v3/cel'
import type {
  AccessLogInit,
  Contribution,
  FilterChainContext,
  Init,
  NetworkFilterInit,
  TrafficPlugin,
} from '@seine/pilot-traffic'
import { PeerState, standardLabels } from './labels.ts'

type StatsInit = Init<typeof StatsSchema>

/**
 * Istio's standard metrics from stock Envoy: an access logger that counts. Names come out as
 * `istio_requests_total` and so on once the agent has taken Envoy's prefix off.
 */
export const metricsPlugin: TrafficPlugin = {
  name: 'metrics',
  networkFilters: context =>
    context.direction === 'inbound' && context.security === 'mutual_tls' ? [peerIdentity()] : [],
  accessLogs: context => (context.protocol === 'http' ? [requestStats(context)] : tcpStats(context)),
}

function requestStats(context: FilterChainContext): Contribution<AccessLogInit> {
  const tags = standardLabels(context)
  const histogram = (name: string, unit: Unit, valueFormat: string) => ({
    stat: { name, tags },
    unit,
    valueFormat,
  })
  return logger({
    statsScope: { prefix: 'istio' },
    counters: [{ stat: { name: 'requests_total', tags }, valueFixed: 1n }],
    histograms: [
      histogram('request_duration_milliseconds', Unit.Milliseconds, '%DURATION%'),
      histogram('request_bytes', Unit.Bytes, '%BYTES_RECEIVED%'),
      histogram('response_bytes', Unit.Bytes, '%BYTES_SENT%'),
    ],
  })
}

/** Connections are counted when they open; bytes when they end. */
function tcpStats(context: FilterChainContext): Contribution<AccessLogInit>[] {
  const tags = standardLabels(context)
  const counter = (name: string) => ({ stat: { name, tags }, valueFixed: 1n })
  const bytes = (name: string, valueFormat: string) => ({ stat: { name, tags }, valueFormat })
  const prefix = { prefix: 'istio' }
  return [
    logger(
      { statsScope: prefix, counters: [counter('tcp_connections_opened_total')] },
      AccessLogType.TcpUpstreamConnected,
    ),
    logger(
      {
        statsScope: prefix,
        counters: [
          counter('tcp_connections_closed_total'),
          bytes('tcp_sent_bytes_total', '%BYTES_SENT%'),
          bytes('tcp_received_bytes_total', '%BYTES_RECEIVED%'),
        ],
      },
      AccessLogType.TcpConnectionEnd,
    ),
  ]
}

function logger(config: StatsInit, only?: AccessLogType): Contribution<AccessLogInit> {
  const filter =
    only === undefined
      ? {}
      : { filter: { filterSpecifier: { case: 'logTypeFilter' as const, value: { types: [only] } } } }
  return {
    value: {
      name: 'envoy.access_loggers.stats',
      ...filter,
      configType: { case: 'typedConfig', value: any(ConfigSchema, config) },
    },
    provenance: [],
  }
}

/**
 * Reads who called from the certificate that citadel signed: its DNS name is
 * `<workload>.<namespace>.<app>.<version>.workload.<trust domain>`, with `--` for dots inside a part.
 */
function peerIdentity(): Contribution<NetworkFilterInit> {
  const formatter = {
    name: 'envoy.formatter.cel',
    typedConfig: any(CelSchema, { celConfig: { enableStringFunctions: true } }),
  }
  const part = (index: number) =>
    `%CEL(connection.dns_san_peer_certificate.split('.')[${index}].replace('--', '.'))%`
  const entry = (key: string, inlineString: string) => ({
    key: { case: 'objectKey' as const, value: key },
    factoryKey: 'envoy.string',
    skipIfEmpty: true,
    value: {
      case: 'formatString' as const,
      value: {
        format: {
          case: 'textFormatSource' as const,
          value: { specifier: { case: 'inlineString' as const, value: inlineString } },
        },
        formatters: [formatter],
      },
    },
  })
  const config = any(SetFilterStateSchema, {
    onDownstreamTlsHandshake: [
      entry(PeerState.workload, part(0)),
      entry(PeerState.namespace, part(1)),
      entry(PeerState.app, part(2)),
      entry(PeerState.version, part(3)),
    ],
  })
  return {
    value: { name: 'seine.peer_identity', configType: { case: 'typedConfig', value: config } },
    provenance: [],
  }
}
