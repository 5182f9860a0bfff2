const OF_A_CLOCK = 'how an endpoint that is new warms up: goldens'
const OF_THE_KERNEL = "packets of the kernel's, which no request shows: goldens"
const RING = 'the size of a ring, which no request shows: goldens'
const HTTPS_ONLY = 'what a sidecar takes is http'

/**
 * Fields that no case of `conformance/` uses, by kind, and why. Two stars at the end stand for all that begins so.
 * Each has a golden case all the same, or is refused.
 */
export const NOT_SHOWN: Readonly<Record<string, string>> = {
  'Gateway servers.*.port.targetPort': 'refused, as in Istio',
  'VirtualService http.*.fault.delay.exponentialDelay': 'refused, as in Istio',
  'VirtualService http.*.fault.abort.http2Error': 'refused, as in Istio',
  'VirtualService http.*.match.*.statPrefix': 'names statistics',
  'VirtualService http.*.match.*.name': 'names routes in logs',
  'VirtualService http.*.name': 'names routes in logs',
  'VirtualService http.*.match.*.scheme.exact': HTTPS_ONLY,
  'VirtualService http.*.match.*.scheme.prefix': HTTPS_ONLY,
  'VirtualService http.*.match.*.scheme.regex': HTTPS_ONLY,
  'VirtualService http.*.retries.retryRemoteLocalities':
    'goldens: which place a try goes to is left to Envoy’s own choice',
  'DestinationRule trafficPolicy.loadBalancer.consistentHash.ringHash.minimumRingSize': RING,
  'DestinationRule trafficPolicy.loadBalancer.consistentHash.minimumRingSize': RING,
  'DestinationRule trafficPolicy.loadBalancer.warmupDurationSecs': OF_A_CLOCK,
  'DestinationRule trafficPolicy.loadBalancer.warmup.**': OF_A_CLOCK,
  'DestinationRule trafficPolicy.connectionPool.tcp.connectTimeout':
    'needs a host that neither answers nor refuses: goldens',
  'DestinationRule trafficPolicy.connectionPool.tcp.tcpKeepalive.**': OF_THE_KERNEL,
  'DestinationRule trafficPolicy.connectionPool.http.http2KeepAlive.**':
    'pings that no request shows: goldens',
}
