import type { StringMatch } from '@seine/api'
import type {
  HeaderMatcherSchema,
  QueryParameterMatcherSchema,
  RouteMatchSchema,
} from '@seine/envoy/envoy/config/route/v3/route_components'
import type { StringMatcherSchema } from '@seine/envoy/envoy/type/matcher/v3/string'
import type { RouteMatch } from '@seine/model'
import type { Init } from '../init.ts'

type MatchInit = Init<typeof RouteMatchSchema>
type HeaderInit = Init<typeof HeaderMatcherSchema>
type QueryInit = Init<typeof QueryParameterMatcherSchema>
type StringInit = Init<typeof StringMatcherSchema>

/** Everything matches. */
export const MATCH_ALL: MatchInit = { pathSpecifier: { case: 'prefix', value: '/' } }

/** One `match` of an HTTP route as Envoy's route match. */
export function routeMatch(match: RouteMatch): MatchInit {
  const headers: HeaderInit[] = []
  for (const [name, value] of Object.entries(match.headers ?? {})) headers.push(headerMatch(name, value))
  for (const [name, written] of Object.entries(match.withoutHeaders ?? {})) {
    // Istio's way of asking for absence; it is no regular expression.
    const value = written.regex === '*' ? {} : written
    headers.push({
      ...headerMatch(name, value),
      invertMatch: true,
      ...(isPresence(value) ? {} : { treatMissingHeaderAsEmpty: true }),
    })
  }
  if (match.method) headers.push(headerMatch(':method', match.method))
  if (match.authority) headers.push(headerMatch(':authority', match.authority))
  if (match.scheme) headers.push(headerMatch(':scheme', match.scheme))
  return {
    ...(match.pathPrefix === undefined
      ? pathMatch(match.uri)
      : { pathSpecifier: { case: 'pathSeparatedPrefix' as const, value: match.pathPrefix } }),
    ...(match.ignoreUriCase ? { caseSensitive: false } : {}),
    headers,
    queryParameters: Object.entries(match.queryParams ?? {}).map(([name, value]) => queryMatch(name, value)),
  }
}

/** Whether nothing a client sends can fail to match. */
export function matchesEverything(match: RouteMatch): boolean {
  if (match.pathPrefix !== undefined) return false
  const anyPath = match.uri === undefined || match.uri.prefix === '/' || match.uri.regex === '.*'
  const conditions = [
    match.headers,
    match.withoutHeaders,
    match.method,
    match.authority,
    match.scheme,
    match.queryParams,
  ]
  return (
    anyPath && conditions.every(condition => condition === undefined || Object.keys(condition).length === 0)
  )
}

function pathMatch(uri: StringMatch | undefined): MatchInit {
  if (uri?.exact !== undefined) return { pathSpecifier: { case: 'path', value: uri.exact } }
  if (uri?.prefix !== undefined) return { pathSpecifier: { case: 'prefix', value: uri.prefix } }
  if (uri?.regex !== undefined) return { pathSpecifier: { case: 'safeRegex', value: { regex: uri.regex } } }
  return MATCH_ALL
}

/** A string match without any of its forms asks only for the header's presence. */
function isPresence(value: StringMatch): boolean {
  return value.exact === undefined && value.prefix === undefined && value.regex === undefined
}

function headerMatch(name: string, value: StringMatch): HeaderInit {
  if (isPresence(value)) return { name, headerMatchSpecifier: { case: 'presentMatch', value: true } }
  return { name, headerMatchSpecifier: { case: 'stringMatch', value: stringMatcher(value) } }
}

function queryMatch(name: string, value: StringMatch): QueryInit {
  if (isPresence(value)) return { name, queryParameterMatchSpecifier: { case: 'presentMatch', value: true } }
  return { name, queryParameterMatchSpecifier: { case: 'stringMatch', value: stringMatcher(value) } }
}

/** Istio's string match as Envoy's. */
export function stringMatcher(value: StringMatch): StringInit {
  if (value.exact !== undefined) return { matchPattern: { case: 'exact', value: value.exact } }
  if (value.prefix !== undefined) return { matchPattern: { case: 'prefix', value: value.prefix } }
  return { matchPattern: { case: 'safeRegex', value: { regex: value.regex ?? '' } } }
}
