import type { JsonObject, JsonValue } from '@bufbuild/protobuf'
import { MISSING_CLUSTER } from '@seine/pilot-traffic'
import type { RenderedJson } from './rendered.ts'

/** Listeners of the agent's bootstrap; nothing generated may take their addresses. */
const BOOTSTRAP_ADDRESSES = ['0.0.0.0:15090', ':::15090']

/**
 * What Envoy would refuse because it stands twice: resources of one name, listeners on one address, filter
 * chains that match the same, virtual hosts with one name or domain.
 */
export function conflictsIn(config: RenderedJson): string[] {
  const clusters = config.clusters.map(cluster => String(cluster['name']))
  return [
    ...repeated(clusters, 'cluster'),
    ...repeated(
      config.listeners.map(listener => String(listener['name'])),
      'listener',
    ),
    ...repeated(
      config.routes.map(table => String(table['name'])),
      'route configuration',
    ),
    ...repeated(
      config.endpoints.map(assignment => String(assignment['clusterName'])),
      'load assignment',
    ),
    ...repeated([...BOOTSTRAP_ADDRESSES, ...config.listeners.flatMap(addressesOf)], 'listener address'),
    ...config.listeners.flatMap(chainConflicts),
    ...config.routes.flatMap(tableConflicts),
  ]
}

function chainConflicts(listener: JsonObject): string[] {
  const chains = list(listener['filterChains'])
  const of = `of listener ${String(listener['name'])}`
  return [
    ...repeated(
      chains.map(chain => stable(chain['filterChainMatch'] ?? {})),
      `filter chain match ${of}`,
    ),
    ...repeated(
      chains.map(chain => String(chain['name'])),
      `filter chain name ${of}`,
    ),
  ]
}

function tableConflicts(table: JsonObject): string[] {
  const hosts = list(table['virtualHosts'])
  const of = `of route configuration ${String(table['name'])}`
  const domains = hosts.flatMap(host => (host['domains'] as string[]).map(domain => domain.toLowerCase()))
  return [
    ...repeated(
      hosts.map(host => String(host['name'])),
      `virtual host ${of}`,
    ),
    ...repeated(domains, `domain ${of}`),
  ]
}

/** References that lead nowhere: Envoy takes them, and requests fail. */
export function brokenReferencesIn(config: RenderedJson): string[] {
  // Requests to what is not there are meant to fail.
  const clusters = new Set([...config.clusters.map(cluster => String(cluster['name'])), MISSING_CLUSTER])
  const assigned = new Set(config.endpoints.map(assignment => String(assignment['clusterName'])))
  const discovered = config.clusters.filter(cluster => cluster['type'] === 'EDS')
  const routed = [...config.routes, ...config.listeners].flatMap(clustersIn)
  const tables = new Set(config.routes.map(table => String(table['name'])))
  const wanted = config.listeners.flatMap(listener => valuesOf(listener, 'routeConfigName'))
  return [
    ...discovered
      .map(cluster => String(cluster['name']))
      .filter(name => !assigned.has(name))
      .map(name => `cluster ${name} has no endpoints`),
    ...[...new Set(routed)].filter(name => !clusters.has(name)).map(name => `there is no cluster ${name}`),
    ...[...new Set(wanted)].filter(name => !tables.has(name)).map(name => `there is no route table ${name}`),
  ]
}

/** The names of clusters that routes and TCP proxies send to. */
function clustersIn(value: JsonValue): string[] {
  if (Array.isArray(value)) return value.flatMap(clustersIn)
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => {
    if (key === 'cluster' && typeof inner === 'string') return [inner]
    if (key === 'weightedClusters')
      return list((inner as JsonObject)['clusters']).map(({ name }) => String(name))
    return clustersIn(inner)
  })
}

function valuesOf(value: JsonValue, field: string): string[] {
  if (Array.isArray(value)) return value.flatMap(one => valuesOf(one, field))
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) =>
    key === field && typeof inner === 'string' ? [inner] : valuesOf(inner, field),
  )
}

function addressesOf(listener: JsonObject): string[] {
  const additional = list(listener['additionalAddresses']).map(one => one['address'])
  return [listener['address'], ...additional].map(address => {
    if ('pipe' in (address as object)) return JSON.stringify(address)
    const { socketAddress } = address as { socketAddress: { address: string; portValue: number } }
    return `${socketAddress.address}:${socketAddress.portValue}`
  })
}

function repeated(values: readonly string[], what: string): string[] {
  const twice = new Set(values.filter((value, index) => values.indexOf(value) !== index))
  return [...twice].map(value => `${what} stands twice: ${value}`)
}

/** JSON with sorted keys, so that equal values have equal text. */
function stable(value: JsonValue): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  )
}

function list(value: JsonValue | undefined): JsonObject[] {
  return (value ?? []) as JsonObject[]
}
