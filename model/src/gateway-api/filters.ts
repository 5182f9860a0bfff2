import type { CorsPolicy, HttpHeaders, HttpRouteFilter } from '@seine/api'
import { bad, type Verdict } from './conditions.ts'
import type { PathSubstitution, RoutedHttp, RouteRedirect } from './derived.ts'
import type { Reader } from './incremental.ts'
import { resolveBackend, type Source } from './references.ts'

/** Where a list of filters stands, and what decides about references in it. */
export interface FilterContext {
  readonly read: Reader
  readonly from: Source
  readonly path: string
  readonly needsGrant: boolean
  /** The prefix that the rule's one match has, for filters that replace it. */
  readonly prefix: string
}

/** What a list of filters does to requests. */
export interface FilterEffect {
  readonly headers: HttpHeaders | undefined
  readonly redirect: RouteRedirect | undefined
  readonly authority: string | undefined
  readonly substitution: PathSubstitution | undefined
  readonly mirrors: NonNullable<RoutedHttp['mirrors']>
  readonly cors: CorsPolicy | undefined
  /** References that lead nowhere. */
  readonly unresolved: readonly Verdict[]
  /** Requests are answered with 500: a filter that is not known must not be skipped. */
  readonly fails: boolean
  /** What is not supported; the rule is left out because of it. */
  readonly unsupported: readonly Verdict[]
}

/** What filters of an HTTPRoute's or a GRPCRoute's rule, or of one of its backends, do. */
export function filterEffect(filters: readonly HttpRouteFilter[], context: FilterContext): FilterEffect {
  const headers: HeaderChanges = { request: {}, response: {} }
  const mirrors: NonNullable<RoutedHttp['mirrors']> = []
  const unresolved: Verdict[] = []
  const unsupported: Verdict[] = []
  let redirect: RouteRedirect | undefined
  let rewrite: NonNullable<HttpRouteFilter['urlRewrite']> | undefined
  let cors: CorsPolicy | undefined
  let fails = false
  for (const [index, filter] of filters.entries()) {
    const at = `${context.path}[${index}]`
    unsupported.push(...headerProblems(filter, at), ...pathProblems(filter, at))
    if (filter.requestHeaderModifier) change(headers.request, filter.requestHeaderModifier)
    if (filter.responseHeaderModifier) change(headers.response, filter.responseHeaderModifier)
    if (filter.requestRedirect) redirect = redirectOf(filter.requestRedirect, context.prefix)
    if (filter.urlRewrite) rewrite = filter.urlRewrite
    if (filter.requestMirror) {
      const mirror = mirrorOf(filter.requestMirror, context, `${at}.requestMirror.backendRef`)
      if ('reason' in mirror) unresolved.push(mirror)
      else mirrors.push(mirror)
    }
    if (filter.cors) {
      const policy = corsOf(filter.cors, `${at}.cors`)
      if ('reason' in policy) unsupported.push(policy)
      else cors = policy
    }
    if (filter.extensionRef) {
      const { kind, name } = filter.extensionRef
      unresolved.push(
        bad('InvalidKind', `${kind} ${name} is no filter that is known here`, `${at}.extensionRef`),
      )
      fails = true
    }
    if (filter.externalAuth)
      unsupported.push(bad('UnsupportedValue', 'ExternalAuth is not supported', `${at}.externalAuth`))
  }
  return {
    headers: changesOf(headers),
    redirect,
    authority: rewrite?.hostname,
    substitution: rewrite?.path && substitution(rewrite.path, context.prefix),
    mirrors,
    cors,
    unresolved,
    fails,
    unsupported,
  }
}

type Modifier = NonNullable<HttpRouteFilter['requestHeaderModifier']>
type Operations = { set?: Record<string, string>; add?: Record<string, string>; remove?: string[] }
interface HeaderChanges {
  readonly request: Operations
  readonly response: Operations
}

function change(operations: Operations, { set = [], add = [], remove = [] }: Modifier): void {
  // A percent sign begins an operator in Envoy; here it is one.
  const literal = (entries: Modifier['set'] & object) =>
    Object.fromEntries(entries.map(({ name, value }) => [name, value.replaceAll('%', '%%')]))
  if (set.length > 0) operations.set = { ...operations.set, ...literal(set) }
  if (add.length > 0) operations.add = { ...operations.add, ...literal(add) }
  if (remove.length > 0) operations.remove = [...(operations.remove ?? []), ...remove]
}

function changesOf({ request, response }: HeaderChanges): HttpHeaders | undefined {
  const some = (operations: Operations) => Object.keys(operations).length > 0
  if (!some(request) && !some(response)) return undefined
  return { ...(some(request) ? { request } : {}), ...(some(response) ? { response } : {}) }
}

const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/

/** The host is no header that can be added or taken off; setting it for requests rewrites it. */
function headerProblems(filter: HttpRouteFilter, at: string): Verdict[] {
  const found: Verdict[] = []
  for (const field of ['requestHeaderModifier', 'responseHeaderModifier'] as const) {
    const { set = [], add = [], remove = [] } = filter[field] ?? {}
    const named = [
      ...(field === 'responseHeaderModifier'
        ? set.map(({ name }, index) => ({ name, at: `set[${index}]` }))
        : []),
      ...add.map(({ name }, index) => ({ name, at: `add[${index}]` })),
      ...remove.map((name, index) => ({ name, at: `remove[${index}]` })),
    ]
    for (const { name, at: place } of named) {
      if (HEADER_NAME.test(name) && name.toLowerCase() !== 'host') continue
      found.push(
        bad('UnsupportedValue', `"${name}" is no header that can be changed so`, `${at}.${field}.${place}`),
      )
    }
  }
  return found
}

/** A path stands in a header of the answer, or in the request's first line. */
function pathProblems(filter: HttpRouteFilter, at: string): Verdict[] {
  return (['requestRedirect', 'urlRewrite'] as const).flatMap(field => {
    const { replaceFullPath = '', replacePrefixMatch = '' } = filter[field]?.path ?? {}
    return CONTROL.test(`${replaceFullPath}${replacePrefixMatch}`)
      ? bad('UnsupportedValue', 'a path holds no control characters', `${at}.${field}.path`)
      : []
  })
}

const CONTROL = /\p{Cc}/u

type Mirror = NonNullable<RoutedHttp['mirrors']>[number]

function mirrorOf(
  mirror: NonNullable<HttpRouteFilter['requestMirror']>,
  { read, from, needsGrant }: FilterContext,
  path: string,
): Mirror | Verdict {
  const backend = resolveBackend(read, from, mirror.backendRef, path, needsGrant)
  if (backend.verdict) return backend.verdict
  const { fraction, percent } = mirror
  const value = fraction ? (100 * fraction.numerator) / fraction.denominator : percent
  return {
    destination: { host: backend.host, port: { number: backend.port } },
    ...(value === undefined ? {} : { percentage: { value } }),
  }
}

type PathModifier = NonNullable<NonNullable<HttpRouteFilter['urlRewrite']>['path']>

/**
 * What a change of the path replaces. A prefix is replaced by whole parts: a slash at the end of either does not
 * count, and what is left of a path is never empty.
 */
export function substitution(modifier: PathModifier, prefix: string): PathSubstitution | undefined {
  if (modifier.type === 'ReplaceFullPath') {
    const path = modifier.replaceFullPath || '/'
    return { match: '^.*$', rewrite: escapeSubstitution(path.startsWith('/') ? path : `/${path}`) }
  }
  const from = prefix.replace(/\/+$/, '')
  const to = (modifier.replacePrefixMatch ?? '').replace(/\/+$/, '')
  const target = to === '' || to.startsWith('/') ? to : `/${to}`
  if (from === target) return undefined
  if (from === '') return { match: '^/', rewrite: `${escapeSubstitution(target)}/` }
  // Without a replacement the slash that follows the prefix is the path's first.
  return target === ''
    ? { match: `^${escapeRegex(from)}/?`, rewrite: '/' }
    : { match: `^${escapeRegex(from)}`, rewrite: escapeSubstitution(target) }
}

function escapeRegex(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
}

function escapeSubstitution(text: string): string {
  return text.replaceAll('\\', '\\\\')
}

/** The port stays open: which one it is without being said depends on the listener, see `finishRedirect`. */
function redirectOf(
  { scheme, hostname, port, path, statusCode }: NonNullable<HttpRouteFilter['requestRedirect']>,
  prefix: string,
): RouteRedirect {
  const replaced = path && substitution(path, prefix)
  return {
    redirectCode: statusCode,
    ...(scheme === undefined ? {} : { scheme }),
    ...(hostname === undefined ? {} : { authority: hostname }),
    ...(port === undefined ? {} : { port }),
    ...(path?.type === 'ReplaceFullPath' ? { uri: path.replaceFullPath || '/' } : {}),
    ...(path?.type === 'ReplacePrefixMatch' && replaced ? { pathSubstitution: replaced } : {}),
  }
}

const DEFAULT_PORTS = { http: 80, https: 443 } as const

/**
 * The redirect with its port: the one that was given, or the scheme's where one was given, or the listener's. A
 * port that a location need not name is left out where the request's does not stand in for it.
 */
export function finishRedirect(
  redirect: RouteRedirect,
  listener: { readonly port: number; readonly scheme: 'http' | 'https' },
): RouteRedirect {
  const scheme = redirect.scheme ?? listener.scheme
  const port = redirect.port ?? (redirect.scheme ? DEFAULT_PORTS[redirect.scheme] : listener.port)
  const hostHasPort = redirect.authority === undefined && listener.port !== DEFAULT_PORTS[listener.scheme]
  const { port: _port, ...rest } = redirect
  return port === DEFAULT_PORTS[scheme] && !hostHasPort ? rest : { ...rest, port }
}

type Cors = NonNullable<HttpRouteFilter['cors']>

function corsOf(cors: Cors, path: string): CorsPolicy | Verdict {
  const { allowOrigins = [], allowMethods = [], allowHeaders = [], exposeHeaders = [], maxAge } = cors
  if (cors.allowCredentials) {
    // With credentials "*" is no wildcard to browsers, and the request's own can't be answered with.
    for (const [field, list] of Object.entries({ allowMethods, allowHeaders, exposeHeaders }))
      if ((list as readonly string[]).includes('*'))
        return bad('UnsupportedValue', '"*" does not go with allowCredentials: name each', `${path}.${field}`)
  }
  return {
    allowOrigins: allowOrigins.map(originMatch),
    ...(allowMethods.length > 0 ? { allowMethods: [...allowMethods] } : {}),
    ...(allowHeaders.length > 0 ? { allowHeaders: [...allowHeaders] } : {}),
    ...(exposeHeaders.length > 0 ? { exposeHeaders: [...exposeHeaders] } : {}),
    ...(cors.allowCredentials === undefined ? {} : { allowCredentials: cors.allowCredentials }),
    maxAge: `${maxAge}s`,
    unmatchedPreflights: 'IGNORE',
  }
}

function originMatch(origin: string): NonNullable<CorsPolicy['allowOrigins']>[number] {
  if (origin === '*') return { regex: '.*' }
  if (!origin.includes('*')) return { exact: origin }
  return { regex: escapeRegex(origin).replaceAll('\\*', '.+') }
}
