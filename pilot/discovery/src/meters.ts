import { shortTypeName, type TypeUrl } from '@seine/envoy'
import { Counter, Gauge, Histogram, type Registry } from '@seine/kit'

/** What the ADS server counts. */
export interface Meters {
  readonly pushes: Counter
  readonly rejects: Counter
  readonly bytes: Counter
  readonly convergence: Histogram
}

/** Metrics with the names and labels of Istio's own pilot, so that its dashboards show ours. */
export function meters(registry: Registry, connected: () => number): Meters {
  const registers = [registry]
  new Gauge({
    name: 'pilot_xds',
    help: 'Connected xDS clients',
    registers,
    collect() {
      this.set(connected())
    },
  })
  return {
    pushes: new Counter({
      name: 'pilot_xds_pushes',
      help: 'Responses sent, by resource type',
      labelNames: ['type'],
      registers,
    }),
    rejects: new Counter({
      name: 'pilot_total_xds_rejects',
      help: 'Responses that a proxy rejected, by resource type',
      labelNames: ['type'],
      registers,
    }),
    bytes: new Counter({ name: 'pilot_xds_sent_bytes_total', help: 'Bytes of xDS responses', registers }),
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
