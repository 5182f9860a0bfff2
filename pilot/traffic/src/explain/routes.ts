import type { RouteConfiguration } from '@seine/envoy/envoy/config/route/v3/route'
import type { Route, RouteMatch, VirtualHost } from '@seine/envoy/envoy/config/route/v3/route_components'
import { describeHeader, describeQuery, headerMatches, queryMatches, regexMatches } from './match-values.ts'
import { type HttpRequest, headerOf, normalizedPath, queryOf } from './request.ts'

/** A virtual host and the domain by which it was found. */
export interface FoundVirtualHost {
  readonly virtualHost: VirtualHost
  readonly domain: string
}

/** The virtual host for an authority: an exact domain first, then the longest `*.suffix`, the longest `prefix.*`, and `*`. */
export function findVirtualHost(
  table: Pick<RouteConfiguration, 'virtualHosts' | 'ignorePortInHostMatching'>,
  authority: string,
): FoundVirtualHost | undefined {
  const host = (table.ignorePortInHostMatching ? authority.replace(/:\d+$/, '') : authority).toLowerCase()
  let best: (FoundVirtualHost & { rank: number }) | undefined
  for (const virtualHost of table.virtualHosts) {
    for (const domain of virtualHost.domains) {
      const rank = domainRank(domain.toLowerCase(), host)
      if (rank !== undefined && (best === undefined || rank > best.rank)) best = { virtualHost, domain, rank }
    }
  }
  return best
}

const EXACT = 3_000_000
const SUFFIX = 2_000_000
const PREFIX = 1_000_000

function domainRank(domain: string, host: string): number | undefined {
  if (domain === '*') return 0
  if (domain === host) return EXACT
  // The star stands for at least one character.
  if (host.length < domain.length) return undefined
  if (domain.startsWith('*') && host.endsWith(domain.slice(1))) return SUFFIX + domain.length
  if (domain.endsWith('*') && host.startsWith(domain.slice(0, -1))) return PREFIX + domain.length
  return undefined
}

/** The first route that matches, and for each before it what did not. */
export interface FoundRoute {
  readonly route: Route | undefined
  readonly index: number
  readonly passed: readonly { readonly route: Route; readonly why: string }[]
}

/** Goes through a virtual host's routes in their order, as Envoy does. */
export function findRoute(routes: readonly Route[], request: HttpRequest): FoundRoute {
  const passed: { route: Route; why: string }[] = []
  for (const [index, route] of routes.entries()) {
    const why = route.match ? mismatch(route.match, request) : undefined
    if (why === undefined) return { route, index, passed }
    passed.push({ route, why })
  }
  return { route: undefined, index: -1, passed }
}

/** What of a match does not hold, in words; `undefined` if all does. */
function mismatch(match: RouteMatch, request: HttpRequest): string | undefined {
  const path = normalizedPath(request)
  if (!pathMatches(match, path)) return `the path ${path} is not: ${describePath(match)}`
  for (const header of match.headers) {
    if (!headerMatches(header, request)) {
      const value = headerOf(request, header.name)
      return `the request has ${value === undefined ? `no ${header.name}` : `${header.name} "${value}"`}, wanted is: ${describeHeader(header)}`
    }
  }
  for (const parameter of match.queryParameters) {
    if (!queryMatches(parameter, request)) {
      const value = queryOf(request).get(parameter.name)
      return `the query has ${value === undefined ? `no ${parameter.name}` : `${parameter.name}=${value}`}, wanted is: ${describeQuery(parameter)}`
    }
  }
  return undefined
}

function pathMatches({ pathSpecifier, caseSensitive }: RouteMatch, path: string): boolean {
  const fold = (text: string) => (caseSensitive === false ? text.toLowerCase() : text)
  switch (pathSpecifier.case) {
    case 'prefix':
      return fold(path).startsWith(fold(pathSpecifier.value))
    case 'path':
      return fold(path) === fold(pathSpecifier.value)
    case 'pathSeparatedPrefix': {
      const prefix = fold(pathSpecifier.value)
      return fold(path) === prefix || fold(path).startsWith(`${prefix}/`)
    }
    case 'safeRegex':
      return regexMatches(pathSpecifier.value.regex, path)
    default:
      return false
  }
}

/** A match's path in words. */
export function describePath({ pathSpecifier }: RouteMatch): string {
  switch (pathSpecifier.case) {
    case 'prefix':
      return pathSpecifier.value === '/' ? 'any path' : `a path that starts with ${pathSpecifier.value}`
    case 'path':
      return `the path ${pathSpecifier.value}`
    case 'pathSeparatedPrefix':
      return `a path below ${pathSpecifier.value}`
    case 'safeRegex':
      return `a path like ${pathSpecifier.value.regex}`
    default:
      return 'a path this version can not read'
  }
}

/** All of a match in words. */
export function describeMatch(match: RouteMatch): string {
  return [
    describePath(match),
    ...match.headers.map(describeHeader),
    ...match.queryParameters.map(describeQuery),
  ].join(', ')
}
