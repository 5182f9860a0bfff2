import type { RouteConfiguration } from '@seine/envoy/envoy/config/route/v3/route'
import {
  RouteAction_ClusterNotFoundResponseCode as NotFoundCode,
  type RedirectAction,
  RedirectAction_RedirectResponseCode as RedirectCode,
  type Route,
  type RouteAction,
  type RouteMatch,
  VirtualHost_TlsRequirementType as TlsRequirement,
} from '@seine/envoy/envoy/config/route/v3/route_components'
import { CorsPolicySchema } from '@seine/envoy/envoy/extensions/filters/http/cors/v3/cors'
import { HTTPFaultSchema } from '@seine/envoy/envoy/extensions/filters/http/fault/v3/fault'
import {
  FractionalPercent_DenominatorType as Denominator,
  type FractionalPercent,
} from '@seine/envoy/envoy/type/v3/percent'
import { RE2JS } from 're2js'
import { dynamicTargetIn } from '../dynamic-dns.ts'
import { causesIn } from '../provenance-metadata.ts'
import { type ProxyConfiguration, unpack } from './configuration.ts'
import { type Explanation, type Step, step, type Target, type Verdict } from './explanation.ts'
import { type HttpRequest, normalizedPath } from './request.ts'
import { describeMatch, findRoute, findVirtualHost } from './routes.ts'
import { explainTargets, isUnserved } from './targets.ts'
import { milliseconds } from './units.ts'

/** A request through a route table: virtual host, route, clusters. */
export function explainRouting(
  configuration: ProxyConfiguration,
  table: RouteConfiguration,
  request: HttpRequest,
): Explanation {
  const found = findVirtualHost(table, request.authority)
  if (!found)
    return {
      steps: [step('virtual host', table.name, `no virtual host is for ${request.authority}`)],
      verdict: {
        outcome: 'answered',
        status: 404,
        reason: `nothing is known of the host ${request.authority}`,
      },
    }
  const { virtualHost, domain } = found
  const hostStep = {
    ...step('virtual host', virtualHost.name, `${request.authority} is its domain ${domain}`),
    causes: causesIn(virtualHost.metadata?.filterMetadata),
  }
  if (virtualHost.requireTls === TlsRequirement.ALL && request.scheme === 'http')
    return {
      steps: [{ ...hostStep, details: ['takes requests over TLS only'] }],
      verdict: {
        outcome: 'redirected',
        status: 301,
        location: `https://${request.authority}${request.path}`,
      },
    }
  const { route, passed } = findRoute(virtualHost.routes, request)
  const passedRoutes = passed.map(({ route: one, why }) => ({ name: one.name || '(unnamed)', why }))
  if (!route) {
    return {
      steps: [hostStep, step('route', virtualHost.name, 'no route matches', { passed: passedRoutes })],
      verdict: { outcome: 'answered', status: 404, reason: 'no route matches' },
    }
  }
  const ended = actionOf(configuration, route, request)
  const routeStep = step('route', route.name || '(unnamed)', ended.summary, {
    details: [...(route.match ? [`matches ${describeMatch(route.match)}`] : []), ...ended.details],
    passed: passedRoutes,
    causes: causesIn(route.metadata?.filterMetadata),
  })
  return { steps: [hostStep, routeStep, ...ended.steps], verdict: ended.verdict }
}

interface Ended {
  readonly summary: string
  readonly details: readonly string[]
  readonly steps: readonly Step[]
  readonly verdict: Verdict
}

function actionOf(configuration: ProxyConfiguration, route: Route, request: HttpRequest): Ended {
  const { action } = route
  const details = [...headerDetails(route), ...filterDetails(route)]
  const certain = certainAbort(route)
  if (certain !== undefined)
    return {
      summary: `every request is answered with ${certain} by an injected fault`,
      details,
      steps: [],
      verdict: { outcome: 'answered', status: certain, reason: 'an injected fault' },
    }
  switch (action.case) {
    case 'redirect': {
      const { status, location } = redirectOf(action.value, route.match, request)
      return {
        summary: `redirected to ${location}`,
        details,
        steps: [],
        verdict: { outcome: 'redirected', status, location },
      }
    }
    case 'directResponse':
      return {
        summary: `answered with ${action.value.status} by the proxy itself`,
        details,
        steps: [],
        verdict: { outcome: 'answered', status: action.value.status, reason: 'a direct response' },
      }
    case 'route':
      return forwarded(configuration, action.value, details)
    default:
      return {
        summary: 'its action is one that this version can not read',
        details,
        steps: [],
        verdict: { outcome: 'answered', status: 404, reason: 'the route has no action' },
      }
  }
}

function forwarded(
  configuration: ProxyConfiguration,
  action: RouteAction,
  details: readonly string[],
): Ended {
  const shares = sharesOf(action)
  const { targets, steps } = explainTargets(configuration, shares, missingStatus(action))
  const summary =
    shares.length === 1
      ? `goes to ${shares[0]?.cluster}`
      : `goes to ${shares.map(({ cluster, share }) => `${percentText(share)} ${cluster}`).join(', ')}`
  const unserved = targets.every(target => isUnserved(configuration, target))
  return {
    summary,
    details: [...routeDetails(action), ...details],
    steps,
    verdict: unserved
      ? {
          outcome: 'answered',
          status: unservedStatus(configuration, action, targets),
          reason: 'no endpoint is there to serve it',
        }
      : { outcome: 'forwarded', targets },
  }
}

/** What Envoy answers with where a cluster is not there. */
function missingStatus({ clusterNotFoundResponseCode: code }: RouteAction): number {
  if (code === NotFoundCode.NOT_FOUND) return 404
  return code === NotFoundCode.INTERNAL_SERVER_ERROR ? 500 : 503
}

/** The status that all get; of several that differ, the one for what is in the mesh. */
function unservedStatus(
  configuration: ProxyConfiguration,
  action: RouteAction,
  targets: readonly Target[],
): number {
  const isMissing = ({ cluster }: Target) => !configuration.clusters.has(cluster)
  return targets.every(isMissing) ? missingStatus(action) : 503
}

function sharesOf({ clusterSpecifier: specifier }: RouteAction): { cluster: string; share: number }[] {
  if (specifier.case === 'cluster') return [{ cluster: specifier.value, share: 1 }]
  if (specifier.case !== 'weightedClusters') return []
  const weighted = specifier.value.clusters.filter(({ weight }) => weight !== 0)
  const total = weighted.reduce((sum, { weight }) => sum + (weight ?? 0), 0)
  return weighted.map(({ name, weight }) => ({ cluster: name, share: (weight ?? 0) / total }))
}

function percentText(share: number): string {
  return `${Math.round(share * 1000) / 10}%`
}

function routeDetails(action: RouteAction): string[] {
  const found: string[] = []
  const { timeout, retryPolicy: retry, prefixRewrite, regexRewrite, hostRewriteSpecifier: host } = action
  const hasTimeout = timeout && (timeout.seconds > 0n || timeout.nanos > 0)
  found.push(hasTimeout ? `must be answered within ${milliseconds(timeout)}` : 'may take any time')
  if (retry)
    found.push(
      `is tried again up to ${retry.numRetries ?? 1} times on ${retry.retryOn}${retry.perTryTimeout ? `, each within ${milliseconds(retry.perTryTimeout)}` : ''}${retry.retryPriority ? ', in other places too' : ''}`,
    )
  if (prefixRewrite) found.push(`the matched part of its path becomes ${prefixRewrite}`)
  if (regexRewrite)
    found.push(
      `its path is rewritten: ${regexRewrite.pattern?.regex ?? ''} becomes ${regexRewrite.substitution}`,
    )
  if (host.case === 'hostRewriteLiteral') found.push(`its host becomes ${host.value}`)
  for (const { cluster, runtimeFraction } of action.requestMirrorPolicies) {
    const share = runtimeFraction?.defaultValue ? fractionOf(runtimeFraction.defaultValue) : 1
    found.push(`${percentText(share)} of requests are sent to ${cluster} as well, whose answer is dropped`)
  }
  for (const { policySpecifier } of action.hashPolicy)
    if (policySpecifier.case === 'header')
      found.push(`the header ${policySpecifier.value.headerName} is hashed`)
    else if (policySpecifier.case !== undefined) found.push(`the ${policySpecifier.case} is hashed`)
  return found
}

function headerDetails(route: Route): string[] {
  const named = [
    [
      'sets in the request',
      route.requestHeadersToAdd.map(({ header }) => `${header?.key}: ${header?.value}`),
    ],
    ['takes from the request', route.requestHeadersToRemove],
    [
      'sets in the response',
      route.responseHeadersToAdd.map(({ header }) => `${header?.key}: ${header?.value}`),
    ],
    ['takes from the response', route.responseHeadersToRemove],
  ] as const
  return named.flatMap(([what, list]) => (list.length > 0 ? [`${what} ${list.join(', ')}`] : []))
}

function filterDetails({ typedPerFilterConfig: perFilter }: Route): string[] {
  const found: string[] = []
  const fault = unpack(perFilter['envoy.filters.http.fault'], HTTPFaultSchema)
  if (fault?.delay?.faultDelaySecifier.case === 'fixedDelay')
    found.push(
      `${percentText(fractionOf(fault.delay.percentage))} of requests are delayed by ${milliseconds(fault.delay.faultDelaySecifier.value)}`,
    )
  if (fault?.abort?.errorType.case === 'httpStatus')
    found.push(
      `${percentText(fractionOf(fault.abort.percentage))} of requests are answered with ${fault.abort.errorType.value}`,
    )
  if (unpack(perFilter['envoy.filters.http.cors'], CorsPolicySchema)) found.push('answers CORS preflights')
  const lookUp = dynamicTargetIn(perFilter)
  if (lookUp) {
    const { host = "the request's host", port = 'that was called' } = lookUp
    found.push(`looks up ${host}, and connects to the port ${port}`)
  }
  return found
}

/** The status that every request gets by an injected fault. */
function certainAbort({ typedPerFilterConfig: perFilter }: Route): number | undefined {
  const abort = unpack(perFilter['envoy.filters.http.fault'], HTTPFaultSchema)?.abort
  if (abort?.errorType.case !== 'httpStatus' || fractionOf(abort.percentage) < 1) return undefined
  return abort.errorType.value
}

const DENOMINATORS: Readonly<Record<Denominator, number>> = {
  [Denominator.HUNDRED]: 100,
  [Denominator.TEN_THOUSAND]: 10_000,
  [Denominator.MILLION]: 1_000_000,
}

function fractionOf(value: FractionalPercent | undefined): number {
  return value ? value.numerator / DENOMINATORS[value.denominator] : 1
}

const REDIRECT_STATUS: Readonly<Record<RedirectCode, number>> = {
  [RedirectCode.MOVED_PERMANENTLY]: 301,
  [RedirectCode.FOUND]: 302,
  [RedirectCode.SEE_OTHER]: 303,
  [RedirectCode.TEMPORARY_REDIRECT]: 307,
  [RedirectCode.PERMANENT_REDIRECT]: 308,
}

function redirectOf(
  action: RedirectAction,
  match: RouteMatch | undefined,
  request: HttpRequest,
): { status: number; location: string } {
  const scheme =
    action.schemeRewriteSpecifier.case === 'schemeRedirect'
      ? action.schemeRewriteSpecifier.value
      : request.scheme
  const [host = '', port] = request.authority.split(/:(\d+)$/)
  const query = request.path.includes('?') ? request.path.slice(request.path.indexOf('?')) : ''
  const replaced = redirectedPath(action, match, normalizedPath(request))
  const path = action.stripQuery || replaced.includes('?') ? replaced : `${replaced}${query}`
  // A port that was the old scheme's own means nothing under another; a new host brings none along.
  const isDefault = port === (request.scheme === 'https' ? '443' : '80') && scheme !== request.scheme
  const kept = port === undefined || isDefault || action.hostRedirect ? '' : `:${port}`
  const wanted = action.portRedirect === 0 ? kept : `:${action.portRedirect}`
  return {
    status: REDIRECT_STATUS[action.responseCode],
    location: `${scheme}://${action.hostRedirect || host}${wanted}${path}`,
  }
}

function redirectedPath(
  { pathRewriteSpecifier: change }: RedirectAction,
  match: RouteMatch | undefined,
  path: string,
): string {
  if (change.case === 'pathRedirect') return change.value
  if (change.case === 'prefixRewrite') return change.value + path.slice(matchedLength(match, path))
  if (change.case !== 'regexRewrite') return path
  return RE2JS.compile(change.value.pattern?.regex ?? '')
    .matcher(path)
    .replaceAll(javaSubstitution(change.value.substitution))
}

/** How much of a path a match is about: its prefix, or all of it. */
function matchedLength(match: RouteMatch | undefined, path: string): number {
  const specifier = match?.pathSpecifier
  const isPrefix = specifier?.case === 'prefix' || specifier?.case === 'pathSeparatedPrefix'
  return isPrefix ? specifier.value.length : path.length
}

/** Envoy writes groups as `\\1` and a backslash as two; re2js writes `$1`, and escapes with a backslash. */
function javaSubstitution(text: string): string {
  return text.replaceAll('$', '\\$').replace(/\\(\d)/g, '$$$1')
}
