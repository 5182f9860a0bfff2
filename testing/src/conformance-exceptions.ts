const PINGS = 'pings that no request shows: goldens'
const OF_A_CLOCK = 'how an endpoint that is new warms up: goldens'
const OF_THE_KERNEL = "packets of the kernel's, which no request shows: goldens"
const RING = 'the size of a ring, which no request shows: goldens'
const GATEWAY_API = 'gateway.networking.k8s.io'
const NO_ANSWER = 'needs a host that neither answers nor refuses: goldens'
const NEVER_VALID = 'refused, as in Istio'
const OWN_APPLICATION = 'what a sidecar sends to its own application is not tried again: goldens'
const BY_CONDITION = 'refused by a condition: goldens'
const HTTPS_ONLY = 'what a sidecar takes is http'

/** What routes of both kinds for requests have and a condition refuses. */
const REFUSED_IN_ROUTES = [
  'rules.*.filters.*.extensionRef.**',
  'rules.*.sessionPersistence.**',
  'rules.*.backendRefs.*.filters.*.extensionRef.**',
  'rules.*.backendRefs.*.filters.*.requestMirror.**',
]

function ofGatewayApi(kind: string, fields: readonly string[], why: string): Record<string, string> {
  return Object.fromEntries(fields.map(field => [`${kind} of ${GATEWAY_API} ${field}`, why]))
}

/**
 * Fields that no case of `conformance/` uses, by kind, and why. Two stars at the end stand for all that begins so.
 * Each has a golden case all the same, or is refused.
 */
export const NOT_SHOWN: Readonly<Record<string, string>> = {
  'Gateway servers.*.port.targetPort': NEVER_VALID,
  'VirtualService http.*.fault.delay.exponentialDelay': NEVER_VALID,
  'VirtualService http.*.fault.abort.http2Error': NEVER_VALID,
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
  'DestinationRule trafficPolicy.connectionPool.tcp.connectTimeout': NO_ANSWER,
  'DestinationRule trafficPolicy.connectionPool.tcp.tcpKeepalive.**': OF_THE_KERNEL,
  'DestinationRule trafficPolicy.connectionPool.http.http2KeepAlive.**': PINGS,
  'Sidecar ingress.*.connectionPool.http.http2KeepAlive.**': PINGS,
  'Sidecar inboundConnectionPool.http.http2KeepAlive.**': PINGS,
  'EnvoyFilter targetRefs.*.namespace': 'Gateways of its own namespace only',
  'Sidecar ingress.*.port.targetPort': NEVER_VALID,
  'Sidecar egress.*.port.targetPort': NEVER_VALID,
  'Sidecar ingress.*.tls.httpsRedirect': NEVER_VALID,
  'Sidecar ingress.*.tls.tlsCertificates.**': NEVER_VALID,
  'Sidecar ingress.*.tls.credentialName': NEVER_VALID,
  'Sidecar ingress.*.tls.credentialNames.*': NEVER_VALID,
  'Sidecar ingress.*.tls.subjectAltNames.*': NEVER_VALID,
  'Sidecar ingress.*.connectionPool.tcp.connectTimeout': NO_ANSWER,
  'Sidecar inboundConnectionPool.tcp.connectTimeout': NO_ANSWER,
  'Sidecar ingress.*.connectionPool.tcp.tcpKeepalive.**': OF_THE_KERNEL,
  'Sidecar inboundConnectionPool.tcp.tcpKeepalive.**': OF_THE_KERNEL,
  'Sidecar ingress.*.connectionPool.http.maxRetries': OWN_APPLICATION,
  'Sidecar inboundConnectionPool.http.maxRetries': OWN_APPLICATION,
  ...ofGatewayApi('GatewayClass', ['parametersRef.**'], BY_CONDITION),
  ...ofGatewayApi('Gateway', ['infrastructure.parametersRef.**', 'listeners.*.tls.options.*'], BY_CONDITION),
  ...ofGatewayApi(
    'Gateway',
    ['addresses.**'],
    'whether they are the workload’s is told by the status: goldens',
  ),
  ...ofGatewayApi('ListenerSet', ['listeners.*.tls.options.*'], BY_CONDITION),
  ...ofGatewayApi('BackendTLSPolicy', ['options.*'], BY_CONDITION),
  ...ofGatewayApi('HTTPRoute', REFUSED_IN_ROUTES, BY_CONDITION),
  ...ofGatewayApi('GRPCRoute', REFUSED_IN_ROUTES, BY_CONDITION),
  ...ofGatewayApi(
    'HTTPRoute',
    [
      'rules.*.filters.*.externalAuth.**',
      ...['requestRedirect', 'urlRewrite.path', 'cors', 'externalAuth'].map(
        field => `rules.*.backendRefs.*.filters.*.${field}.**`,
      ),
    ],
    BY_CONDITION,
  ),
}
