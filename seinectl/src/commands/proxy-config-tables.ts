import { asList, at, textAt } from '../hub/json.ts'
import type { ConfigResource } from '../hub/proxies.ts'

/** What `--name`, `--port` and `--fqdn` ask for. */
export interface Filter {
  readonly name: string | undefined
  readonly port: number | undefined
  readonly fqdn: string | undefined
}

/** How one kind of xDS resource is filtered and printed. */
export interface Section {
  readonly head: readonly string[]
  keeps(resource: ConfigResource, filter: Filter): boolean
  rows(resource: ConfigResource, filter: Filter): string[][]
}

export type SectionName = 'listeners' | 'routes' | 'clusters' | 'endpoints' | 'extensions' | 'secrets'

const listeners: Section = {
  head: ['NAME', 'ADDRESS', 'PORT', 'MATCH', 'DESTINATION', 'SOURCE'],
  keeps: ({ name, config }, filter) =>
    hasName(name, filter) &&
    hasPort(textAt(config, 'address', 'socketAddress', 'portValue'), filter) &&
    (!filter.fqdn || JSON.stringify(config).includes(filter.fqdn)),
  rows: ({ name, config, provenance }) => {
    const fallback = at(config, 'defaultFilterChain')
    const chains = [...asList(at(config, 'filterChains')), ...(fallback === undefined ? [] : [fallback])]
    const address = [
      textAt(config, 'address', 'socketAddress', 'address'),
      textAt(config, 'address', 'socketAddress', 'portValue'),
    ]
    return (chains.length > 0 ? chains : [{}]).map(chain => [
      name,
      ...address,
      matchOf(chain, chain === fallback),
      destinationOf(chain),
      provenance,
    ])
  },
}

const routes: Section = {
  head: ['NAME', 'VHOST NAME', 'DOMAINS', 'MATCH', 'TARGET', 'SOURCE'],
  keeps: ({ name, config }, filter) =>
    hasName(name, filter) &&
    (filter.port === undefined || tableOf(name) === String(filter.port)) &&
    (!filter.fqdn || virtualHosts(config).some(host => hostMatches(host, filter))),
  rows: ({ name, config, provenance }, filter) =>
    virtualHosts(config)
      .filter(host => hostMatches(host, filter))
      .flatMap(host => {
        const domains = shortList(asList(at(host, 'domains')).map(String))
        return asList(at(host, 'routes')).map(route => [
          tableOf(name),
          textAt(host, 'name'),
          domains,
          routeMatch(at(route, 'match')),
          routeTarget(route),
          provenance,
        ])
      }),
}

const clusters: Section = {
  head: ['SERVICE FQDN', 'PORT', 'SUBSET', 'DIRECTION', 'TYPE', 'SOURCE'],
  keeps: keepsCluster,
  rows: ({ name, config, provenance }) => {
    const { direction, port, subset, host } = clusterParts(name)
    return [
      [
        host || name,
        port || '-',
        subset || '-',
        direction || '-',
        textAt(config, 'type') || textAt(config, 'clusterType', 'name') || 'STATIC',
        provenance,
      ],
    ]
  },
}

const endpoints: Section = {
  head: ['ENDPOINT', 'STATUS', 'WEIGHT', 'CLUSTER', 'SOURCE'],
  keeps: keepsCluster,
  rows: ({ name, config, provenance }) =>
    asList(at(config, 'endpoints')).flatMap(locality =>
      asList(at(locality, 'lbEndpoints')).map(endpoint => [
        addressOf(at(endpoint, 'endpoint', 'address')),
        textAt(endpoint, 'healthStatus') || 'HEALTHY',
        textAt(endpoint, 'loadBalancingWeight') || '1',
        name,
        provenance,
      ]),
    ),
}

/** The kind of a filter, as its type says it: `type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua`. */
const extensions: Section = {
  head: ['NAME', 'TYPE', 'SOURCE'],
  keeps: ({ name }, filter) => hasName(name, filter),
  rows: ({ name, config, provenance }) => [
    [name, textAt(config, 'typedConfig', '@type').replace(/^.*\//, '') || '-', provenance],
  ],
}

const secrets: Section = {
  head: ['NAME', 'TYPE', 'IDENTITY', 'SERIAL', 'NOT AFTER'],
  keeps: ({ name }, filter) => hasName(name, filter),
  rows: ({ name, config }) => [
    [
      name,
      'Cert Chain',
      textAt(config, 'identity') || '-',
      textAt(config, 'serial') || '-',
      textAt(config, 'notAfter') || '-',
    ],
  ],
}

/** Every kind of resource that `proxy-config` shows. */
export const sections: Readonly<Record<SectionName, Section>> = {
  listeners,
  routes,
  clusters,
  endpoints,
  extensions,
  secrets,
}

function hasName(name: string, filter: Filter): boolean {
  return filter.name === undefined || name.includes(filter.name)
}

function hasPort(port: string, filter: Filter): boolean {
  return filter.port === undefined || port === String(filter.port)
}

function keepsCluster({ name }: ConfigResource, filter: Filter): boolean {
  const { port, host } = clusterParts(name)
  return hasName(name, filter) && hasPort(port, filter) && isHost(host || name, filter)
}

/** `reviews` asks for `reviews.default.svc.cluster.local` too. */
function isHost(host: string, { fqdn }: Filter): boolean {
  return fqdn === undefined || host === fqdn || host.startsWith(`${fqdn}.`)
}

/** The route table of a resource: a virtual host that was discovered by itself is called `<table>/<host>`. */
function tableOf(name: string): string {
  return name.split(/[/:]/, 1)[0] ?? name
}

/** The virtual hosts of a route table, or the one that was discovered by itself. */
function virtualHosts(config: unknown): readonly unknown[] {
  return at(config, 'domains') === undefined ? asList(at(config, 'virtualHosts')) : [config]
}

function hostMatches(host: unknown, filter: Filter): boolean {
  return asList(at(host, 'domains')).some(domain => isHost(String(domain).replace(/:\d+$/, ''), filter))
}

/** Istio's cluster names: `outbound|80|v1|reviews.default.svc.cluster.local`, or with `_.` at gateways between networks. */
function clusterParts(name: string): { direction: string; port: string; subset: string; host: string } {
  const [direction = '', port = '', subset = '', host] = name.split(name.includes('|') ? '|' : '_.')
  return host === undefined
    ? { direction: '', port: '', subset: '', host: '' }
    : { direction, port, subset, host }
}

function matchOf(chain: unknown, isDefault: boolean): string {
  if (isDefault) return 'DEFAULT'
  const match = at(chain, 'filterChainMatch')
  const parts = [
    textAt(match, 'transportProtocol') && `Trans: ${textAt(match, 'transportProtocol')}`,
    listText('App', at(match, 'applicationProtocols')),
    listText('SNI', at(match, 'serverNames')),
    listText(
      'Addr',
      asList(at(match, 'prefixRanges')).map(
        range => `${textAt(range, 'addressPrefix')}/${textAt(range, 'prefixLen')}`,
      ),
    ),
    textAt(match, 'destinationPort') && `Port: ${textAt(match, 'destinationPort')}`,
  ].filter(Boolean)
  return parts.length > 0 ? parts.join('; ') : 'ALL'
}

function listText(title: string, values: unknown): string {
  const list = asList(values)
  return list.length > 0 ? `${title}: ${list.join(',')}` : ''
}

function destinationOf(chain: unknown): string {
  for (const filter of asList(at(chain, 'filters'))) {
    const config = at(filter, 'typedConfig')
    const route = textAt(config, 'rds', 'routeConfigName')
    if (route) return `Route: ${route}`
    if (at(config, 'routeConfig') !== undefined)
      return `Inline Route: ${textAt(config, 'routeConfig', 'name')}`
    const cluster = textAt(config, 'cluster') || weighted(at(config, 'weightedClusters', 'clusters'))
    if (cluster) return `Cluster: ${cluster}`
  }
  return (
    asList(at(chain, 'filters'))
      .map(filter => textAt(filter, 'name'))
      .join(',') || 'Non-HTTP/Non-TCP'
  )
}

function routeMatch(match: unknown): string {
  const path =
    textAt(match, 'path') || textAt(match, 'pathSeparatedPrefix') || textAt(match, 'safeRegex', 'regex')
  const base = path || (textAt(match, 'prefix') ? `${textAt(match, 'prefix')}*` : '*')
  const headers = asList(at(match, 'headers')).map(header => textAt(header, 'name'))
  return headers.length > 0 ? `${base} [${headers.join(',')}]` : base
}

function routeTarget(route: unknown): string {
  const cluster =
    textAt(route, 'route', 'cluster') || weighted(at(route, 'route', 'weightedClusters', 'clusters'))
  if (cluster) return cluster
  if (at(route, 'redirect') !== undefined) return 'redirect'
  const status = textAt(route, 'directResponse', 'status')
  return status ? `status ${status}` : '-'
}

function weighted(clusters: unknown): string {
  return asList(clusters)
    .map(cluster => `${textAt(cluster, 'name')} (${textAt(cluster, 'weight') || '0'})`)
    .join(', ')
}

function addressOf(address: unknown): string {
  const pipe = textAt(address, 'pipe', 'path')
  if (pipe) return `unix://${pipe}`
  return `${textAt(address, 'socketAddress', 'address')}:${textAt(address, 'socketAddress', 'portValue')}`
}

function shortList(values: readonly string[]): string {
  const shown = values.filter(value => !/:\d+$/.test(value))
  const list = shown.length > 0 ? shown : values
  return list.length > 2 ? `${list.slice(0, 2).join(', ')} + ${list.length - 2} more` : list.join(', ')
}
