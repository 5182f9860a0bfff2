import type { Any } from '@bufbuild/protobuf/wkt'
import { type ConnectionPoolSettings, durationMs } from '@seine/api'
import { any, duration, type Provenance } from '@seine/envoy'
import { FilterStateValue_SharedWithUpstream as SharedWithUpstream } from '@seine/envoy/envoy/extensions/filters/common/set_filter_state/v3/value'
import { CorsSchema } from '@seine/envoy/envoy/extensions/filters/http/cors/v3/cors'
import { HTTPFaultSchema } from '@seine/envoy/envoy/extensions/filters/http/fault/v3/fault'
import { GrpcWebSchema } from '@seine/envoy/envoy/extensions/filters/http/grpc_web/v3/grpc_web'
import { OnDemandSchema } from '@seine/envoy/envoy/extensions/filters/http/on_demand/v3/on_demand'
import { RouterSchema } from '@seine/envoy/envoy/extensions/filters/http/router/v3/router'
import { HttpInspectorSchema } from '@seine/envoy/envoy/extensions/filters/listener/http_inspector/v3/http_inspector'
import { OriginalDstSchema } from '@seine/envoy/envoy/extensions/filters/listener/original_dst/v3/original_dst'
import { ProxyProtocolSchema } from '@seine/envoy/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol'
import { TlsInspectorSchema } from '@seine/envoy/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector'
import { HttpConnectionManagerSchema } from '@seine/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager'
import {
  TcpProxySchema,
  UpstreamConnectMode,
} from '@seine/envoy/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy'
import { familiesOf } from '../address-families.ts'
import { dynamicHttpFilters, dynamicNetworkFilters, type LookUp } from '../dynamic-dns.ts'
import { formatted, onNewConnection, stateObject } from '../filter-state.ts'
import type { Init } from '../init.ts'
import { BLACK_HOLE_CLUSTER, CLUSTER_STATE, DESTINATION_CLUSTER_FORMAT, MeshAlpn } from '../names.ts'
import type { FilterChainContext, HttpFilterInit, NetworkFilterInit, TrafficPlugin } from '../plugin.ts'
import { proxySettingsOf } from '../proxy-settings.ts'
import { headerFields, pathFields } from './http-settings.ts'

type HcmInit = Init<typeof HttpConnectionManagerSchema>
type TcpProxyInit = Init<typeof TcpProxySchema>

/** Where a TCP proxy sends connections, and how long they may last. */
export interface TcpDestination
  extends Pick<
    TcpProxyInit,
    | 'clusterSpecifier'
    | 'statPrefix'
    | 'idleTimeout'
    | 'maxDownstreamConnectionDuration'
    | 'hashPolicy'
    | 'tunnelingConfig'
    | 'onDemand'
  > {
  /** What is looked up for each connection, where something is. */
  readonly lookUp?: LookUp | undefined
}

/** Filters of a chain with what shaped them. */
export interface BuiltFilters {
  readonly filters: NetworkFilterInit[]
  readonly provenance: Provenance[]
}

function typed(name: string, config: Any): { name: string; configType: { case: 'typedConfig'; value: Any } } {
  return { name, configType: { case: 'typedConfig', value: config } }
}

/** The listener filters by which a captured connection tells where it was going and what it speaks. */
export const listenerFilters = {
  originalDst: typed('envoy.filters.listener.original_dst', any(OriginalDstSchema, {})),
  tlsInspector: typed('envoy.filters.listener.tls_inspector', any(TlsInspectorSchema, {})),
  proxyProtocol: typed('envoy.filters.listener.proxy_protocol', any(ProxyProtocolSchema, {})),
  httpInspector: typed('envoy.filters.listener.http_inspector', any(HttpInspectorSchema, {})),
} as const

/** What a connection manager does with requests. */
interface HttpRouting extends Pick<HcmInit, 'routeSpecifier' | 'statPrefix'> {
  /** Requests may be gRPC-Web, as browsers send it: they go on as gRPC. */
  readonly isGrpcWeb?: boolean
  /** Some route may lead to what is looked up by the name in each request. */
  readonly looksUpHosts?: boolean
}

const GRPC_WEB = typed('envoy.filters.http.grpc_web', any(GrpcWebSchema, {}))

/** The network filters of a chain that takes HTTP: the plugins' and a connection manager with `routing`. */
export function httpChain(
  context: FilterChainContext,
  plugins: readonly TrafficPlugin[],
  { isGrpcWeb = false, looksUpHosts = false, ...routing }: HttpRouting,
): BuiltFilters {
  const collected = collect(context, plugins)
  const { config } = context.snapshot
  const tracing = plugins.map(plugin => plugin.tracing?.(context)).find(found => found !== undefined)
  const hcm: HcmInit = {
    ...routing,
    httpFilters: [
      ...collected.http,
      ...(isGrpcWeb ? [GRPC_WEB] : []),
      ...trailingHttpFilters(context, looksUpHosts),
    ],
    accessLog: collected.accessLogs,
    ...pathFields(config),
    ...headerFields(context.direction, proxySettingsOf(context.snapshot, context.proxy)),
    upgradeConfigs: [{ upgradeType: 'websocket' }],
    streamIdleTimeout: duration(0),
    requestTimeout: duration(0),
    http2ProtocolOptions: { allowConnect: true },
    ...(tracing ? { tracing: tracing.value } : {}),
  }
  const connectionManager = typed(
    'envoy.filters.network.http_connection_manager',
    any(HttpConnectionManagerSchema, hcm),
  )
  return {
    filters: [...collected.network, connectionManager],
    provenance: [...collected.provenance, ...(tracing?.provenance ?? [])],
  }
}

/** The network filters of a chain that takes TCP: the plugins' and a TCP proxy to `destination`. */
export function tcpChain(
  context: FilterChainContext,
  plugins: readonly TrafficPlugin[],
  { lookUp, ...destination }: TcpDestination,
): BuiltFilters {
  const collected = collect(context, plugins)
  const lookUps = lookUp ? dynamicNetworkFilters(familiesOf(context.proxy.addresses), lookUp) : []
  const proxy = typed(
    'envoy.filters.network.tcp_proxy',
    any(TcpProxySchema, {
      ...destination,
      accessLog: collected.accessLogs,
      accessLogOptions: { flushAccessLogOnConnected: true },
      ...connectMode(context),
    }),
  )
  return { filters: [...collected.network, ...lookUps, proxy], provenance: collected.provenance }
}

/** What a connection pool says of a connection that passes as bytes: how long it may last, and rest. */
export function connectionLimits(pool: ConnectionPoolSettings | undefined): Partial<TcpDestination> {
  const { idleTimeout, maxConnectionDuration } = pool?.tcp ?? {}
  return {
    ...(idleTimeout === undefined ? {} : { idleTimeout: duration(durationMs(idleTimeout)) }),
    ...(maxConnectionDuration === undefined
      ? {}
      : { maxDownstreamConnectionDuration: duration(durationMs(maxConnectionDuration)) }),
  }
}

/** Makes connections to a sidecar say that they are not HTTP, whatever their cluster says. */
export function meshTcp(): NetworkFilterInit {
  return onNewConnection(
    stateObject('envoy.network.application_protocols', formatted(MeshAlpn.tcp), SharedWithUpstream.ONCE),
  )
}

/** How long a connection waits for the cluster of its address, in ms. */
const CLUSTER_WAIT_MS = 10_000

/** The network filters of a chain that sends each connection to the cluster for its address, which it asks for. */
export function onDemandChain(context: FilterChainContext, plugins: readonly TrafficPlugin[]): BuiltFilters {
  const built = tcpChain({ ...context, serviceOfCluster: true }, plugins, {
    statPrefix: 'destination',
    // The state of the connection names another one.
    clusterSpecifier: { case: 'cluster', value: BLACK_HOLE_CLUSTER },
    onDemand: {
      odcdsConfig: { resourceApiVersion: 2, configSourceSpecifier: { case: 'ads', value: {} } },
      timeout: duration(CLUSTER_WAIT_MS),
    },
  })
  const cluster = onNewConnection(stateObject(CLUSTER_STATE, formatted(DESTINATION_CLUSTER_FORMAT)))
  return { ...built, filters: [cluster, meshTcp(), ...built.filters] }
}

/** Over mutual TLS the caller is known only after the handshake; what is logged when the connection opens should name it. */
function connectMode({
  direction,
  security,
}: FilterChainContext): Pick<TcpProxyInit, 'upstreamConnectMode' | 'maxEarlyDataBytes'> {
  if (direction !== 'inbound' || security !== 'mutual_tls') return {}
  return {
    upstreamConnectMode: UpstreamConnectMode.ON_DOWNSTREAM_TLS_HANDSHAKE,
    maxEarlyDataBytes: 64 * 1024,
  }
}

function trailingHttpFilters(
  { direction, proxy, snapshot }: FilterChainContext,
  looksUpHosts: boolean,
): HttpFilterInit[] {
  const { envoyDebugHeaders } = proxySettingsOf(snapshot, proxy).proxyHeaders ?? {}
  const suppressEnvoyHeaders = envoyDebugHeaders?.disabled ?? false
  const router = typed('envoy.filters.http.router', any(RouterSchema, { suppressEnvoyHeaders }))
  if (direction === 'inbound') return [router]
  return [
    // Asks for the virtual host of a request's host, where the table has none yet, and lets the request wait.
    ...(direction === 'outbound' && proxy.onDemand
      ? [typed('envoy.filters.http.on_demand', any(OnDemandSchema, {}))]
      : []),
    typed('envoy.filters.http.fault', any(HTTPFaultSchema, {})),
    typed('envoy.filters.http.cors', any(CorsSchema, {})),
    ...(looksUpHosts ? dynamicHttpFilters(familiesOf(proxy.addresses)) : []),
    router,
  ]
}

function collect(context: FilterChainContext, plugins: readonly TrafficPlugin[]) {
  const network = plugins.flatMap(plugin => plugin.networkFilters?.(context) ?? [])
  const http =
    context.protocol === 'http' ? plugins.flatMap(plugin => plugin.httpFilters?.(context) ?? []) : []
  const accessLogs = plugins.flatMap(plugin => plugin.accessLogs?.(context) ?? [])
  return {
    network: network.map(({ value }) => value),
    http: http.map(({ value }) => value),
    accessLogs: accessLogs.map(({ value }) => value),
    provenance: [...network, ...http, ...accessLogs].flatMap(({ provenance }) => provenance),
  }
}
