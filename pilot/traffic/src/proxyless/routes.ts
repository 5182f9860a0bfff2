import { durationMs, type HttpRetry } from '@seine/api'
import { duration, type EncodedResource, type Provenance } from '@seine/envoy'
import { RouteConfigurationSchema } from '@seine/envoy/envoy/config/route/v3/route'
import type {
  HeaderMatcherSchema,
  RetryPolicySchema,
  RouteActionSchema,
  RouteMatchSchema,
  RouteSchema,
} from '@seine/envoy/envoy/config/route/v3/route_components'
import type { MeshService, RoutedHttp, RoutedService, RouteMatch } from '@seine/model'
import { encode } from '../encode.ts'
import { regexMatches } from '../explain/match-values.ts'
import type { Init } from '../init.ts'
import { MISSING_CLUSTER } from '../names.ts'
import { objectsOf, provenanceField } from '../provenance-metadata.ts'
import { faultConfig, perFilter } from '../routes/actions.ts'
import {
  type BuiltRoute,
  defaultRoutes,
  type RouteInputs,
  virtualServiceRoutes,
} from '../routes/virtual-host.ts'
import { hostPort, routeTableName } from './names.ts'

type RouteInit = Init<typeof RouteSchema>
type MatchInit = Init<typeof RouteMatchSchema>
type HeaderInit = Init<typeof HeaderMatcherSchema>
type ActionInit = Init<typeof RouteActionSchema>
type RetryInit = Init<typeof RetryPolicySchema>

const FAULT = 'envoy.filters.http.fault'
/** The status codes that gRPC clients retry, by the words for them. */
const RETRIED = ['cancelled', 'deadline-exceeded', 'internal', 'resource-exhausted', 'unavailable']
const DEFAULT_ATTEMPTS = 2
/** What certainly was not answered by the application, as for sidecars. */
const DEFAULT_RETRY_ON = 'unavailable,cancelled'

/** What the routes of a host on a port are made from. */
export interface ProxylessRouteInputs extends RouteInputs {
  readonly service: MeshService | undefined
  readonly virtualService: RoutedService | undefined
}

/**
 * The routes of one host on one port as gRPC takes them. They are the sidecars' routes without what gRPC has not: what a
 * call can not have matches nothing, and what can't be answered with ends the call. The table is for one host, so
 * that it takes whatever name the application gives as the authority.
 */
export function proxylessRoutes(inputs: ProxylessRouteInputs): EncodedResource {
  const { hostname, port, service, virtualService } = inputs
  const routed = virtualService ? virtualServiceRoutes(inputs, virtualService) : []
  const built = routed.length > 0 ? routed : defaultRoutes(inputs)
  const fallback = service ? routeTableName(service.hostname, port) : firstCluster(built)
  const adapted = built.flatMap(one => {
    const route = adapt(one, fallback)
    return route ? [{ route, provenance: one.provenance }] : []
  })
  const provenance: Provenance[] = [
    ...(service ? [service.ref] : []),
    ...adapted.flatMap(one => one.provenance),
  ]
  const name = routeTableName(hostname, port)
  return encode(
    RouteConfigurationSchema,
    name,
    {
      name,
      virtualHosts: [
        {
          name: hostPort(hostname, port),
          domains: ['*'],
          routes: adapted.map(({ route }) => route),
          ...provenanceField(objectsOf(provenance)),
        },
      ],
    },
    provenance,
  )
}

/** The table of a host that is not there: calls end at once, as unavailable. */
export function noRoutes(hostname: string, port: number): EncodedResource {
  const name = routeTableName(hostname, port)
  const host = { name: hostPort(hostname, port), domains: ['*'] }
  return encode(RouteConfigurationSchema, name, { name, virtualHosts: [host] }, [])
}

/** What a match asks for that a gRPC client can't tell of a call, by field; then the match never holds. */
export function unknowable({ queryParams, authority, headers, withoutHeaders }: RouteMatch): string[] {
  const isPseudo = (names: object | undefined) => Object.keys(names ?? {}).some(name => name.startsWith(':'))
  return [
    ...(Object.keys(queryParams ?? {}).length > 0 ? ['queryParams'] : []),
    ...(authority ? ['authority'] : []),
    ...(isPseudo(headers) ? ['headers'] : []),
    ...(isPseudo(withoutHeaders) ? ['withoutHeaders'] : []),
  ]
}

/** Whether no gRPC call has what a match asks for: each is a POST, over what looks like plaintext to who sends it. */
function neverHolds(match: RouteMatch): boolean {
  return unknowable(match).length > 0 || !fits(match.method, 'POST') || !fits(match.scheme, 'http')
}

/** The codes that gRPC retries for a policy; empty where there are none among what it names. */
export function retriedCodes(retries: HttpRetry | undefined): string[] {
  const words = (retries?.retryOn ?? DEFAULT_RETRY_ON).split(',').map(word => word.trim())
  return words.filter(word => RETRIED.includes(word))
}

function fits(wanted: RouteMatch['method'], value: string): boolean {
  if (!wanted) return true
  if (wanted.exact !== undefined) return wanted.exact === value
  if (wanted.prefix !== undefined) return value.startsWith(wanted.prefix)
  return wanted.regex === undefined || regexMatches(wanted.regex, value)
}

function firstCluster(built: readonly BuiltRoute[]): string | undefined {
  for (const { route } of built) {
    if (route.action?.case !== 'route') continue
    const specifier = route.action.value.clusterSpecifier
    if (specifier?.case === 'cluster') return specifier.value
    if (specifier?.case === 'weightedClusters') return specifier.value.clusters?.[0]?.name
  }
  return undefined
}

/** @param fallback a cluster for calls that end before they reach it, as gRPC asks for one */
function adapt({ route, source }: BuiltRoute, fallback: string | undefined): RouteInit | undefined {
  if (source && neverHolds(source.match)) return undefined
  const { name, match, metadata, action } = route
  const common = {
    ...(name === undefined ? {} : { name }),
    match: matchOf(match as MatchInit),
    ...(metadata === undefined ? {} : { metadata }),
  } satisfies RouteInit
  if (action?.case === 'route')
    return {
      ...common,
      action: { case: 'route', value: actionOf(action.value as ActionInit, source?.route, fallback) },
      ...filters(source?.route.fault && faultConfig(source.route.fault)),
    }
  const status = source?.route.directResponse?.status ?? source?.route.redirect?.redirectCode ?? 301
  if (fallback === undefined) return undefined
  const abort = faultConfig({ abort: { httpStatus: status } })
  return {
    ...common,
    action: { case: 'route', value: { clusterSpecifier: { case: 'cluster', value: fallback } } },
    ...filters(abort),
  }
}

function filters(fault: ReturnType<typeof faultConfig> | undefined) {
  return fault ? { typedPerFilterConfig: perFilter([[FAULT, fault]]) } : {}
}

/** What a match asks of the method and the scheme was decided already. */
function matchOf({ pathSpecifier: path, caseSensitive, headers = [] }: MatchInit): MatchInit {
  const isKnown = ({ name = '' }: HeaderInit) => name === ':method' || name === ':scheme'
  return {
    ...(path === undefined ? {} : { pathSpecifier: pathOf(path) }),
    ...(caseSensitive === undefined ? {} : { caseSensitive }),
    headers: (headers as HeaderInit[]).filter(header => !isKnown(header)).map(headerOf),
  }
}

/** gRPC does not know whole parts of a path, and puts an expression between `^` and `$` as it is. */
function pathOf(path: NonNullable<MatchInit['pathSpecifier']>): NonNullable<MatchInit['pathSpecifier']> {
  if (path.case === 'pathSeparatedPrefix')
    return { case: 'safeRegex', value: { regex: `${escaped(path.value)}(?:/.*)?` } }
  if (path.case === 'safeRegex') return { case: 'safeRegex', value: { regex: grouped(path.value.regex) } }
  return path
}

function headerOf(header: HeaderInit): HeaderInit {
  const specifier = header.headerMatchSpecifier
  if (specifier?.case !== 'stringMatch' || specifier.value.matchPattern?.case !== 'safeRegex') return header
  const regex = grouped(specifier.value.matchPattern.value.regex)
  return {
    ...header,
    headerMatchSpecifier: {
      case: 'stringMatch',
      value: { ...specifier.value, matchPattern: { case: 'safeRegex', value: { regex } } },
    },
  } as HeaderInit
}

function grouped(regex = ''): string {
  return `(?:${regex})`
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

function actionOf(
  { clusterSpecifier, hashPolicy = [] }: ActionInit,
  route: RoutedHttp | undefined,
  fallback: string | undefined,
): ActionInit {
  const retry = retryPolicy(route?.retries)
  const timeoutMs = route?.timeout ? durationMs(route.timeout) : 0
  return {
    ...(clusterSpecifier ? { clusterSpecifier: specifierOf(clusterSpecifier, fallback) } : {}),
    ...(timeoutMs > 0 ? { maxStreamDuration: { maxStreamDuration: duration(timeoutMs) } } : {}),
    ...(retry ? { retryPolicy: retry } : {}),
    hashPolicy: hashPolicy.filter(({ policySpecifier }) => policySpecifier?.case === 'header'),
  }
}

/** A share that has nowhere to go ends with the status that clients make of 500. */
function specifierOf(
  specifier: NonNullable<ActionInit['clusterSpecifier']>,
  fallback: string | undefined,
): NonNullable<ActionInit['clusterSpecifier']> {
  if (specifier.case !== 'weightedClusters') return specifier
  const abort = faultConfig({ abort: { httpStatus: 500 } })
  const clusters = (specifier.value.clusters ?? []).map(({ name = '', weight }) => ({
    ...(weight === undefined ? {} : { weight }),
    ...(name === MISSING_CLUSTER && fallback !== undefined
      ? { name: fallback, ...filters(abort) }
      : { name }),
  }))
  return { case: 'weightedClusters', value: { clusters } }
}

function retryPolicy(retries: HttpRetry | undefined): RetryInit | undefined {
  const codes = retriedCodes(retries)
  if (retries?.attempts === 0 || codes.length === 0) return undefined
  return {
    retryOn: codes.join(','),
    numRetries: retries?.attempts ?? DEFAULT_ATTEMPTS,
    ...(retries?.backoff ? { retryBackOff: { baseInterval: duration(durationMs(retries.backoff)) } } : {}),
  }
}
