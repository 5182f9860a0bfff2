import { create } from '@bufbuild/protobuf'
import { type Any, AnySchema } from '@bufbuild/protobuf/wkt'
import {
  type ConsistentHash,
  type CorsPolicy,
  durationMs,
  type HttpDirectResponse,
  type HttpFault,
  type HttpRetry,
  type HttpRoute,
} from '@seine/api'
import { any, duration } from '@seine/envoy'
import {
  HeaderValueOption_HeaderAppendAction as Append,
  type HeaderValueOptionSchema,
} from '@seine/envoy/envoy/config/core/v3/base'
import {
  type RedirectActionSchema,
  RedirectAction_RedirectResponseCode as RedirectCode,
  type RetryPolicySchema,
  type RouteAction_HashPolicySchema,
  type RouteActionSchema,
} from '@seine/envoy/envoy/config/route/v3/route_components'
import { CorsPolicySchema } from '@seine/envoy/envoy/extensions/filters/http/cors/v3/cors'
import { HTTPFaultSchema } from '@seine/envoy/envoy/extensions/filters/http/fault/v3/fault'
import { PreviousHostsPredicateSchema } from '@seine/envoy/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts'
import { PreviousPrioritiesConfigSchema } from '@seine/envoy/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config'
import {
  FractionalPercent_DenominatorType as Denominator,
  type FractionalPercent,
  FractionalPercentSchema,
} from '@seine/envoy/envoy/type/v3/percent'
import type { PathSubstitution, RouteRedirect } from '@seine/model'
import type { Init } from '../init.ts'
import { stringMatcher } from './matches.ts'

type HeaderOptionInit = Init<typeof HeaderValueOptionSchema>
type RouteActionInit = Init<typeof RouteActionSchema>
type RetryInit = Init<typeof RetryPolicySchema>
type HashPolicyInit = Init<typeof RouteAction_HashPolicySchema>

/** What is retried where nobody says otherwise: what has certainly not reached the application. */
const DEFAULT_RETRY_ON = 'connect-failure,refused-stream,unavailable,cancelled'
const DEFAULT_ATTEMPTS = 2

/** A percentage, exact to 0.0001. */
export function percent(value: number): FractionalPercent {
  return create(FractionalPercentSchema, {
    numerator: Math.round(value * 10_000),
    denominator: Denominator.MILLION,
  })
}

/** Istio's set and add as Envoy's header options. A `host` is not a header here: see {@link hostOverride}. */
export function headersToAdd(
  operations:
    | { set?: Record<string, string> | undefined; add?: Record<string, string> | undefined }
    | undefined,
): HeaderOptionInit[] {
  const option =
    (appendAction: Append) =>
    ([key, value]: [string, string]): HeaderOptionInit => ({ header: { key, value }, appendAction })
  const set = Object.entries(operations?.set ?? {}).filter(([key]) => !isHost(key))
  return [
    ...set.map(option(Append.OVERWRITE_IF_EXISTS_OR_ADD)),
    ...Object.entries(operations?.add ?? {}).map(option(Append.APPEND_IF_EXISTS_OR_ADD)),
  ]
}

/** The authority that a `set` of `host` asks for: Envoy rewrites it rather than setting a header. */
export function hostOverride(set: Record<string, string> | undefined): string | undefined {
  return Object.entries(set ?? {}).find(([key]) => isHost(key))?.[1]
}

function isHost(key: string): boolean {
  return key.toLowerCase() === 'host' || key === ':authority'
}

/** `rewrite` as fields of a route action. With a match on a whole path or a regex, the whole path is replaced. */
export function rewriteFields(route: HttpRoute, pathMatch: 'prefix' | 'exact' | 'regex'): RouteActionInit {
  const { rewrite } = route
  const authority = rewrite?.authority ?? hostOverride(route.headers?.request?.set)
  const fields: RouteActionInit = authority
    ? { hostRewriteSpecifier: { case: 'hostRewriteLiteral', value: authority } }
    : {}
  if (rewrite?.uriRegexRewrite) {
    fields.regexRewrite = {
      pattern: { regex: rewrite.uriRegexRewrite.match },
      substitution: rewrite.uriRegexRewrite.rewrite,
    }
  } else if (rewrite?.uri !== undefined) {
    if (pathMatch === 'regex')
      fields.regexRewrite = { pattern: { regex: '^[^?]*' }, substitution: rewrite.uri }
    else fields.prefixRewrite = rewrite.uri
  }
  return fields
}

/** `retries`, or the built-in policy. `attempts: 0` turns retrying off. */
export function retryPolicy(retries: HttpRetry | undefined): RetryInit | undefined {
  if (retries?.attempts === 0) return undefined
  const words = (retries?.retryOn ?? DEFAULT_RETRY_ON).split(',').map(word => word.trim())
  const statusCodes = words.filter(word => /^\d+$/.test(word)).map(Number)
  const conditions = words.filter(word => !/^\d+$/.test(word))
  if (statusCodes.length > 0 && !conditions.includes('retriable-status-codes'))
    conditions.push('retriable-status-codes')
  return {
    retryOn: conditions.join(','),
    numRetries: retries?.attempts ?? DEFAULT_ATTEMPTS,
    retriableStatusCodes: statusCodes,
    ...(retries?.perTryTimeout ? { perTryTimeout: duration(durationMs(retries.perTryTimeout)) } : {}),
    ...(retries?.backoff ? { retryBackOff: { baseInterval: duration(durationMs(retries.backoff)) } } : {}),
    ...(retries?.retryRemoteLocalities
      ? {
          retryPriority: {
            name: 'envoy.retry_priorities.previous_priorities',
            configType: {
              case: 'typedConfig' as const,
              // With the third try, the endpoints of the next priority get their share.
              value: any(PreviousPrioritiesConfigSchema, { updateFrequency: 2 }),
            },
          },
        }
      : {}),
    ...(retries?.retryIgnorePreviousHosts === false
      ? {}
      : {
          hostSelectionRetryMaxAttempts: 5n,
          retryHostPredicate: [
            {
              name: 'envoy.retry_host_predicates.previous_hosts',
              configType: { case: 'typedConfig', value: any(PreviousHostsPredicateSchema, {}) },
            },
          ],
        }),
  }
}

const REDIRECT_CODES: Readonly<Record<number, RedirectCode>> = {
  301: RedirectCode.MOVED_PERMANENTLY,
  302: RedirectCode.FOUND,
  303: RedirectCode.SEE_OTHER,
  307: RedirectCode.TEMPORARY_REDIRECT,
  308: RedirectCode.PERMANENT_REDIRECT,
}

/** `redirect` as Envoy's action. `listenPort` is what FROM_REQUEST_PORT means. */
export function redirectAction(
  redirect: RouteRedirect,
  listenPort: number,
): Init<typeof RedirectActionSchema> {
  // The scheme's own port, FROM_PROTOCOL_DEFAULT, is what a location without a port means.
  const port = redirect.port ?? (redirect.derivePort === 'FROM_REQUEST_PORT' ? listenPort : undefined)
  return {
    responseCode: REDIRECT_CODES[redirect.redirectCode ?? 301] ?? RedirectCode.MOVED_PERMANENTLY,
    ...(redirect.authority ? { hostRedirect: redirect.authority } : {}),
    ...(port === undefined ? {} : { portRedirect: port }),
    ...(redirect.scheme
      ? { schemeRewriteSpecifier: { case: 'schemeRedirect' as const, value: redirect.scheme } }
      : {}),
    ...(redirect.uri ? { pathRewriteSpecifier: { case: 'pathRedirect' as const, value: redirect.uri } } : {}),
    ...(redirect.prefixRewrite
      ? { pathRewriteSpecifier: { case: 'prefixRewrite' as const, value: redirect.prefixRewrite } }
      : {}),
    ...(redirect.pathSubstitution ? { pathRewriteSpecifier: regexRedirect(redirect.pathSubstitution) } : {}),
  }
}

function regexRedirect({ match, rewrite }: PathSubstitution) {
  return { case: 'regexRewrite' as const, value: { pattern: { regex: match }, substitution: rewrite } }
}

/** The body of a `directResponse` as Envoy's data source. */
export function directResponseBody(response: HttpDirectResponse) {
  if (response.body?.string !== undefined)
    return { body: { specifier: { case: 'inlineString' as const, value: response.body.string } } }
  if (response.body?.bytes === undefined) return {}
  const bytes = Uint8Array.from(atob(response.body.bytes), char => char.charCodeAt(0))
  return { body: { specifier: { case: 'inlineBytes' as const, value: bytes } } }
}

const GRPC_STATUS: Readonly<Record<string, number>> = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
}

/** `fault` as configuration of Envoy's fault filter for one route. Without a percentage, every request is hit. */
export function faultConfig(fault: HttpFault): Any {
  const { delay, abort } = fault
  const config: Init<typeof HTTPFaultSchema> = {}
  if (delay?.fixedDelay) {
    const share = delay.percentage?.value ?? delay.percent ?? 100
    const length = duration(durationMs(delay.fixedDelay))
    config.delay = { faultDelaySecifier: { case: 'fixedDelay', value: length }, percentage: percent(share) }
  }
  if (abort) {
    const grpcStatus =
      abort.grpcStatus === undefined
        ? undefined
        : (GRPC_STATUS[abort.grpcStatus.toUpperCase()] ?? Number(abort.grpcStatus))
    const percentage = percent(abort.percentage?.value ?? 100)
    config.abort =
      grpcStatus === undefined
        ? { errorType: { case: 'httpStatus', value: abort.httpStatus ?? 503 }, percentage }
        : { errorType: { case: 'grpcStatus', value: grpcStatus }, percentage }
  }
  return any(HTTPFaultSchema, config)
}

/** `corsPolicy` as configuration of Envoy's CORS filter for one route. */
export function corsConfig(cors: CorsPolicy): Any {
  const origins = [
    ...(cors.allowOrigins ?? []).map(stringMatcher),
    ...(cors.allowOrigin ?? []).map(origin =>
      stringMatcher(origin === '*' ? { regex: '.*' } : { exact: origin }),
    ),
  ]
  return any(CorsPolicySchema, {
    allowOriginStringMatch: origins,
    ...(cors.allowMethods ? { allowMethods: cors.allowMethods.join(',') } : {}),
    ...(cors.allowHeaders ? { allowHeaders: cors.allowHeaders.join(',') } : {}),
    ...(cors.exposeHeaders ? { exposeHeaders: cors.exposeHeaders.join(',') } : {}),
    ...(cors.maxAge ? { maxAge: String(Math.round(durationMs(cors.maxAge) / 1000)) } : {}),
    ...(cors.allowCredentials === undefined ? {} : { allowCredentials: cors.allowCredentials }),
    forwardNotMatchingPreflights: cors.unmatchedPreflights !== 'IGNORE',
  })
}

/** What a consistent-hash load balancer hashes. */
export function hashPolicy(hash: ConsistentHash): HashPolicyInit {
  if (hash.httpHeaderName)
    return { policySpecifier: { case: 'header', value: { headerName: hash.httpHeaderName } } }
  if (hash.httpQueryParameterName)
    return { policySpecifier: { case: 'queryParameter', value: { name: hash.httpQueryParameterName } } }
  if (hash.useSourceIp)
    return { policySpecifier: { case: 'connectionProperties', value: { sourceIp: true } } }
  const { name = '', path, ttl, attributes } = hash.httpCookie ?? {}
  return {
    policySpecifier: {
      case: 'cookie',
      value: {
        name,
        ...(path ? { path } : {}),
        ...(attributes
          ? { attributes: attributes.map(one => ({ name: one.name, value: one.value ?? '' })) }
          : {}),
        ...(ttl === undefined ? {} : { ttl: duration(durationMs(ttl)) }),
      },
    },
  }
}

/** A message wrapped for `typed_per_filter_config`. */
export function perFilter(
  entries: readonly (readonly [name: string, config: Any | undefined])[],
): Record<string, Any> {
  const present = entries.filter((entry): entry is readonly [string, Any] => entry[1] !== undefined)
  return Object.fromEntries(present.map(([name, config]) => [name, create(AnySchema, config)]))
}
