import { flagsOf, isBroken, type Labels, reached, responseClass } from './calls.ts'
import { type Columns, MAX_COLUMNS } from './columns.ts'
import type { Sample } from './prometheus-text.ts'

/** The families of metrics that traffic is read from. */
export const TRAFFIC_FAMILIES = [
  'istio_requests_total',
  'istio_request_duration_milliseconds_bucket',
  'istio_tcp_connections_opened_total',
  'istio_tcp_connections_closed_total',
  'istio_tcp_sent_bytes_total',
  'istio_tcp_received_bytes_total',
  'envoy_server_uptime',
] as const

/** Envoy's age in seconds. A scrape without it is the agent's alone: Envoy did not answer. */
const UPTIME: (typeof TRAFFIC_FAMILIES)[number] = 'envoy_server_uptime'

/** More kinds of calls than one sidecar has: bounds what a broken one can make the hub hold. */
const MAX_SERIES_PER_TARGET = 5_000

/** Numbers a kind of call; a new one only where it may. */
type SeriesOf = (labels: Labels, mayAdd: boolean) => number | undefined

/** What happened between two scrapes of one target. */
export interface Delta {
  readonly series: number
  readonly column: number
  readonly amount: number
}

/** What one scrape told. */
export interface Taken {
  /**
   * When the counters began to count what is told: at the scrape before, or when Envoy started. Undefined where that
   * was before anyone looked: then only where counters stand is known.
   */
  readonly since: number | undefined
  readonly deltas: readonly Delta[]
}

/**
 * The counters of one sidecar at its last scrape, to tell what was added since. A counter that fell, or an Envoy
 * that is younger than it was, starts from zero. One that is missing for a while goes on where it was.
 */
export class TargetCounters {
  readonly #columns: Columns
  /** Series and column in one number → the counter. */
  readonly #last = new Map<number, number>()
  #at: number | undefined
  #uptime = 0

  constructor(columns: Columns) {
    this.#columns = columns
  }

  /** The series that the sidecar counts. */
  *series(): Iterable<number> {
    for (const key of this.#last.keys()) yield Math.floor(key / MAX_COLUMNS)
  }

  /** The TCP connections that were open at the last scrape, by series. */
  *openConnections(): Iterable<readonly [series: number, count: number]> {
    const [opened, closed] = [
      this.#columns.numberOf({ kind: 'opened' }),
      this.#columns.numberOf({ kind: 'closed' }),
    ]
    for (const [key, count] of this.#last) {
      if (key % MAX_COLUMNS !== opened) continue
      const open = count - (this.#last.get(key - opened + closed) ?? 0)
      if (open > 0) yield [Math.floor(key / MAX_COLUMNS), open]
    }
  }

  /**
   * Takes a scrape. @param seriesOf the number of a kind of call; undefined when it has none and may not have a new
   * one. @param watchedSince the time of the first round. @returns undefined when Envoy did not answer: the next
   * scrape then covers a longer time.
   */
  take(
    samples: readonly Sample[],
    at: number,
    seriesOf: SeriesOf,
    watchedSince: number | undefined,
  ): Taken | undefined {
    const uptime = samples.find(({ name }) => name === UPTIME)?.value
    if (uptime === undefined) return undefined
    if (uptime < this.#uptime) this.#last.clear()
    const startedAt = at - uptime * 1000
    const isNew = watchedSince !== undefined && startedAt > watchedSince
    const since = this.#at ?? (isNew ? startedAt : undefined)
    const deltas: Delta[] = []
    for (const [key, value] of this.#totals(samples, seriesOf)) {
      const old = this.#last.get(key) ?? 0
      const amount = value >= old ? value - old : value
      this.#last.set(key, value)
      if (since !== undefined && amount > 0)
        deltas.push({ series: Math.floor(key / MAX_COLUMNS), column: key % MAX_COLUMNS, amount })
    }
    this.#at = at
    this.#uptime = uptime
    return { since, deltas }
  }

  /** Counters by series and column: samples that differ in other labels are summed up. */
  #totals(samples: readonly Sample[], seriesOf: SeriesOf): ReadonlyMap<number, number> {
    const totals = new Map<number, number>()
    const known = new Set<number>()
    let labels: Labels | undefined
    let series: number | undefined
    let below = 0
    for (const sample of samples) {
      const columns = this.#columnsOf(sample)
      if (columns.length === 0) continue
      if (sample.labels !== labels) {
        labels = sample.labels
        series = seriesOf(labels, known.size < MAX_SERIES_PER_TARGET)
        below = 0
      }
      if (series === undefined) continue
      known.add(series)
      // Prometheus' buckets hold what is in the lower ones too.
      const value = sample.le === undefined ? sample.value : Math.max(0, sample.value - below)
      if (sample.le !== undefined) below = Math.max(below, sample.value)
      for (const column of columns) {
        const key = series * MAX_COLUMNS + column
        totals.set(key, (totals.get(key) ?? 0) + value)
      }
    }
    return totals
  }

  #columnsOf({ name, labels, le }: Sample): number[] {
    const columns = this.#columns
    const flags = () => flagsOf(labels).map(flag => columns.numberOf({ kind: 'flag', flag }))
    switch (name as (typeof TRAFFIC_FAMILIES)[number]) {
      case 'istio_requests_total':
        return [columns.numberOf({ kind: 'response', class: responseClass(labels) }), ...flags()]
      case 'istio_request_duration_milliseconds_bucket':
        return le === undefined ? [] : [columns.numberOf({ kind: 'bucket', bound: le })]
      case 'istio_tcp_connections_opened_total':
        return [columns.numberOf({ kind: 'opened' })]
      case 'istio_tcp_connections_closed_total':
        return [
          columns.numberOf({ kind: reached(labels) ? 'closed' : 'unconnected' }),
          ...(isBroken(labels) ? [columns.numberOf({ kind: 'broken' })] : []),
          ...flags(),
        ]
      case 'istio_tcp_sent_bytes_total':
        return [columns.numberOf({ kind: 'sent' })]
      case 'istio_tcp_received_bytes_total':
        return [columns.numberOf({ kind: 'received' })]
      default:
        return []
    }
  }
}
