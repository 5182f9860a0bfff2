import type { LoadStats } from './apps/lib/load.ts'
import type { MeasuredWorkload } from './measure.ts'

/** What `npm run demo -- --once --json` prints. */
export interface Report {
  readonly green: boolean
  readonly seconds: number
  readonly workloads: readonly MeasuredWorkload[]
  readonly requests: { readonly total: number; readonly failed: number }
  /** Why it is not green; absent when it is. */
  readonly reasons?: readonly string[]
}

/** What has been measured so far. */
export interface Measured {
  readonly seconds: number
  readonly stats: LoadStats | undefined
  readonly workloads: readonly MeasuredWorkload[]
  /** Workloads, in the mesh or outside, that successful requests must have reached. */
  readonly expected: readonly string[]
  readonly failures: readonly string[]
}

/** Judges a measurement: green only if every workload was reached, by mutual TLS, and nothing failed. */
export function judge({ seconds, stats, workloads, expected, failures }: Measured): Report {
  const reasons = [...failures]
  if (stats === undefined) reasons.push('the traffic generator does not run yet')
  else {
    const unreached = expected.filter(name => (stats.reached[name] ?? 0) === 0)
    if (unreached.length > 0) reasons.push(`no successful request has reached ${unreached.join(', ')}`)
    if (stats.failed > 0) reasons.push(`${stats.failed} of ${stats.total} requests failed`)
    if (stats.failed > 0 || stats.total === 0) reasons.push(...stats.lastFailures)
  }
  for (const workload of workloads) {
    if (workload.plaintext > 0)
      reasons.push(`${workload.name} received ${workload.plaintext} calls without mutual TLS`)
    else if (!workload.mtls) reasons.push(`no call by mutual TLS has been measured for ${workload.name}`)
  }
  const requests = { total: stats?.total ?? 0, failed: stats?.failed ?? 0 }
  const green = reasons.length === 0
  return { green, seconds, workloads, requests, ...(green ? {} : { reasons }) }
}
