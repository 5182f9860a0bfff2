import type { ResponseClass, TrafficFigures } from './api-types.ts'
import type { Columns } from './columns.ts'

/** No traffic. */
export const NO_TRAFFIC: TrafficFigures = { rate: 0, errorRate: 0 }

/**
 * Rates, errors and latency of amounts by column that happened in so many seconds. @param open the TCP connections
 * that are open now.
 */
export function figuresOf(
  sums: Float64Array,
  columns: Columns,
  seconds: number,
  open: number = 0,
): TrafficFigures {
  if (seconds <= 0) return NO_TRAFFIC
  const responses: Partial<Record<ResponseClass, number>> = {}
  const flags: Record<string, number> = {}
  const buckets: [bound: number, count: number][] = []
  const tcp = { opened: 0, closed: 0, unconnected: 0, broken: 0, sent: 0, received: 0 }
  let requests = 0
  for (const [number, amount] of sums.entries()) {
    const column = columns.at(number)
    // Empty buckets count too: they tell where the next one begins.
    if (column.kind === 'bucket') buckets.push([column.bound, amount])
    if (amount === 0 || column.kind === 'bucket') continue
    if (column.kind === 'response') {
      requests += amount
      responses[column.class] = amount / seconds
    } else if (column.kind === 'flag') flags[column.flag] = amount / seconds
    else tcp[column.kind] += amount
  }
  const connections = tcp.opened + tcp.unconnected
  const failed = ((responses['5xx'] ?? 0) + (responses.none ?? 0)) * seconds
  // Connections that broke in this time may have been opened long before.
  const tcpErrorRate = tcp.broken === 0 ? 0 : tcp.broken / Math.max(connections, tcp.broken)
  const hasTcp = open > 0 || Object.values(tcp).some(amount => amount > 0)
  return {
    rate: (requests || connections) / seconds,
    errorRate: requests > 0 ? failed / requests : tcpErrorRate,
    ...percentiles(buckets),
    ...(requests > 0 ? { responses } : {}),
    ...(Object.keys(flags).length > 0 ? { flags } : {}),
    ...(hasTcp
      ? {
          tcp: {
            connections: connections / seconds,
            open,
            errorRate: tcpErrorRate,
            sentBytes: tcp.sent / seconds,
            receivedBytes: tcp.received / seconds,
          },
        }
      : {}),
  }
}

/** Adds amounts to others, in place. */
export function addSums(sums: Float64Array, more: Float64Array): Float64Array {
  for (let column = 0; column < more.length; column++)
    sums[column] = (sums[column] ?? 0) + (more[column] ?? 0)
  return sums
}

type Buckets = readonly (readonly [bound: number, count: number])[]

function percentiles(buckets: [bound: number, count: number][]): Pick<TrafficFigures, 'p50' | 'p90' | 'p99'> {
  buckets.sort(([a], [b]) => a - b)
  const p50 = quantile(buckets, 0.5)
  const p90 = quantile(buckets, 0.9)
  const p99 = quantile(buckets, 0.99)
  return p50 === undefined || p90 === undefined || p99 === undefined ? {} : { p50, p90, p99 }
}

/**
 * The value that a share of the observations does not exceed, interpolated within its bucket as Prometheus does.
 * @param buckets sorted by their upper bounds, empty ones included; undefined when all are empty.
 */
export function quantile(buckets: Buckets, share: number): number | undefined {
  const wanted = buckets.reduce((sum, [, count]) => sum + count, 0) * share
  if (wanted === 0) return undefined
  let seen = 0
  let lower = 0
  for (const [bound, count] of buckets) {
    if (seen + count >= wanted && count > 0)
      return Number.isFinite(bound) ? lower + (bound - lower) * ((wanted - seen) / count) : lower
    seen += count
    if (Number.isFinite(bound)) lower = bound
  }
  return lower
}
