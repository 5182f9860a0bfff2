import { type AgentSettings, hasIpv6, nodeId, nodeMetadata } from './settings.ts'

const HTTP2 = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
    '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
    explicit_http_config: { http2_protocol_options: {} },
  },
}

/** Statistics that are kept: the mesh's metrics and what tells whether the proxy is well. Every other costs memory for each cluster. */
const KEPT_STATS = [
  'istio',
  'cluster_manager',
  'listener_manager',
  'server',
  'cluster.xds-grpc',
  'http.inbound',
  'main_thread',
]

/** Bounds of the histogram buckets, ms and bytes, Istio's. */
const BUCKETS = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
  3_600_000,
]

/** How large a regular expression may be once compiled: Istio's limit. Envoy's own, 100, refuses `[a-z]{50}`. */
const REGEX_PROGRAM_SIZE = 32_768

/** Where the agent answers Envoy: certificates and configuration. */
export function socketPath(settings: AgentSettings): string {
  return `${settings.runDir}/agent.sock`
}

/** Envoy's bootstrap: who it is, and where the agent is. Everything else comes by xDS. */
export function bootstrap(settings: AgentSettings): object {
  const agent = { pipe: { path: socketPath(settings) } }
  const grpc = (cluster: string) => ({
    envoy_grpc: {
      cluster_name: cluster,
      retry_policy: { retry_back_off: { base_interval: '0.1s', max_interval: '2s' } },
    },
  })
  const ads = { ads: {}, resource_api_version: 'V3', initial_fetch_timeout: '0s' }
  return {
    node: {
      id: nodeId(settings),
      cluster: `${settings.workloadName}.${settings.namespace}`,
      metadata: nodeMetadata(settings),
    },
    admin: { address: address('127.0.0.1', settings.ports.admin), profile_path: '/dev/null' },
    ...statistics(settings),
    layered_runtime: {
      layers: [{ name: 'seine', static_layer: runtime(settings.bootstrap.runtime) }],
    },
    overload_manager: {
      resource_monitors: [
        {
          name: 'envoy.resource_monitors.global_downstream_max_connections',
          typed_config: {
            '@type':
              'type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig',
            max_active_downstream_connections: 50_000,
          },
        },
      ],
    },
    dynamic_resources: {
      ads_config: {
        api_type: 'DELTA_GRPC',
        transport_api_version: 'V3',
        set_node_on_first_message_only: true,
        grpc_services: [grpc('xds-grpc')],
      },
      lds_config: ads,
      cds_config: ads,
    },
    static_resources: {
      listeners: [prometheusListener(settings)],
      clusters: [
        cluster('xds-grpc', agent, HTTP2),
        cluster('sds-grpc', agent, HTTP2),
        cluster('otlp', hostPort(settings.otlpAddress), HTTP2),
        cluster('prometheus_stats', address('127.0.0.1', settings.ports.admin)),
      ],
    },
  }
}

/** Values of the runtime. Envoy takes no words for truth and numbers; an empty one takes away what always is there, as in Istio. */
function runtime(given: Readonly<Record<string, string>> = {}): object {
  const typed = (text: string) => (/^(true|false|-?\d+(\.\d+)?)$/.test(text) ? JSON.parse(text) : text)
  const values: Record<string, string> = {
    're2.max_program_size.error_level': String(REGEX_PROGRAM_SIZE),
    ...given,
  }
  return Object.fromEntries(
    Object.entries(values)
      .filter(([, value]) => value !== '')
      .map(([key, value]) => [key, typed(value)]),
  )
}

/** How often statistics go out where nobody says. */
const FLUSH_MS = 2000

/** Which statistics are kept, and how they are counted. Bounds that somebody gives go before those that always are there. */
function statistics({ bootstrap: { stats = {} }, ips }: AgentSettings): object {
  const { prefixes = [], suffixes = [], regexps = [], buckets = {}, flushMs = FLUSH_MS, evictionMs } = stats
  const ofAddresses = (list: readonly string[]) =>
    list.flatMap(text => (text.includes('{pod_ip}') ? ips.map(ip => text.replaceAll('{pod_ip}', ip)) : text))
  const patterns = [
    ...[...KEPT_STATS, ...ofAddresses(prefixes)].map(prefix => ({ prefix })),
    ...ofAddresses(suffixes).map(suffix => ({ suffix })),
    ...ofAddresses(regexps).map(regex => ({ safe_regex: { regex } })),
  ]
  const histograms = Object.entries(buckets).sort(([a], [b]) => (a < b ? -1 : 1))
  return {
    stats_flush_interval: seconds(flushMs),
    ...(evictionMs === undefined ? {} : { stats_eviction_interval: seconds(evictionMs) }),
    stats_config: {
      stats_matcher: { inclusion_list: { patterns } },
      histogram_bucket_settings: [
        ...histograms.map(([prefix, bounds]) => ({ match: { prefix }, buckets: bounds })),
        { match: { prefix: 'istio' }, buckets: BUCKETS },
      ],
    },
  }
}

function seconds(ms: number): string {
  return `${ms / 1000}s`
}

function prometheusListener(settings: AgentSettings): object {
  const { ports } = settings
  const route = { match: { path: '/stats/prometheus' }, route: { cluster: 'prometheus_stats' } }
  return {
    name: 'prometheus',
    address: address('0.0.0.0', ports.prometheus),
    ...(hasIpv6(settings) ? { additional_addresses: [{ address: address('::', ports.prometheus) }] } : {}),
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: {
              '@type':
                'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
              stat_prefix: 'stats',
              route_config: { virtual_hosts: [{ name: 'stats', domains: ['*'], routes: [route] }] },
              http_filters: [
                {
                  name: 'envoy.filters.http.router',
                  typed_config: {
                    '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router',
                  },
                },
              ],
            },
          },
        ],
      },
    ],
  }
}

function cluster(name: string, target: object, protocol?: object): object {
  const isName =
    'socket_address' in target && !/^[\d.]+$|:/.test((target.socket_address as { address: string }).address)
  return {
    name,
    type: isName ? 'STRICT_DNS' : 'STATIC',
    connect_timeout: '1s',
    ...(protocol ? { typed_extension_protocol_options: protocol } : {}),
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: target } }] }],
    },
  }
}

function address(host: string, port: number): { socket_address: { address: string; port_value: number } } {
  return { socket_address: { address: host, port_value: port } }
}

function hostPort(text: string): ReturnType<typeof address> {
  const colon = text.lastIndexOf(':')
  const host = text.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
  return address(host, Number(text.slice(colon + 1)))
}
