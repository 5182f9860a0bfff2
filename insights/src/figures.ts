import type { TrafficFigures } from './api-types.ts'
import type { Interval } from './traffic-store.ts'

/** No traffic. */
export const NO_TRAFFIC: TrafficFigures = { rate: 0, errorRate: 0 }

/** Rate, errors and latency of intervals that together span `seconds`. */
export function figuresOf(intervals: readonly Interval[], seconds: number): TrafficFigures {
  let requests = 0
  let failures = 0
  const buckets = new Map<number, number>()
  for (const interval of intervals) {
    requests += interval.requests
    failures += interval.failures
    for (const [bound, count] of interval.buckets) buckets.set(bound, (buckets.get(bound) ?? 0) + count)
  }
  const p50 = quantile(buckets, 0.5)
  const p99 = quantile(buckets, 0.99)
  return {
    rate: requests / seconds,
    errorRate: requests === 0 ? 0 : failures / requests,
    ...(p50 === undefined ? {} : { p50 }),
    ...(p99 === undefined ? {} : { p99 }),
  }
}

/** The value that a share of the observations does not exceed, interpolated within its bucket as Prometheus does. */
export function quantile(buckets: ReadonlyMap<number, number>, share: number): number | undefined {
  const sorted = [...buckets].sort(([a], [b]) => a - b)
  const total = sorted.reduce((sum, [, count]) => sum + count, 0)
  if (total === 0) return undefined
  const wanted = total * share
  let seen = 0
  let lower = 0
  for (const [bound, count] of sorted) {
    if (seen + count >= wanted && count > 0)
      return Number.isFinite(bound) ? lower + (bound - lower) * ((wanted - seen) / count) : lower
    seen += count
    if (Number.isFinite(bound)) lower = bound
  }
  return lower
}
