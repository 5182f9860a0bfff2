import fc from 'fast-check'
import { labels, pick } from './random-words.ts'

const HCM = 'envoy.filters.network.http_connection_manager'
const headerMutation = {
  name: 'own-header',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation',
    mutations: { request_mutations: [{ append: { header: { key: 'x-own', value: '1' } } }] },
  },
}
const connectionLimit = {
  name: 'own-limit',
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit',
    stat_prefix: 'own',
    max_connections: 10,
  },
}

const context = pick(['ANY', 'SIDECAR_INBOUND', 'SIDECAR_OUTBOUND'])
const proxy = pick([undefined, { proxyVersion: '^1\\.3.*' }, { metadata: { ON_DEMAND: 'true' } }])

/** Patches that Envoy takes wherever they are applied: what it refuses is for a NACK to tell. */
const patch = fc
  .tuple(
    context,
    proxy,
    fc.oneof(
      pick(['INSERT_BEFORE', 'INSERT_FIRST']).map(operation => ({
        applyTo: 'HTTP_FILTER',
        match: {
          listener: {
            filterChain: { filter: { name: HCM, subFilter: { name: 'envoy.filters.http.router' } } },
          },
        },
        patch: { operation, value: headerMutation },
      })),
      pick([80, 8080, 9000]).map(portNumber => ({
        applyTo: 'NETWORK_FILTER',
        match: { listener: { portNumber } },
        patch: { operation: 'INSERT_FIRST', value: connectionLimit },
      })),
      pick(['virtualInbound', '0.0.0.0_80']).map(name => ({
        applyTo: 'LISTENER',
        match: { listener: { name } },
        patch: { operation: 'MERGE', value: { per_connection_buffer_limit_bytes: 4096 } },
      })),
      pick(['web.a.svc.cluster.local', 'api.a.svc.cluster.local']).map(service => ({
        applyTo: 'CLUSTER',
        match: { cluster: { service } },
        patch: { operation: 'MERGE', value: { connect_timeout: '3s' } },
      })),
      pick(['own', 'other']).map(name => ({
        applyTo: 'CLUSTER',
        match: {},
        patch: { operation: 'ADD', value: { name, type: 'STATIC', connect_timeout: '1s' } },
      })),
      pick(['80', '8080']).map(name => ({
        applyTo: 'HTTP_ROUTE',
        match: { routeConfiguration: { name } },
        patch: {
          operation: 'MERGE',
          value: { response_headers_to_add: [{ header: { key: 'x-route', value: '1' } }] },
        },
      })),
      pick([80, 8080]).map(portNumber => ({
        applyTo: 'ROUTE_CONFIGURATION',
        match: { routeConfiguration: { portNumber } },
        patch: {
          operation: 'MERGE',
          value: { response_headers_to_add: [{ header: { key: 'x-table', value: '1' } }] },
        },
      })),
      pick(['web.a.svc.cluster.local:80', 'block_all']).map(name => ({
        applyTo: 'VIRTUAL_HOST',
        match: { routeConfiguration: { vhost: { name } } },
        patch: {
          operation: 'MERGE',
          value: { response_headers_to_add: [{ header: { key: 'x-host', value: '1' } }] },
        },
      })),
    ),
  )
  .map(([where, who, { match, ...rest }]) => ({
    ...rest,
    match: { context: where, ...(who ? { proxy: who } : {}), ...match },
  }))

/** The body of an EnvoyFilter. */
export const randomEnvoyFilter = fc.record({
  spec: fc.record(
    {
      workloadSelector: fc.record({ labels }),
      priority: pick([-1, 0, 1]),
      configPatches: fc.array(patch, { minLength: 1, maxLength: 3 }),
    },
    { requiredKeys: ['configPatches'] },
  ),
})
