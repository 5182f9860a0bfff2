import {
  type HttpMatchRequest,
  type HttpRoute,
  refOf,
  type StringMatch,
  type VirtualService,
} from '@seine/api'
import type { Problem } from '@seine/kit'
import type { Cause, RoutedHttp, RoutedService, RouteMatch } from './gateway-api/index.ts'
import { resolveHost } from './host.ts'
import { exportScopes, visibleIn } from './service.ts'

/** A virtual service with the routes of its delegates in the place of the routes that name them. */
export interface Delegated {
  readonly service: RoutedService
  readonly problems: readonly Problem[]
}

/** The names, `namespace/name`, of the virtual services that a virtual service delegates to, in their order. */
export function delegatesOf({ spec, metadata }: VirtualService): string[] {
  return (spec.http ?? []).flatMap(({ delegate }) =>
    delegate ? [`${delegate.namespace || metadata.namespace}/${delegate.name}`] : [],
  )
}

/**
 * Puts delegates' routes into the virtual service that delegates to them, by Istio's rules: a delegate's route keeps
 * what it says itself, takes the rest from the route that delegates, and holds where both match. One whose
 * match can hold for nothing that the delegating route is for is left out, as is a route whose delegate is missing.
 */
export function withDelegates(
  root: VirtualService,
  find: (name: string) => VirtualService | undefined,
): Delegated {
  const problems: Problem[] = []
  const http = (root.spec.http ?? []).flatMap((route, index): RoutedHttp[] => {
    if (!route.delegate) return [withCauses(route, { ...refOf(root), path: `spec.http[${index}]` })]
    const name = `${route.delegate.namespace || root.metadata.namespace}/${route.delegate.name}`
    const path = `spec.http[${index}].delegate`
    const found = find(name)
    const missing = whyNot(found, name, root)
    if (!found || missing) {
      problems.push(problemAt(root, path, 'error', 'IST0101', `${missing}; the route is left out`))
      return []
    }
    const merged = (found.spec.http ?? []).map((own, at) =>
      mergedRoute(root, { route, index }, found, { route: own, index: at }),
    )
    for (const [at, one] of merged.entries()) {
      if (one) continue
      const message = `VirtualService ${name}, spec.http[${at}].match: matches nothing that this route matches; it is left out`
      problems.push(problemAt(root, path, 'warning', 'delegate-conflict', message))
    }
    return merged.filter(one => one !== undefined)
  })
  return { service: { ...root, spec: { ...root.spec, http } }, problems }
}

function whyNot(
  delegate: VirtualService | undefined,
  name: string,
  root: VirtualService,
): string | undefined {
  if (!delegate) return `there is no VirtualService ${name} to delegate to`
  if (delegate.spec.hosts?.length)
    return `VirtualService ${name} has hosts of its own: what is delegated to has none`
  const { namespace } = root.metadata
  return visibleIn(exportScopes(delegate.spec.exportTo), delegate.metadata.namespace, namespace)
    ? undefined
    : `VirtualService ${name} is not exported to the namespace ${namespace}`
}

interface Indexed {
  readonly route: HttpRoute
  readonly index: number
}

function mergedRoute(
  root: VirtualService,
  outer: Indexed,
  delegate: VirtualService,
  inner: Indexed,
): RoutedHttp | undefined {
  const via: Cause = { ...refOf(root), path: `spec.http[${outer.index}]` }
  const cause: Cause = { ...refOf(delegate), path: `spec.http[${inner.index}]` }
  const match = mergedMatches(outer.route.match ?? [], inner.route.match ?? [], cause)
  if (!match) return undefined
  const { delegate: _delegate, match: _match, ...inherited } = outer.route
  const { namespace } = delegate.metadata
  const own = withFullNames(inner.route, namespace)
  const name = joined(outer.route.name, own.name)
  return {
    ...mirrorOf(own, withFullNames(inherited, root.metadata.namespace)),
    ...(name ? { name } : {}),
    ...(match.length > 0 ? { match } : {}),
    cause,
    via,
  }
}

/** The inherited fields that the own route does not have; the share of a mirror goes with the mirror. */
function mirrorOf(own: HttpRoute, inherited: HttpRoute): RoutedHttp {
  const { mirror, mirrors, mirrorPercentage, mirrorPercent, mirror_percent, ...rest } = inherited
  const mirrored = own.mirror || own.mirrors
  const theirs = { mirror, mirrors, mirrorPercentage, mirrorPercent, mirror_percent }
  // What reaches no destination has no use for what is done on the way there.
  const { rewrite: _r, timeout: _t, retries: _y, fault: _f, ...unrouted } = rest
  return defined(own.route ? { ...rest, ...(mirrored ? {} : theirs), ...own } : { ...unrouted, ...own })
}

function withFullNames(route: HttpRoute, namespace: string): HttpRoute {
  const full = <D extends { host: string }>(destination: D): D => ({
    ...destination,
    host: resolveHost(destination.host, namespace),
  })
  const targets = <T extends { destination: { host: string } }>(list: T[] | undefined) =>
    list?.map(one => ({ ...one, destination: full(one.destination) }))
  return defined({
    ...route,
    route: targets(route.route),
    mirror: route.mirror && full(route.mirror),
    mirrors: targets(route.mirrors),
  })
}

/**
 * Where both match. Each match of the delegate must fit into one of the delegating route.
 *
 * @returns nothing where some match of the delegate fits into none
 */
function mergedMatches(
  outer: readonly HttpMatchRequest[],
  inner: readonly HttpMatchRequest[],
  cause: Cause,
): RouteMatch[] | undefined {
  if (outer.length === 0) return causedMatches(inner, cause)
  if (inner.length === 0) return outer.map(match => ({ ...match, cause }))
  const merged = inner.map((match, at) =>
    outer
      .filter(one => !conflict(one, match))
      .map(one => ({ ...mergedMatch(one, match), cause: { ...cause, path: `${cause.path}.match[${at}]` } })),
  )
  return merged.some(list => list.length === 0) ? undefined : merged.flat()
}

function causedMatches(matches: readonly HttpMatchRequest[], cause: Cause): RouteMatch[] {
  return matches.map((match, at) => ({ ...match, cause: { ...cause, path: `${cause.path}.match[${at}]` } }))
}

/** A route that stands at another place now than where it was written. */
function withCauses(route: HttpRoute, cause: Cause): RoutedHttp {
  return { ...route, cause, ...(route.match ? { match: causedMatches(route.match, cause) } : {}) }
}

function mergedMatch(outer: HttpMatchRequest, inner: HttpMatchRequest): HttpMatchRequest {
  const maps = (['headers', 'withoutHeaders', 'queryParams', 'sourceLabels'] as const).map(field => [
    field,
    outer[field] || inner[field] ? { ...outer[field], ...inner[field] } : undefined,
  ])
  const gateways = inner.gateways?.length ? inner.gateways : outer.gateways
  const name = joined(outer.name, inner.name)
  return defined({ ...outer, ...inner, ...Object.fromEntries(maps), gateways, name })
}

const TEXTS = ['uri', 'scheme', 'method', 'authority'] as const
const MAPS = ['headers', 'withoutHeaders', 'queryParams'] as const

function conflict(outer: HttpMatchRequest, inner: HttpMatchRequest): boolean {
  if (TEXTS.some(field => !isWithin(inner[field], outer[field]))) return true
  for (const field of MAPS)
    for (const [name, value] of Object.entries(inner[field] ?? {}))
      if (!isWithin(value, outer[field]?.[name])) return true
  if ((outer.ignoreUriCase ?? false) !== (inner.ignoreUriCase ?? false)) return true
  if (differ(outer.port, inner.port) || differ(outer.sourceNamespace, inner.sourceNamespace)) return true
  for (const [name, value] of Object.entries(inner.sourceLabels ?? {}))
    if (differ(outer.sourceLabels?.[name], value)) return true
  const gateways = outer.gateways ?? []
  return gateways.length > 0 && (inner.gateways ?? []).some(gateway => !gateways.includes(gateway))
}

function differ<T>(outer: T | undefined, inner: T | undefined): boolean {
  return outer !== undefined && inner !== undefined && outer !== inner
}

/** Whether all that the inner one matches is matched by the outer one. Of regular expressions nobody can tell. */
function isWithin(inner: StringMatch | undefined, outer: StringMatch | undefined): boolean {
  if (!inner || !outer) return true
  if (inner.regex !== undefined || outer.regex !== undefined) return false
  if (outer.exact !== undefined) return inner.exact === outer.exact
  const { prefix } = outer
  return prefix !== undefined && (inner.prefix ?? inner.exact)?.startsWith(prefix) === true
}

function joined(outer: string | undefined, inner: string | undefined): string | undefined {
  return outer && inner ? `${outer}-${inner}` : inner || outer
}

/** The object without its undefined fields. */
function defined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as T
}

function problemAt(
  root: VirtualService,
  path: string,
  severity: Problem['severity'],
  code: string,
  message: string,
): Problem {
  const position = root.origin ? { position: root.origin.locate(path) } : {}
  return { severity, code, message, resource: refOf(root), path, ...position }
}
