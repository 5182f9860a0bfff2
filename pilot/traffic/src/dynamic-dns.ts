import { type Any, anyUnpack } from '@bufbuild/protobuf/wkt'
import { any } from '@seine/envoy'
import {
  type ClusterSchema,
  Cluster_DnsLookupFamily as LookupFamily,
} from '@seine/envoy/envoy/config/cluster/v3/cluster'
import { ClusterConfigSchema } from '@seine/envoy/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster'
import type { DnsCacheConfigSchema } from '@seine/envoy/envoy/extensions/common/dynamic_forward_proxy/v3/dns_cache'
import { FilterConfigSchema } from '@seine/envoy/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy'
import { ConfigSchema as SetFilterStateSchema } from '@seine/envoy/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state'
import { FilterConfigSchema as SniFilterConfigSchema } from '@seine/envoy/envoy/extensions/filters/network/sni_dynamic_forward_proxy/v3/sni_dynamic_forward_proxy'
import type { MeshService } from '@seine/model'
import type { AddressFamilies } from './address-families.ts'
import type { ResolvedDestination } from './destination.ts'
import { celFormatted, formatted, onNewConnection, stateObject } from './filter-state.ts'
import type { Init } from './init.ts'
import type { HttpFilterInit, NetworkFilterInit } from './plugin.ts'

/** The type of clusters whose endpoint is what DNS gives for the name in a request, or in a TLS greeting. */
export const DYNAMIC_CLUSTER_TYPE = 'envoy.clusters.dynamic_forward_proxy'
const STATE_FILTER = 'envoy.filters.http.set_filter_state'

const LOOKUP = {
  ipv4: LookupFamily.V4_PREFERRED,
  ipv6: LookupFamily.V6_ONLY,
  dual: LookupFamily.ALL,
} as const

/**
 * What a proxy has found out by DNS, which all its clusters and filters of this kind share. Envoy wants the same
 * settings wherever the name stands, and keeps what it has under a name as long as it runs: nothing in here may be
 * another for a proxy that runs.
 */
function cache(families: AddressFamilies): Init<typeof DnsCacheConfigSchema> {
  return { name: `dynamic-dns-${families}`, dnsLookupFamily: LOOKUP[families] }
}

/** How a cluster finds its endpoints that looks up what each request names. */
export function dynamicDiscovery(families: AddressFamilies): Init<typeof ClusterSchema> {
  const typedConfig = any(ClusterConfigSchema, {
    clusterImplementationSpecifier: { case: 'dnsCacheConfig', value: cache(families) },
    // Otherwise Envoy demands that names in certificates are checked, of clusters in plaintext too.
    allowInsecureClusterOptions: true,
  })
  return { clusterDiscoveryType: { case: 'clusterType', value: { name: DYNAMIC_CLUSTER_TYPE, typedConfig } } }
}

/** The HTTP filters that look up what requests name, where their route leads to such a cluster. */
export function dynamicHttpFilters(families: AddressFamilies): HttpFilterInit[] {
  return [
    filter(STATE_FILTER, any(SetFilterStateSchema, {})),
    filter(
      'envoy.filters.http.dynamic_forward_proxy',
      any(FilterConfigSchema, {
        implementationSpecifier: { case: 'dnsCacheConfig', value: cache(families) },
        allowDynamicHostFromFilterState: true,
      }),
    ),
  ]
}

/** The network filters that look up what a connection is for: what its TLS asks for, unless a route says it. */
export function dynamicNetworkFilters(
  families: AddressFamilies,
  { port, host }: LookUp,
): NetworkFilterInit[] {
  const lookUp = filter(
    'envoy.filters.network.sni_dynamic_forward_proxy',
    any(SniFilterConfigSchema, {
      dnsCacheConfig: cache(families),
      portSpecifier: { case: 'portValue', value: port },
    }),
  )
  if (host === undefined) return [lookUp]
  return [onNewConnection(stateObject(HOST_KEY, formatted(host))), lookUp]
}

function filter(name: string, config: Any) {
  return { name, configType: { case: 'typedConfig' as const, value: config } }
}

/** The request's host without its port: a port in it would come before the service's own. */
const HOST_OF_REQUEST = celFormatted("%CEL(request.host.split(':')[0])%")

const HOST_KEY = 'envoy.upstream.dynamic_host'
const PORT_KEY = 'envoy.upstream.dynamic_port'

/**
 * What a route says to the filters of {@link dynamicHttpFilters}.
 *
 * @param authority what requests get as their host; undefined for their own. It is looked up where nothing else is named
 */
export function dynamicTarget(
  { port, host }: LookUp,
  authority: string | undefined,
): readonly [name: string, config: Any] {
  const name = host ?? authority?.replace(/:\d+$/, '')
  const config = any(SetFilterStateSchema, {
    onRequestHeaders: [
      stateObject(HOST_KEY, name === undefined ? HOST_OF_REQUEST : formatted(name)),
      stateObject(PORT_KEY, formatted(String(port))),
    ],
  })
  return [STATE_FILTER, config]
}

/** What a route for unknown hosts says: where requests name no port, it is the one that was called. */
export const portOfCall: readonly [name: string, config: Any] = [
  STATE_FILTER,
  any(SetFilterStateSchema, {
    onRequestHeaders: [stateObject(PORT_KEY, formatted('%DOWNSTREAM_LOCAL_PORT%'))],
  }),
]

/** What a route says of that, read back: the host that is looked up, if a certain one, and the port. */
export function dynamicTargetIn(
  perFilter: Readonly<Record<string, Any>>,
): { readonly host: string | undefined; readonly port: string | undefined } | undefined {
  const config = perFilter[STATE_FILTER]
  const states = config && anyUnpack(config, SetFilterStateSchema)?.onRequestHeaders
  if (!states) return undefined
  const textOf = (name: string) => {
    const { value } = states.find(({ key }) => key.value === name) ?? {}
    const format = value?.case === 'formatString' ? value.value.format : undefined
    const source = format?.case === 'textFormatSource' ? format.value.specifier : undefined
    const written = source?.case === 'inlineString' ? source.value : undefined
    return written?.startsWith('%') ? undefined : written
  }
  return { host: textOf(HOST_KEY), port: textOf(PORT_KEY) }
}

/** What is looked up, and the port to connect to. */
export interface LookUp {
  readonly port: number
  /** The one name that a route is for; undefined for what each request or connection asks for. */
  readonly host: string | undefined
}

/**
 * What is looked up where a destination stands for many names; undefined where it does not.
 *
 * @param named the full name of the host that the destination says, which may be one of them
 */
export function lookUpOf(
  services: ReadonlyMap<string, MeshService>,
  { host, port }: ResolvedDestination,
  named: string,
): LookUp | undefined {
  const service = services.get(host)
  if (service?.resolution !== 'dynamic-dns') return undefined
  const target = service.ports.find(({ number }) => number === port)?.targetPort
  return { port: typeof target === 'number' ? target : port, host: named === host ? undefined : named }
}
