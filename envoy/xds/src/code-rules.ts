import type { Message } from '@bufbuild/protobuf'
import type { Any } from '@bufbuild/protobuf/wkt'
import type { HeaderValueOption } from '../gen/envoy/config/core/v3/base_pb.js'
import type { FilterChainMatch } from '../gen/envoy/config/listener/v3/listener_components_pb.js'
import type { WeightedCluster } from '../gen/envoy/config/route/v3/route_components_pb.js'
import { configTypeOf, type FilterKind, filterKindOf } from './filter-kinds.ts'
import { formatProblem } from './format-operators.ts'

/** What is wrong with a message; `field` is its name in the descriptor, undefined for the message as a whole. */
export interface CodeMistake {
  readonly field: string | undefined
  /** Further into the field. */
  readonly path: readonly (string | number)[]
  readonly reason: string
}

const FILTERS: Readonly<Record<string, FilterKind>> = {
  'envoy.config.listener.v3.Filter': 'network',
  'envoy.config.listener.v3.ListenerFilter': 'listener',
  'envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter': 'http',
}
const CHANGE_HEADERS: ReadonlySet<string> = new Set([
  'envoy.config.route.v3.RouteConfiguration',
  'envoy.config.route.v3.VirtualHost',
  'envoy.config.route.v3.Route',
  'envoy.config.route.v3.WeightedCluster.ClusterWeight',
])
/** Fields that a message needs whatever its descriptor says, as Envoy asks for them when it reads it. */
const NEEDED: Readonly<Record<string, readonly (readonly [field: string, local: string])[]>> = {
  'envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit': [
    ['max_connections', 'maxConnections'],
  ],
}

/**
 * What Envoy's code asks of a single message beside the rules in its descriptor: the kinds of filters, headers that can
 * be changed, formats, and fields that it can't do without.
 *
 * @param isPart the message is laid over another one: what it lacks is there already
 */
export function codeMistake(message: Message, isPart: boolean): CodeMistake | undefined {
  const type = message.$typeName
  const kind = FILTERS[type]
  if (kind) return filterMistake(message as Filter, kind, isPart)
  if (CHANGE_HEADERS.has(type)) return headerMistake(message as ChangesHeaders)
  switch (type) {
    case 'envoy.config.listener.v3.FilterChainMatch':
      return serverNameMistake(message as FilterChainMatch)
    case 'envoy.config.route.v3.WeightedCluster':
      return weightMistake(message as WeightedCluster)
    default:
  }
  const missing = isPart ? undefined : NEEDED[type]?.find(([, local]) => !(message as never)[local])
  return missing && { field: undefined, path: [], reason: `${missing[0]} is needed` }
}

type Filter = Message & {
  readonly configType: { readonly case?: string | undefined; readonly value?: unknown }
}

function filterMistake({ configType }: Filter, kind: FilterKind, isPart: boolean): CodeMistake | undefined {
  if (configType.case === 'typedConfig') {
    const type = configTypeOf(configType.value as Any)
    if (filterKindOf(type) === kind) return undefined
    const reason = type === '' ? 'needs the @type of its configuration' : notOfKind(type, kind)
    return { field: 'typed_config', path: ['@type'], reason }
  }
  if (configType.case === 'configDiscovery') {
    const { typeUrls } = configType.value as { readonly typeUrls: readonly string[] }
    const wrong = typeUrls.findIndex(url => filterKindOf(url) !== kind)
    if (wrong < 0) return undefined
    const reason = notOfKind(typeUrls[wrong] ?? '', kind)
    return { field: 'config_discovery', path: ['type_urls', wrong], reason }
  }
  return isPart || configType.case !== undefined
    ? undefined
    : { field: undefined, path: [], reason: 'a filter needs its typed_config, or config_discovery' }
}

const KINDS: Readonly<Record<FilterKind, string>> = {
  http: 'filter of HTTP',
  network: 'network filter',
  listener: 'filter of listeners',
}

function notOfKind(type: string, kind: FilterKind): string {
  const own = filterKindOf(type)
  return `${type} is no ${KINDS[kind]}${own ? `, but a ${KINDS[own]}` : ''}`
}

interface ChangesHeaders extends Message {
  readonly requestHeadersToAdd: readonly HeaderValueOption[]
  readonly responseHeadersToAdd: readonly HeaderValueOption[]
  readonly requestHeadersToRemove: readonly string[]
  readonly responseHeadersToRemove: readonly string[]
}

const FIXED = 'the host, and what begins with a colon, are no headers that a route changes'

function isFixed(name: string): boolean {
  return name.startsWith(':') || name.toLowerCase() === 'host'
}

function headerMistake(message: ChangesHeaders): CodeMistake | undefined {
  for (const [field, options] of [
    ['request_headers_to_add', message.requestHeadersToAdd],
    ['response_headers_to_add', message.responseHeadersToAdd],
  ] as const)
    for (const [index, { header }] of options.entries()) {
      if (isFixed(header?.key ?? '')) return { field, path: [index, 'header', 'key'], reason: FIXED }
      const reason = formatProblem(header?.value ?? '')
      if (reason) return { field, path: [index, 'header', 'value'], reason }
    }
  for (const [field, names] of [
    ['request_headers_to_remove', message.requestHeadersToRemove],
    ['response_headers_to_remove', message.responseHeadersToRemove],
  ] as const) {
    const index = names.findIndex(isFixed)
    if (index >= 0) return { field, path: [index], reason: FIXED }
  }
  return undefined
}

function serverNameMistake({ serverNames }: FilterChainMatch): CodeMistake | undefined {
  const index = serverNames.findIndex(name => name.includes('*') && !/^\*\.[^*]+$/.test(name))
  if (index < 0) return undefined
  const reason = 'takes a wildcard as its whole first part only, *.example.com'
  return { field: 'server_names', path: [index], reason }
}

function weightMistake({ clusters }: WeightedCluster): CodeMistake | undefined {
  const without = clusters.findIndex(({ weight }) => weight === undefined)
  if (without >= 0) return { field: 'clusters', path: [without], reason: 'weight is needed' }
  const isNobody = clusters.every(({ weight }) => weight === 0)
  return isNobody ? { field: 'clusters', path: [], reason: 'all weights are 0' } : undefined
}
