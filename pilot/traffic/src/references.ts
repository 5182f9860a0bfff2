import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf'
import { anyUnpack } from '@bufbuild/protobuf/wkt'
import type { EncodedResource } from '@seine/envoy'
import { ListenerSchema } from '@seine/envoy/envoy/config/listener/v3/listener'
import { RouteConfigurationSchema } from '@seine/envoy/envoy/config/route/v3/route'
import { type RouteAction, VirtualHostSchema } from '@seine/envoy/envoy/config/route/v3/route_components'
import { TcpProxySchema } from '@seine/envoy/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy'
import { MISSING_CLUSTER } from './names.ts'

type Known = WeakMap<EncodedResource, readonly string[]>

/** Resources are shared and do not change: each is read once. */
const clusters: Known = new WeakMap()
const wildcards: Known = new WeakMap()

function once<D extends DescMessage>(
  known: Known,
  resource: EncodedResource,
  schema: D,
  read: (message: MessageShape<D>) => string[],
): readonly string[] {
  const found = known.get(resource) ?? [...new Set(read(fromBinary(schema, resource.bytes)))]
  known.set(resource, found)
  return found
}

/** The clusters that a virtual host's routes lead to, mirrors included. */
export function clustersOfVirtualHost(resource: EncodedResource): readonly string[] {
  return once(clusters, resource, VirtualHostSchema, ({ routes }) =>
    routes.flatMap(({ action }) => (action.case === 'route' ? clustersOfRoute(action.value) : [])),
  )
}

/** The clusters that the routes of a whole table lead to. */
export function clustersOfRouteConfiguration(resource: EncodedResource): readonly string[] {
  return once(clusters, resource, RouteConfigurationSchema, ({ virtualHosts }) =>
    virtualHosts.flatMap(({ routes }) =>
      routes.flatMap(({ action }) => (action.case === 'route' ? clustersOfRoute(action.value) : [])),
    ),
  )
}

/** The domains of a virtual host that stand for many: `*.example.com`, `*`. */
export function wildcardsOfVirtualHost(resource: EncodedResource): readonly string[] {
  return once(wildcards, resource, VirtualHostSchema, ({ domains }) =>
    domains.filter(domain => domain.startsWith('*') && !/:\d+$/.test(domain)),
  )
}

function clustersOfRoute({ clusterSpecifier, requestMirrorPolicies }: RouteAction): string[] {
  const mirrors = requestMirrorPolicies.map(({ cluster }) => cluster)
  if (clusterSpecifier.case === 'cluster') return [clusterSpecifier.value, ...mirrors]
  if (clusterSpecifier.case !== 'weightedClusters') return mirrors
  const named = clusterSpecifier.value.clusters.map(({ name }) => name)
  return [...named.filter(name => name !== MISSING_CLUSTER), ...mirrors]
}

/** The clusters to which a listener's connections go without a route. */
export function clustersOfListener(resource: EncodedResource): readonly string[] {
  return once(clusters, resource, ListenerSchema, ({ filterChains, defaultFilterChain }) =>
    [...filterChains, ...(defaultFilterChain ? [defaultFilterChain] : [])].flatMap(({ filters }) =>
      filters.flatMap(({ configType }) => {
        const proxy =
          configType.case === 'typedConfig' ? anyUnpack(configType.value, TcpProxySchema) : undefined
        const specifier = proxy?.clusterSpecifier
        if (specifier?.case === 'cluster') return [specifier.value]
        return specifier?.case === 'weightedClusters' ? specifier.value.clusters.map(({ name }) => name) : []
      }),
    ),
  )
}
