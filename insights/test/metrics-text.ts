/** Metrics as an agent serves them on 15020: Envoy's lines in its order of labels, under Istio's names. */

/** Who calls whom. What is not said is known from the names. */
export interface CallOptions {
  readonly reporter: 'source' | 'destination'
  /** Deployment such as `web-v1`, of namespace default unless it is `web-v1.shop`; none for a caller that is not known. */
  readonly from?: string
  /** The receiving Deployment; none where the call reached nobody. */
  readonly to?: string
  /** The service that was called, `details` or a full hostname. */
  readonly service?: string
  readonly protocol?: 'http' | 'grpc' | 'tcp'
  readonly code?: number
  readonly grpc?: string
  readonly flags?: string
  /** What the receiver measured; a caller sees the other side's certificate if it is `mutual_tls`. */
  readonly security?: 'mutual_tls' | 'none'
}

/** Istio's bounds, ms. */
const BOUNDS = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
  3_600_000,
]

/** `n` requests so far, each of which took as long as `tookMs` says (all equally many). */
export function requests(n: number, call: CallOptions, tookMs: readonly number[] = [7]): string {
  const labels = labelsOf(call)
  const upTo = (bound: number) => (tookMs.filter(ms => ms <= bound).length / tookMs.length) * n
  const buckets = [...BOUNDS, Number.POSITIVE_INFINITY].map(
    bound =>
      `istio_request_duration_milliseconds_bucket{${labels},le="${bound === Number.POSITIVE_INFINITY ? '+Inf' : bound}"} ${upTo(bound)}`,
  )
  return [
    '# TYPE istio_requests_total counter',
    `istio_requests_total{${labels}} ${n}`,
    '# TYPE istio_request_duration_milliseconds histogram',
    ...buckets,
    `istio_request_duration_milliseconds_sum{${labels}} ${n * (tookMs[0] ?? 0)}`,
    `istio_request_duration_milliseconds_count{${labels}} ${n}`,
    '',
  ].join('\n')
}

/** TCP connections so far. */
export interface ConnectionCounts {
  readonly opened?: number
  readonly closed?: number
  /** Ended with the flags of the call. */
  readonly ended?: number
  readonly sent?: number
  readonly received?: number
}

/** TCP connections so far; with flags, those that ended with them. */
export function connections(counts: ConnectionCounts, call: CallOptions): string {
  const labels = labelsOf({ ...call, protocol: 'tcp' })
  const line = (name: string, count: number | undefined) =>
    count === undefined ? [] : [`# TYPE istio_${name} counter`, `istio_${name}{${labels}} ${count}`]
  return [
    ...line('tcp_connections_opened_total', counts.opened),
    ...line('tcp_connections_closed_total', counts.closed ?? counts.ended),
    ...line('tcp_sent_bytes_total', counts.sent),
    ...line('tcp_received_bytes_total', counts.received),
    '',
  ].join('\n')
}

/** The certificate that an agent says it holds; `notAfter` in seconds since the epoch. */
export interface HeldCertificate {
  readonly identity: string
  readonly serial: string
  readonly notAfter: number
}

const CERTIFICATE: HeldCertificate = {
  identity: 'spiffe://cluster.local/ns/default/sa/web',
  serial: '0A',
  notAfter: 4_000_000_000,
}

/** What Envoy and the agent say of themselves. `uptime` in seconds. */
export function sidecarLines(
  uptime: number | 'envoy is away' = 100,
  certificate: HeldCertificate | 'no certificate' = CERTIFICATE,
): string {
  const envoy =
    uptime === 'envoy is away' ? [] : ['# TYPE envoy_server_uptime gauge', `envoy_server_uptime{} ${uptime}`]
  const held =
    certificate === 'no certificate'
      ? []
      : [
          '# TYPE seine_agent_certificate_not_after_seconds gauge',
          `seine_agent_certificate_not_after_seconds{identity="${certificate.identity}",serial="${certificate.serial}"} ${certificate.notAfter}`,
        ]
  return [...envoy, 'seine_agent_control_plane_connected 1', ...held, ''].join('\n')
}

function labelsOf(call: CallOptions): string {
  const { reporter, service = 'unknown', protocol = 'http', code = 200, grpc = '', flags = '-' } = call
  const { security = 'mutual_tls' } = call
  const isCaller = reporter === 'source'
  const from = end(call.from)
  const to = end(call.to)
  const principal = (of: ReturnType<typeof end>) =>
    of.workload === 'unknown' || security === 'none'
      ? 'unknown'
      : `spiffe://cluster.local/ns/${of.namespace}/sa/${of.app}`
  const hostname =
    service.includes('.') || service === 'unknown'
      ? service
      : `${service}.${to.namespace === 'unknown' ? 'default' : to.namespace}.svc.cluster.local`
  const labels: Record<string, string | number> = {
    reporter,
    source_workload: from.workload,
    source_canonical_service: from.app,
    source_canonical_revision: from.version,
    source_workload_namespace: from.namespace,
    source_principal: principal(from),
    source_app: from.app,
    source_version: from.version,
    source_cluster: isCaller ? 'Kubernetes' : 'unknown',
    destination_workload: to.workload,
    destination_workload_namespace: to.namespace,
    destination_principal: principal(to),
    destination_app: to.app,
    destination_version: to.version,
    destination_service: hostname,
    destination_canonical_service: to.app,
    destination_canonical_revision: to.version,
    destination_service_name: hostname.split('.')[0] ?? '',
    destination_service_namespace: hostname.split('.')[1] ?? 'unknown',
    destination_cluster: 'Kubernetes',
    request_protocol: protocol,
    ...(protocol === 'tcp' ? {} : { response_code: code, grpc_response_status: grpc }),
    response_flags: flags,
    connection_security_policy: isCaller ? 'unknown' : security,
  }
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${value}"`)
    .join(',')
}

/** `web-v1.shop` as its parts. */
function end(name: string | undefined) {
  if (name === undefined)
    return { workload: 'unknown', namespace: 'unknown', app: 'unknown', version: 'unknown' }
  const [workload = '', namespace = 'default'] = name.split('.')
  const dash = workload.lastIndexOf('-')
  return { workload, namespace, app: workload.slice(0, dash), version: workload.slice(dash + 1) }
}
