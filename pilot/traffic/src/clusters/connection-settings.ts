import {
  type ConnectionPoolSettings,
  durationMs,
  type LoadBalancerSettings,
  type MeshConfig,
  type OutlierDetection,
  type TrafficPolicy,
} from '@seine/api'
import { duration } from '@seine/envoy'
import {
  type ClusterSchema,
  Cluster_LbPolicy as LbPolicy,
} from '@seine/envoy/envoy/config/cluster/v3/cluster'
import type { Init } from '../init.ts'
import type { HttpSettings } from './http-protocol.ts'

type ClusterInit = Init<typeof ClusterSchema>

/** Envoy's own limits are low; without a rule the mesh sets none, as Istio does. */
const UNLIMITED = 0xffffffff

/** The limits of a cluster that has none. */
export function unlimited(): ClusterInit {
  return {
    circuitBreakers: {
      thresholds: [
        {
          maxConnections: UNLIMITED,
          maxPendingRequests: UNLIMITED,
          maxRequests: UNLIMITED,
          maxRetries: UNLIMITED,
          trackRemaining: true,
        },
      ],
    },
  }
}

/** What the mesh's settings say of connections, where no rule does. */
export type ConnectionDefaults = Pick<MeshConfig, 'connectTimeout' | 'tcpKeepalive'>

/** Connection limits, timeouts and keep-alive of a `connectionPool`. */
export function connectionPoolFields(
  pool: ConnectionPoolSettings | undefined,
  defaults: ConnectionDefaults,
  budget?: TrafficPolicy['retryBudget'],
): ClusterInit {
  const { tcp, http } = pool ?? {}
  const keepalive = tcp?.tcpKeepalive ?? defaults.tcpKeepalive
  return {
    connectTimeout: duration(durationMs(tcp?.connectTimeout ?? defaults.connectTimeout)),
    circuitBreakers: {
      thresholds: [
        {
          maxConnections: tcp?.maxConnections ?? UNLIMITED,
          maxPendingRequests: http?.http1MaxPendingRequests ?? UNLIMITED,
          maxRequests: http?.http2MaxRequests ?? UNLIMITED,
          // A budget stands in the place of the number.
          ...(budget ? retryBudget(budget) : { maxRetries: http?.maxRetries ?? UNLIMITED }),
          trackRemaining: true,
        },
      ],
    },
    ...(keepalive
      ? {
          upstreamConnectionOptions: {
            tcpKeepalive: {
              ...(keepalive.probes === undefined ? {} : { keepaliveProbes: keepalive.probes }),
              ...(keepalive.time === undefined
                ? {}
                : { keepaliveTime: Math.ceil(durationMs(keepalive.time) / 1000) }),
              ...(keepalive.interval === undefined
                ? {}
                : { keepaliveInterval: Math.ceil(durationMs(keepalive.interval) / 1000) }),
            },
          },
        }
      : {}),
  }
}

/** Istio's defaults are Envoy's: a fifth of the requests at once, and three in any case. */
function retryBudget({
  percent,
  minRetryConcurrency,
  budgetInterval,
}: NonNullable<TrafficPolicy['retryBudget']>) {
  return {
    retryBudget: {
      budgetPercent: { value: percent ?? 20 },
      minRetryConcurrency: minRetryConcurrency ?? 3,
      ...(budgetInterval === undefined ? {} : { budgetInterval: duration(durationMs(budgetInterval)) }),
    },
  }
}

/** What a `connectionPool`, and outlier detection, ask of HTTP connections, beside the version. */
export function httpSettings(
  { tcp, http }: ConnectionPoolSettings = {},
  outlier?: OutlierDetection,
): HttpSettings {
  const ping = http?.http2KeepAlive
  const idle = http?.idleTimeout ?? tcp?.idleTimeout
  return {
    maxConcurrentStreams: http?.maxConcurrentStreams,
    keepAlive: ping && { intervalMs: durationMs(ping.interval), timeoutMs: durationMs(ping.timeout) },
    failures: outlier?.outlierDetectionHttpErrorCodes,
    common: {
      ...(idle === undefined ? {} : { idleTimeout: duration(durationMs(idle)) }),
      ...(tcp?.maxConnectionDuration === undefined
        ? {}
        : { maxConnectionDuration: duration(durationMs(tcp.maxConnectionDuration)) }),
      ...(http?.maxRequestsPerConnection === undefined
        ? {}
        : { maxRequestsPerConnection: http.maxRequestsPerConnection }),
    },
  }
}

/** How endpoints are chosen. Least-request is the mesh's default, as it is Istio's. */
export function loadBalancerFields(settings: LoadBalancerSettings | undefined): ClusterInit {
  const hash = settings?.consistentHash
  if (hash) {
    if (hash.maglev)
      return {
        lbPolicy: LbPolicy.MAGLEV,
        lbConfig: {
          case: 'maglevLbConfig',
          value: hash.maglev.tableSize ? { tableSize: BigInt(hash.maglev.tableSize) } : {},
        },
      }
    const minimum = hash.ringHash?.minimumRingSize ?? hash.minimumRingSize ?? 1024
    return {
      lbPolicy: LbPolicy.RING_HASH,
      lbConfig: { case: 'ringHashLbConfig', value: { minimumRingSize: BigInt(minimum) } },
    }
  }
  const slowStart = slowStartConfig(settings)
  switch (settings?.simple) {
    case 'RANDOM':
      return { lbPolicy: LbPolicy.RANDOM }
    case 'ROUND_ROBIN':
      return {
        lbPolicy: LbPolicy.ROUND_ROBIN,
        ...(slowStart
          ? { lbConfig: { case: 'roundRobinLbConfig', value: { slowStartConfig: slowStart } } }
          : {}),
      }
    default:
      return {
        lbPolicy: LbPolicy.LEAST_REQUEST,
        ...(slowStart
          ? { lbConfig: { case: 'leastRequestLbConfig', value: { slowStartConfig: slowStart } } }
          : {}),
      }
  }
}

function slowStartConfig(settings: LoadBalancerSettings | undefined) {
  const window = settings?.warmup?.duration ?? settings?.warmupDurationSecs
  if (!window) return undefined
  const { minimumPercent, aggression } = settings?.warmup ?? {}
  return {
    slowStartWindow: duration(durationMs(window)),
    ...(aggression === undefined
      ? {}
      : { aggression: { defaultValue: aggression, runtimeKey: 'upstream.slow_start.aggression' } }),
    ...(minimumPercent === undefined ? {} : { minWeightPercent: { value: minimumPercent } }),
  }
}

/** When an endpoint is taken out for failing. Fields that are absent keep Istio's documented defaults. */
export function outlierDetectionFields(outlier: OutlierDetection | undefined): ClusterInit {
  if (!outlier) return {}
  // The deprecated field stands for gateway errors only, and turns the count of 5xx off.
  const old = outlier.consecutiveErrors || undefined
  const fiveXx = outlier.consecutive5xxErrors ?? (old && 0)
  const gateway = outlier.consecutiveGatewayErrors ?? old
  return {
    outlierDetection: {
      enforcingSuccessRate: 0,
      ...(outlier.splitExternalLocalOriginErrors ? { enforcingLocalOriginSuccessRate: 0 } : {}),
      consecutive5xx: fiveXx ?? 5,
      enforcingConsecutive5xx: fiveXx === 0 ? 0 : 100,
      ...(gateway === undefined
        ? {}
        : {
            consecutiveGatewayFailure: gateway,
            enforcingConsecutiveGatewayFailure: gateway === 0 ? 0 : 100,
          }),
      interval: duration(outlier.interval ? durationMs(outlier.interval) : 10_000),
      baseEjectionTime: duration(outlier.baseEjectionTime ? durationMs(outlier.baseEjectionTime) : 30_000),
      maxEjectionPercent: outlier.maxEjectionPercent ?? 10,
      splitExternalLocalOriginErrors: outlier.splitExternalLocalOriginErrors ?? false,
      ...(outlier.consecutiveLocalOriginFailures === undefined
        ? {}
        : {
            consecutiveLocalOriginFailure: outlier.consecutiveLocalOriginFailures,
            enforcingConsecutiveLocalOriginFailure: 100,
          }),
    },
  }
}
