import { Registry } from 'prom-client'

export { Counter, Gauge, Histogram, Registry } from 'prom-client'

/** A registry of a component's own Prometheus metrics; each component makes its own and `seined` merges them. */
export function createMetrics(): Registry {
  return new Registry()
}
