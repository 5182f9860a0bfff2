import type { DestinationRule, HttpRetry, PortTrafficPolicy, TrafficPolicy } from '@seine/api'
import type { Problem } from '@seine/kit'
import type { MeshService, RoutedHttp, RoutedService } from '@seine/model'
import type { ClusterNote } from './clusters.ts'
import { retriedCodes, unknowable } from './routes.ts'

/** A field, and why proxyless gRPC clients do not do what it says. */
interface Limit {
  readonly path: string
  readonly reason: string
  /** It is honoured nearly. */
  readonly nearly?: boolean
}

const NOT_IN_GRPC = 'gRPC has nothing like it'
const NO_HEADERS = 'gRPC clients change no headers'

/** What a virtual service asks for that gRPC clients can not do, as problems of its fields. */
export function routeProblems(service: RoutedService): Problem[] {
  const limits = (service.spec.http ?? []).flatMap((route, index) =>
    routeLimits(route).map(limit => ({ ...limit, path: `spec.http[${index}].${limit.path}`, route })),
  )
  return limits.map(({ route, ...limit }) => {
    // What was derived is explained where it comes from.
    if (!route.cause) return problemOf(service, limit)
    const { path, ...resource } = route.cause
    return { ...problemOf(service, limit), resource, path }
  })
}

/** What a destination rule asks for that gRPC clients can not do. */
export function ruleProblems(rule: DestinationRule): Problem[] {
  const { trafficPolicy, subsets = [] } = rule.spec
  const limits = [
    ...policyLimits(trafficPolicy, 'spec.trafficPolicy'),
    ...subsets.flatMap((subset, index) =>
      policyLimits(subset.trafficPolicy, `spec.subsets[${index}].trafficPolicy`),
    ),
  ]
  return limits.map(limit => problemOf(rule, limit))
}

/** What people should know of how gRPC clients reach a service. */
export function serviceProblems({ ref }: MeshService, notes: readonly ClusterNote[]): Problem[] {
  return notes.map(({ severity, message }) => ({
    severity,
    code: severity === 'info' ? 'proxyless-differs' : 'proxyless-unsupported',
    message,
    resource: ref,
  }))
}

function problemOf(
  { kind, metadata, origin }: DestinationRule | RoutedService,
  { path, reason, nearly }: Limit,
): Problem {
  const position = origin?.locate(path)
  const severity = nearly ? 'info' : 'warning'
  return {
    severity,
    code: nearly ? 'proxyless-differs' : 'proxyless-unsupported',
    message: nearly
      ? `proxyless gRPC clients do this nearly: ${reason}`
      : `proxyless gRPC clients do not do this: ${reason}`,
    resource: { kind, namespace: metadata.namespace, name: metadata.name },
    path,
    ...(position ? { position } : {}),
  }
}

function routeLimits(route: RoutedHttp): Limit[] {
  const { rewrite, headers, corsPolicy, redirect, directResponse, retries } = route
  const ends = 'the call ends with the status that clients make of this HTTP status'
  return [
    ...(route.match ?? []).flatMap((match, at) => [
      ...unknowable(match).map(field => ({
        path: `match[${at}].${field}`,
        reason: 'they can not tell, so that the match never holds',
      })),
      ...given({ [`match[${at}].statPrefix`]: match.statPrefix }, NOT_IN_GRPC),
    ]),
    ...given({ 'headers.request': headers?.request, 'headers.response': headers?.response }, NO_HEADERS),
    ...(route.route ?? []).flatMap((target, at) =>
      given({ [`route[${at}].headers`]: target.headers }, NO_HEADERS),
    ),
    ...given({ rewrite }, 'gRPC clients send paths and authorities as they are'),
    ...given(
      { mirror: route.mirror, mirrors: route.mirrors?.length ? route.mirrors : undefined },
      'gRPC clients send each call once',
    ),
    ...given({ corsPolicy }, 'it is for browsers'),
    ...given({ redirect, directResponse }, ends).map(limit => ({ ...limit, nearly: true })),
    ...(retries ? retryLimits(retries) : []),
  ]
}

function retryLimits(retries: HttpRetry): Limit[] {
  if (retries.attempts === 0) return []
  const words = retries.retryOn?.split(',').map(word => word.trim())
  const known = retriedCodes(retries)
  // Calls that the server has certainly not seen are tried again in any case.
  const transparent = ['connect-failure', 'refused-stream']
  const unknown = words?.filter(word => !known.includes(word) && !transparent.includes(word)) ?? []
  const attempts = (retries.attempts ?? 0) > 4 ? retries.attempts : undefined
  return [
    ...unknown.map(word => ({
      path: 'retries.retryOn',
      reason: `${word} is not among what gRPC retries: cancelled, deadline-exceeded, internal, resource-exhausted and unavailable`,
    })),
    ...given({ 'retries.attempts': attempts }, 'gRPC tries a call 5 times at most').map(limit => ({
      ...limit,
      nearly: true,
    })),
    ...given({ 'retries.perTryTimeout': retries.perTryTimeout }, 'gRPC has no limit for a single try'),
    ...given(
      {
        'retries.retryRemoteLocalities': retries.retryRemoteLocalities || undefined,
        'retries.retryIgnorePreviousHosts': retries.retryIgnorePreviousHosts,
      },
      'its load balancer chooses the endpoint of a retry as it does any other',
    ),
  ]
}

function policyLimits(policy: TrafficPolicy | undefined, at: string): Limit[] {
  if (!policy) return []
  const { portLevelSettings = [], tunnel, proxyProtocol, retryBudget } = policy
  const own = portLimits(policy).concat(given({ tunnel, proxyProtocol, retryBudget }, NOT_IN_GRPC))
  const ports = portLevelSettings.flatMap((setting, index) =>
    portLimits(setting).map(limit => ({ ...limit, path: `portLevelSettings[${index}].${limit.path}` })),
  )
  return [...own, ...ports].map(limit => ({ ...limit, path: `${at}.${limit.path}` }))
}

function portLimits({ loadBalancer, connectionPool, outlierDetection, tls }: PortTrafficPolicy): Limit[] {
  const { simple, consistentHash: hash, warmup, warmupDurationSecs } = loadBalancer ?? {}
  const { tcp, http } = connectionPool ?? {}
  const balancer = 'gRPC clients choose in turn (ROUND_ROBIN) or by a hash ring'
  const hashes = 'gRPC clients hash headers only: each call goes to an endpoint by chance'
  return [
    ...given(
      {
        'loadBalancer.simple':
          simple === 'ROUND_ROBIN' || simple === 'UNSPECIFIED' ? undefined : (simple as string | undefined),
        'loadBalancer.consistentHash.maglev': hash?.maglev,
      },
      balancer,
    ).map(limit => ({ ...limit, nearly: true })),
    ...given(
      {
        'loadBalancer.consistentHash.httpCookie': hash?.httpCookie,
        'loadBalancer.consistentHash.useSourceIp': hash?.useSourceIp,
        'loadBalancer.consistentHash.httpQueryParameterName': hash?.httpQueryParameterName,
      },
      hashes,
    ),
    ...given(
      { 'loadBalancer.warmup': warmup, 'loadBalancer.warmupDurationSecs': warmupDurationSecs },
      NOT_IN_GRPC,
    ),
    ...given(
      {
        'connectionPool.tcp': tcp,
        'connectionPool.http.http1MaxPendingRequests': http?.http1MaxPendingRequests,
        'connectionPool.http.maxRequestsPerConnection': http?.maxRequestsPerConnection,
        'connectionPool.http.maxRetries': http?.maxRetries,
        'connectionPool.http.idleTimeout': http?.idleTimeout,
        'connectionPool.http.maxConcurrentStreams': http?.maxConcurrentStreams,
        'connectionPool.http.http2KeepAlive': http?.http2KeepAlive,
      },
      'of a connection pool, gRPC takes http2MaxRequests; the rest are options of the channel',
    ),
    ...given({ outlierDetection }, OUTLIERS).map(limit => ({ ...limit, nearly: true })),
    ...given(
      {
        'outlierDetection.splitExternalLocalOriginErrors':
          outlierDetection?.splitExternalLocalOriginErrors || undefined,
        'outlierDetection.minHealthPercent': outlierDetection?.minHealthPercent || undefined,
        'outlierDetection.outlierDetectionHttpErrorCodes': outlierDetection?.outlierDetectionHttpErrorCodes,
      },
      NOT_IN_GRPC,
    ),
    ...given(
      { 'tls.mode': tls?.mode === 'SIMPLE' || tls?.mode === 'MUTUAL' ? tls.mode : undefined },
      "gRPC clients have no certificates but the mesh's: calls fail, as plaintext would give away what was to be kept",
    ),
    ...given({ 'tls.sni': tls?.mode === 'ISTIO_MUTUAL' ? tls.sni : undefined }, NOT_IN_GRPC),
  ]
}

const OUTLIERS =
  'an endpoint is put out when all calls of an interval failed, with any status, and there were as many as the rule counts'

/** A limit for each field that is set. */
function given(fields: Readonly<Record<string, unknown>>, reason: string): Limit[] {
  return Object.entries(fields).flatMap(([path, value]) => (value === undefined ? [] : [{ path, reason }]))
}
