import { shortTypeName, type TypeUrl } from '@seine/envoy'
import { Counter, Gauge, Histogram, type Registry } from '@seine/kit'

/** What the ADS server counts. */
export interface Meters {
  readonly pushes: Tally
  readonly rejects: Tally
  readonly bytes: Tally
  readonly convergence: Histogram
}

/** Counts by resource type. A push counts for each client, so that the registry hears of it only when it is read. */
export class Tally {
  readonly #counts = new Map<string, number>()

  add(type: string, count = 1): void {
    this.#counts.set(type, (this.#counts.get(type) ?? 0) + count)
  }

  [Symbol.iterator](): Iterator<[type: string, count: number]> {
    return this.#counts[Symbol.iterator]()
  }
}

/** Metrics with the names and labels of Istio's own pilot, so that its dashboards show ours. */
export function meters(registry: Registry, connected: () => number): Meters {
  const registers = [registry]
  const [pushes, rejects, bytes] = [new Tally(), new Tally(), new Tally()]
  new Gauge({
    name: 'pilot_xds',
    help: 'Connected xDS clients',
    registers,
    collect() {
      this.set(connected())
    },
  })
  new Counter({
    name: 'pilot_xds_pushes',
    help: 'Responses sent, by resource type',
    labelNames: ['type'],
    registers,
    collect() {
      this.reset()
      for (const [type, count] of pushes) this.inc(typeLabel(type), count)
    },
  })
  new Counter({
    name: 'pilot_total_xds_rejects',
    help: 'Responses that a proxy rejected, by resource type',
    labelNames: ['type'],
    registers,
    collect() {
      this.reset()
      for (const [type, count] of rejects) this.inc(typeLabel(type), count)
    },
  })
  new Counter({
    name: 'pilot_xds_sent_bytes_total',
    help: 'Bytes of xDS responses',
    registers,
    collect() {
      this.reset()
      for (const [, count] of bytes) this.inc(count)
    },
  })
  return {
    pushes,
    rejects,
    bytes,
    convergence: new Histogram({
      name: 'pilot_proxy_convergence_time',
      help: 'Seconds from a change to a proxy having acknowledged all that came of it',
      buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 3, 5, 10, 20, 30],
      registers,
    }),
  }
}

/** CDS, EDS, LDS … or, of types that have no such name, the last part of the type. */
export function shortName(type: string): string {
  return shortTypeName[type as TypeUrl] ?? type.slice(type.lastIndexOf('.') + 1)
}

/** A type as Istio's metrics label it: `cds`, `eds`, `lds` … */
export function typeLabel(type: string): { type: string } {
  return { type: shortName(type).toLowerCase() }
}
