import {
  durationMs,
  type GrpcRoute,
  type HttpRouteFilter,
  type KubernetesHttpRoute,
  regexProblem,
} from '@seine/api'
import { bad, type Verdict } from './conditions.ts'
import type { Cause, RouteDestination, RoutedHttp, RouteMatch } from './derived.ts'
import { type FilterEffect, filterEffect } from './filters.ts'
import type { Query, Reader } from './incremental.ts'
import { routeOf } from './inputs.ts'
import type { Route } from './objects.ts'
import { grpcRank, httpRank, type RankedRule } from './precedence.ts'
import { resolveBackend } from './references.ts'

/** A route's rules as the mesh has them, whatever they are attached to. */
export interface CompiledRoute {
  /** Of HTTPRoutes and GRPCRoutes. */
  readonly http: readonly RankedRule[]
  /** Of TCPRoutes and TLSRoutes: the first rule's destinations. */
  readonly connections: readonly CompiledConnections[]
  /** References that lead nowhere. */
  readonly unresolved: readonly Verdict[]
  /** What is not supported, and which rules are left out because of it. */
  readonly unsupported: readonly Verdict[]
  readonly dropped: readonly number[]
  readonly ruleCount: number
}

/** Where connections go. */
export interface CompiledConnections {
  readonly cause: Cause
  readonly targets: readonly { readonly host: string; readonly port: number; readonly weight: number }[]
  readonly brokenWeight: number
}

/** The rules of a route, by `gateway <key>` or `mesh <key>`: in the mesh no grants are needed. */
export const compiledRoute: Query<CompiledRoute | undefined> = {
  name: 'rules',
  compute(name, read) {
    const [side = '', key = ''] = name.split(' ')
    const route = routeOf(read, key)
    return route && compile(read, route, side === 'gateway')
  },
}

function compile(read: Reader, route: Route, needsGrant: boolean): CompiledRoute {
  switch (route.kind) {
    case 'HTTPRoute':
      return compileAll(route.spec.rules.map((rule, index) => httpRule(read, route, rule, index, needsGrant)))
    case 'GRPCRoute':
      return compileAll(
        (route.spec.rules ?? [{}]).map((rule, index) => grpcRule(read, route, rule, index, needsGrant)),
      )
    default:
      return compileConnections(read, route, needsGrant)
  }
}

interface CompiledRule {
  readonly ranked: readonly RankedRule[]
  readonly unresolved: readonly Verdict[]
  readonly unsupported: readonly Verdict[]
}

function compileAll(rules: readonly CompiledRule[]): CompiledRoute {
  const isDropped = ({ unsupported }: CompiledRule) => unsupported.length > 0
  return {
    http: rules.flatMap(rule => (isDropped(rule) ? [] : rule.ranked)),
    connections: [],
    unresolved: rules.flatMap(({ unresolved }) => unresolved),
    unsupported: rules.flatMap(({ unsupported }) => unsupported),
    dropped: rules.flatMap((rule, index) => (isDropped(rule) ? [index] : [])),
    ruleCount: rules.length,
  }
}

type HttpRule = KubernetesHttpRoute['spec']['rules'][number]
type GrpcRule = NonNullable<GrpcRoute['spec']['rules']>[number]

function httpRule(
  read: Reader,
  route: KubernetesHttpRoute,
  rule: HttpRule,
  index: number,
  needsGrant: boolean,
): CompiledRule {
  const prefix = rule.matches[0]?.path.type === 'PathPrefix' ? rule.matches[0].path.value : '/'
  const action = ruleAction(read, route, rule, index, prefix, needsGrant)
  const ranked = rule.matches.map((match, at): RankedRule => {
    const cause = causeOf(route, `spec.rules[${index}].matches[${at}]`)
    return { rank: httpRank(match), route: { ...action.route, match: [{ ...httpMatch(match), cause }] } }
  })
  const timing = timingOf(rule)
  const attempts = rule.retry?.attempts ?? 0
  const tooMany =
    attempts > MOST_ATTEMPTS
      ? [
          bad(
            'UnsupportedValue',
            `at most ${MOST_ATTEMPTS} attempts are supported`,
            `spec.rules[${index}].retry.attempts`,
          ),
        ]
      : []
  return {
    ...action,
    unsupported: [...action.unsupported, ...tooMany],
    ranked: ranked.map(one => ({ ...one, route: one.route.route ? { ...one.route, ...timing } : one.route })),
  }
}

function grpcRule(
  read: Reader,
  route: GrpcRoute,
  rule: GrpcRule,
  index: number,
  needsGrant: boolean,
): CompiledRule {
  const action = ruleAction(read, route, rule, index, '/', needsGrant)
  const matches = rule.matches?.length ? rule.matches : [{}]
  const problems = matches.flatMap(({ method }, at) => {
    const path = method && grpcPath(method)
    const problem = path?.regex === undefined ? undefined : regexProblem(path.regex)
    return problem
      ? bad(
          'UnsupportedValue',
          `as an expression over paths it ${problem}`,
          `spec.rules[${index}].matches[${at}].method`,
        )
      : []
  })
  return {
    ...action,
    unsupported: [...action.unsupported, ...problems],
    ranked: matches.map((match, at): RankedRule => {
      const place = rule.matches?.length ? `spec.rules[${index}].matches[${at}]` : `spec.rules[${index}]`
      return {
        rank: grpcRank(match),
        route: { ...action.route, match: [{ ...grpcMatch(match), cause: causeOf(route, place) }] },
      }
    }),
  }
}

/** What HTTPRoutes and GRPCRoutes have in common: filters, backends, and persistence, which is not supported. */
function ruleAction(
  read: Reader,
  route: KubernetesHttpRoute | GrpcRoute,
  rule: HttpRule | GrpcRule,
  index: number,
  prefix: string,
  needsGrant: boolean,
): { route: RoutedHttp; unresolved: Verdict[]; unsupported: Verdict[] } {
  const path = `spec.rules[${index}]`
  const from = { kind: route.kind, namespace: route.metadata.namespace }
  const context = { read, from, needsGrant, prefix }
  const effect = filterEffect((rule.filters ?? []) as readonly HttpRouteFilter[], {
    ...context,
    path: `${path}.filters`,
  })
  const unresolved = [...effect.unresolved]
  const unsupported = [...effect.unsupported]
  if (rule.sessionPersistence)
    unsupported.push(
      bad('UnsupportedValue', 'sessionPersistence is not supported', `${path}.sessionPersistence`),
    )
  const destinations: RouteDestination[] = []
  let brokenWeight = 0
  for (const [at, ref] of (rule.backendRefs ?? []).entries()) {
    const place = `${path}.backendRefs[${at}]`
    const backend = resolveBackend(read, from, ref, place, needsGrant)
    const own = filterEffect((ref.filters ?? []) as readonly HttpRouteFilter[], {
      ...context,
      path: `${place}.filters`,
    })
    unresolved.push(...(backend.verdict ? [backend.verdict] : []), ...own.unresolved)
    unsupported.push(...own.unsupported, ...backendFilterProblems(own, `${place}.filters`))
    if (backend.verdict || own.fails) brokenWeight += ref.weight
    else if (ref.weight > 0)
      destinations.push({
        destination: { host: backend.host, port: { number: backend.port } },
        weight: ref.weight,
        ...(own.headers ? { headers: own.headers } : {}),
        ...(own.authority === undefined ? {} : { authority: own.authority }),
      })
  }
  const name = `${route.metadata.namespace}.${route.metadata.name}.${rule.name ?? index}`
  const common: RoutedHttp = {
    name,
    cause: causeOf(route, path),
    ...(effect.headers ? { headers: effect.headers } : {}),
    ...(effect.cors ? { corsPolicy: effect.cors } : {}),
  }
  return { route: { ...common, ...answerOf(effect, destinations, brokenWeight) }, unresolved, unsupported }
}

/** Where requests go, or what they are answered with. */
function answerOf(effect: FilterEffect, route: RouteDestination[], brokenWeight: number): RoutedHttp {
  if (effect.fails) return { directResponse: { status: 500 } }
  if (effect.redirect) return { redirect: effect.redirect }
  if (route.length === 0) return { directResponse: { status: 500 } }
  const { authority, substitution: uriRegexRewrite, mirrors } = effect
  const rewrite = {
    ...(authority === undefined ? {} : { authority }),
    ...(uriRegexRewrite ? { uriRegexRewrite } : {}),
  }
  return {
    route,
    ...(brokenWeight > 0 ? { brokenWeight } : {}),
    ...(Object.keys(rewrite).length > 0 ? { rewrite } : {}),
    ...(mirrors.length > 0 ? { mirrors } : {}),
  }
}

/** Envoy changes headers and hosts for one destination of several, but sends only whole routes elsewhere. */
function backendFilterProblems(effect: FilterEffect, path: string): Verdict[] {
  const wanted = [
    effect.redirect && 'RequestRedirect',
    effect.substitution && 'URLRewrite of the path',
    effect.mirrors.length > 0 && 'RequestMirror',
    effect.cors && 'CORS',
  ].filter(Boolean)
  return wanted.map(what =>
    bad('UnsupportedValue', `${what} is not supported for one backend: use a filter of the rule`, path),
  )
}

type HttpMatch = HttpRule['matches'][number]
type GrpcMatch = NonNullable<GrpcRule['matches']>[number]

function httpMatch({ path, headers, queryParams, method }: HttpMatch): RouteMatch {
  return {
    ...pathMatch(path),
    ...(headers?.length ? { headers: headerMatches(headers) } : {}),
    ...(queryParams?.length
      ? { queryParams: Object.fromEntries(queryParams.map(one => [one.name, valueMatch(one)])) }
      : {}),
    ...(method ? { method: { exact: method } } : {}),
  }
}

function pathMatch({ type, value }: HttpMatch['path']): RouteMatch {
  if (type === 'Exact') return { uri: { exact: value } }
  if (type === 'RegularExpression') return { uri: { regex: value } }
  const prefix = value.replace(/\/+$/, '')
  return prefix === '' ? { uri: { prefix: '/' } } : { pathPrefix: prefix }
}

function grpcMatch({ method, headers }: GrpcMatch): RouteMatch {
  return {
    ...(method ? { uri: grpcPath(method) } : {}),
    ...(headers?.length ? { headers: headerMatches(headers) } : {}),
  }
}

/** A call of gRPC is a request for `/<service>/<method>`. */
function grpcPath({ type, service, method }: NonNullable<GrpcMatch['method']>): RouteMatch['uri'] {
  if (type === 'RegularExpression') return { regex: `/${group(service)}/${group(method)}` }
  if (service === undefined) return { regex: `/[^/]+/${method ?? ''}` }
  return method === undefined ? { prefix: `/${service}/` } : { exact: `/${service}/${method}` }
}

function group(expression: string | undefined): string {
  return expression === undefined ? '[^/]+' : `(?:${expression})`
}

interface ValueMatch {
  readonly type: 'Exact' | 'RegularExpression'
  readonly name: string
  readonly value: string
}

function valueMatch({ type, value }: ValueMatch): { exact: string } | { regex: string } {
  return type === 'Exact' ? { exact: value } : { regex: value }
}

function headerMatches(
  headers: readonly ValueMatch[],
): Record<string, { exact: string } | { regex: string }> {
  return Object.fromEntries(
    headers.map(one => [one.name.toLowerCase() === 'host' ? ':authority' : one.name, valueMatch(one)]),
  )
}

/** As many as a VirtualService can have. */
const MOST_ATTEMPTS = 100

/** What certainly has not reached the application is tried again anyhow. */
const RETRY_ON = 'connect-failure,refused-stream,unavailable,cancelled'

function timingOf({ timeouts, retry }: HttpRule): RoutedHttp {
  const each = timeouts?.backendRequest
  const perTry = each !== undefined && durationMs(each) > 0 ? { perTryTimeout: each } : {}
  const conditions = [
    RETRY_ON,
    // A try that took too long is one that failed.
    ...(retry && 'perTryTimeout' in perTry ? ['reset'] : []),
    ...(retry?.codes ?? []).map(String),
  ]
  const retries = {
    ...perTry,
    ...(retry?.attempts === undefined ? {} : { attempts: retry.attempts }),
    ...(retry?.backoff === undefined || durationMs(retry.backoff) === 0 ? {} : { backoff: retry.backoff }),
    ...(conditions.length > 1 ? { retryOn: conditions.join(',') } : {}),
  }
  return {
    ...(timeouts?.request === undefined ? {} : { timeout: timeouts.request }),
    ...(Object.keys(retries).length > 0 ? { retries } : {}),
  }
}

function compileConnections(
  read: Reader,
  route: Exclude<Route, KubernetesHttpRoute | GrpcRoute>,
  needsGrant: boolean,
): CompiledRoute {
  const from = { kind: route.kind, namespace: route.metadata.namespace }
  const unresolved: Verdict[] = []
  const connections = route.spec.rules.map((rule, index): CompiledConnections => {
    const path = `spec.rules[${index}]`
    const targets: { host: string; port: number; weight: number }[] = []
    let brokenWeight = 0
    for (const [at, ref] of rule.backendRefs.entries()) {
      const backend = resolveBackend(read, from, ref, `${path}.backendRefs[${at}]`, needsGrant)
      if (backend.verdict) {
        unresolved.push(backend.verdict)
        brokenWeight += ref.weight
      } else if (ref.weight > 0) targets.push({ host: backend.host, port: backend.port, weight: ref.weight })
    }
    return { cause: causeOf(route, path), targets, brokenWeight }
  })
  return { http: [], connections, unresolved, unsupported: [], dropped: [], ruleCount: connections.length }
}

function causeOf({ kind, metadata }: Route, path: string): Cause {
  return { kind, namespace: metadata.namespace, name: metadata.name, path }
}
