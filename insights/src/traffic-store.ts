import type { Sample } from './prometheus-text.ts'

/** One kind of call: who called whom how, as one side reported it. */
export interface CallKey {
  readonly reporter: string
  readonly sourceWorkload: string
  readonly sourceNamespace: string
  readonly sourceApp: string
  readonly destinationWorkload: string
  readonly destinationNamespace: string
  readonly destinationApp: string
  readonly destinationVersion: string
  readonly destinationService: string
  readonly protocol: 'http' | 'grpc' | 'tcp'
  readonly security: string
}

/** What happened between two scrapes. */
export interface Interval {
  readonly at: number
  readonly requests: number
  readonly failures: number
  /** Upper bound in ms → requests at most that slow, not cumulative. */
  readonly buckets: ReadonlyMap<number, number>
}

interface Series {
  readonly key: CallKey
  readonly intervals: Interval[]
}

/** How long history is kept. */
const KEEP_MS = 15 * 60_000
/** More kinds of calls than this are not kept: bounds what odd labels can make the hub hold. */
const MAX_SERIES = 20_000

/** Calls over the last quarter of an hour, from the counters that sidecars export. */
export class TrafficStore {
  readonly #series = new Map<string, Series>()
  /** Target → series and counter → the value at its last scrape. */
  readonly #last = new Map<string, Map<string, number>>()

  /** Takes a scrape of one sidecar in. Counters that start again from zero (a new Envoy) count from there. */
  take(target: string, samples: readonly Sample[], at: number): void {
    const before = this.#last.get(target)
    const now = new Map<string, number>()
    const deltas = new Map<
      string,
      { key: CallKey; requests: number; failures: number; buckets: Map<number, number> }
    >()
    for (const sample of samples) {
      const field = fieldOf(sample)
      if (!field) continue
      const key = keyOf(sample.labels)
      const id = JSON.stringify(key)
      const counter = `${id} ${field} ${sample.labels['response_code'] ?? ''} ${sample.labels['response_flags'] ?? ''} ${sample.labels['grpc_response_status'] ?? ''} ${sample.labels['le'] ?? ''}`
      const value = (now.get(counter) ?? 0) + sample.value
      now.set(counter, value)
      const old = before?.get(counter) ?? 0
      const delta = before === undefined ? 0 : value >= old ? value - old : value
      const entry = deltas.get(id) ?? { key, requests: 0, failures: 0, buckets: new Map() }
      deltas.set(id, entry)
      if (field === 'requests') {
        entry.requests += delta
        if (failed(sample.labels)) entry.failures += delta
      } else if (sample.labels['le']) {
        const bound = sample.labels['le'] === '+Inf' ? Number.POSITIVE_INFINITY : Number(sample.labels['le'])
        entry.buckets.set(bound, (entry.buckets.get(bound) ?? 0) + delta)
      }
    }
    this.#last.set(target, now)
    for (const [id, { key, requests, failures, buckets }] of deltas)
      this.#append(id, key, { at, requests, failures, buckets: differences(buckets) })
  }

  /** Drops what is kept of a sidecar that is gone, so that its successor starts anew. */
  forget(target: string): void {
    this.#last.delete(target)
  }

  /** The series that `wanted` takes, with their intervals since `since`. */
  query(
    since: number,
    wanted: (key: CallKey) => boolean,
  ): { key: CallKey; intervals: readonly Interval[] }[] {
    const found: { key: CallKey; intervals: readonly Interval[] }[] = []
    for (const { key, intervals } of this.#series.values()) {
      if (!wanted(key)) continue
      const recent = intervals.filter(({ at }) => at > since)
      if (recent.length > 0) found.push({ key, intervals: recent })
    }
    return found
  }

  #append(id: string, key: CallKey, interval: Interval): void {
    const known = this.#series.get(id)
    if (!known && this.#series.size >= MAX_SERIES) return
    const series = known ?? { key, intervals: [] }
    this.#series.set(id, series)
    series.intervals.push(interval)
    while (series.intervals[0] && series.intervals[0].at < interval.at - KEEP_MS) series.intervals.shift()
  }
}

function fieldOf({ name }: Sample): 'requests' | 'duration' | undefined {
  if (name === 'istio_requests_total' || name === 'istio_tcp_connections_opened_total') return 'requests'
  return name === 'istio_request_duration_milliseconds_bucket' ? 'duration' : undefined
}

function keyOf(labels: Readonly<Record<string, string>>): CallKey {
  const label = (name: string) => labels[name] ?? 'unknown'
  const protocol = label('request_protocol')
  return {
    reporter: label('reporter'),
    sourceWorkload: label('source_workload'),
    sourceNamespace: label('source_workload_namespace'),
    sourceApp: label('source_canonical_service'),
    destinationWorkload: label('destination_workload'),
    destinationNamespace: label('destination_workload_namespace'),
    destinationApp: label('destination_canonical_service'),
    destinationVersion: label('destination_version'),
    destinationService: label('destination_service'),
    protocol: protocol === 'tcp' || protocol === 'grpc' ? protocol : 'http',
    security: label('connection_security_policy'),
  }
}

/** A server's error, a call that got no answer, or a gRPC status that says the server failed. */
function failed(labels: Readonly<Record<string, string>>): boolean {
  const code = Number(labels['response_code'] ?? 200)
  const grpc = labels['grpc_response_status']
  const GRPC_SERVER_ERRORS = ['2', '4', '8', '13', '14', '15']
  return code === 0 || code >= 500 || (grpc !== undefined && GRPC_SERVER_ERRORS.includes(grpc))
}

/** Prometheus' buckets are cumulative; these are not. */
function differences(buckets: ReadonlyMap<number, number>): Map<number, number> {
  let below = 0
  const result = new Map<number, number>()
  for (const [bound, count] of [...buckets].sort(([a], [b]) => a - b)) {
    result.set(bound, Math.max(0, count - below))
    below = count
  }
  return result
}
