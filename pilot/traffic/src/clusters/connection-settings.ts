import {
  type ConnectionPoolSettings,
  durationMs,
  type LoadBalancerSettings,
  type OutlierDetection,
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

/** Connection limits, timeouts and keep-alive of a `connectionPool`. */
export function connectionPoolFields(
  pool: ConnectionPoolSettings | undefined,
  defaultConnectTimeoutMs: number,
): ClusterInit {
  const { tcp, http } = pool ?? {}
  const keepalive = tcp?.tcpKeepalive
  return {
    connectTimeout: duration(tcp?.connectTimeout ? durationMs(tcp.connectTimeout) : defaultConnectTimeoutMs),
    circuitBreakers: {
      thresholds: [
        {
          maxConnections: tcp?.maxConnections ?? UNLIMITED,
          maxPendingRequests: http?.http1MaxPendingRequests ?? UNLIMITED,
          maxRequests: http?.http2MaxRequests ?? UNLIMITED,
          maxRetries: http?.maxRetries ?? UNLIMITED,
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

/** What a `connectionPool` asks of HTTP connections, beside the version. */
export function httpSettings({ tcp, http }: ConnectionPoolSettings = {}): HttpSettings {
  const idle = http?.idleTimeout ?? tcp?.idleTimeout
  return {
    maxConcurrentStreams: http?.maxConcurrentStreams,
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
  const fiveXx = outlier.consecutive5xxErrors
  const gateway = outlier.consecutiveGatewayErrors
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
    commonLbConfig: { healthyPanicThreshold: { value: outlier.minHealthPercent ?? 0 } },
  }
}
