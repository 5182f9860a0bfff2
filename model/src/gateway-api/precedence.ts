import { byAge } from '../age.ts'
import type { RoutedHttp } from './derived.ts'

/** A match of a rule with what it leads to, and what decides whether it comes before another. */
export interface RankedRule {
  /** The larger number at the first place that differs comes first. */
  readonly rank: readonly number[]
  readonly route: RoutedHttp
}

/** The rules of one route, in the order in which they are written. */
export interface RuleList {
  readonly age: { readonly name: string; readonly namespace: string; readonly creationTimestamp?: string }
  readonly rules: readonly RankedRule[]
}

/**
 * All rules in the order in which they are tried: the most specific match, then the oldest route, then the first by
 * namespace and name, then the order within the route.
 */
export function inPrecedence(lists: readonly RuleList[]): RoutedHttp[] {
  const none = { labels: {}, annotations: {} }
  const byRoute = [...lists].sort((a, b) =>
    byAge({ metadata: { ...none, ...a.age } }, { metadata: { ...none, ...b.age } }),
  )
  return byRoute
    .flatMap(({ rules }) => rules)
    .sort((a, b) => compareRanks(a.rank, b.rank))
    .map(({ route }) => route)
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const difference = (b[at] ?? 0) - (a[at] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}

const PATH_RANK = { Exact: 3, RegularExpression: 2, PathPrefix: 1 } as const

/**
 * How specific an HTTPRoute's match is: a whole path, then an expression, then the longest prefix; a method; the
 * number of headers, then of query parameters. The specification leaves open where expressions stand; behind
 * prefixes the one of all paths would hide them.
 */
export function httpRank(match: {
  readonly path: { readonly type: keyof typeof PATH_RANK; readonly value: string }
  readonly method?: string | undefined
  readonly headers?: readonly unknown[] | undefined
  readonly queryParams?: readonly unknown[] | undefined
}): number[] {
  const { path, method, headers = [], queryParams = [] } = match
  return [
    PATH_RANK[path.type],
    path.value.length,
    method === undefined ? 0 : 1,
    headers.length,
    queryParams.length,
  ]
}

/** How specific a GRPCRoute's match is: the service, then the method, then the number of headers. */
export function grpcRank(match: {
  readonly method?:
    | { readonly service?: string | undefined; readonly method?: string | undefined }
    | undefined
  readonly headers?: readonly unknown[] | undefined
}): number[] {
  const { service = '', method = '' } = match.method ?? {}
  const named = service && method ? 3 : service ? 2 : method ? 1.5 : 1
  return [named, service.length, method.length, match.headers?.length ?? 0]
}
