import type { Provenance } from '@seine/envoy'
import type { AccessLogSchema } from '@seine/envoy/envoy/config/accesslog/v3/accesslog'
import type { FilterSchema } from '@seine/envoy/envoy/config/listener/v3/listener_components'
import type {
  HttpConnectionManager_TracingSchema,
  HttpFilterSchema,
} from '@seine/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager'
import type { MeshService, MeshSnapshot } from '@seine/model'
import type { Init } from './init.ts'
import type { Proxy } from './proxy.ts'

/** Where in a proxy a filter chain stands that plugins may add to. */
export interface FilterChainContext {
  readonly snapshot: MeshSnapshot
  readonly proxy: Proxy
  /** `gateway`: from outside of the mesh into it, or out of it; policies judge who comes, telemetry tells where it went. */
  readonly direction: 'inbound' | 'outbound' | 'gateway'
  readonly protocol: 'http' | 'tcp'
  /** What the chain's peer is known to use: chosen when the configuration is made. */
  readonly security: 'mutual_tls' | 'none' | 'unknown'
  /** The service whose port this is, where there is exactly one. */
  readonly service: Pick<MeshService, 'hostname' | 'name' | 'namespace'> | undefined
  /** Whether the service is known by the cluster of each connection only, whose metadata names it. */
  readonly serviceOfCluster?: boolean
  /** The port of the listener (outbound) or of the workload (inbound). */
  readonly port: number
}

/** Something a plugin contributes, with what made it do so. */
export interface Contribution<T> {
  readonly value: T
  readonly provenance: readonly Provenance[]
}

export type HttpFilterInit = Init<typeof HttpFilterSchema>
export type NetworkFilterInit = Init<typeof FilterSchema>
export type AccessLogInit = Init<typeof AccessLogSchema>
export type TracingInit = Init<typeof HttpConnectionManager_TracingSchema>

/**
 * How policy and telemetry take part in translation without pilot knowing them. All functions are pure.
 * The order of plugins is the order of their filters; it lives in one table where plugins are registered.
 */
export interface TrafficPlugin {
  readonly name: string
  /** HTTP filters, before pilot's own cors, fault and router. */
  httpFilters?(context: FilterChainContext): readonly Contribution<HttpFilterInit>[]
  /** Network filters, before the connection manager or the TCP proxy. */
  networkFilters?(context: FilterChainContext): readonly Contribution<NetworkFilterInit>[]
  accessLogs?(context: FilterChainContext): readonly Contribution<AccessLogInit>[]
  tracing?(context: FilterChainContext): Contribution<TracingInit> | undefined
}
