import { expect, it } from 'vitest'
import { measureWorkload, parseSamples, TRAFFIC_METRICS } from './measure.ts'
import { judge } from './report.ts'

const principal = (account: string) => `spiffe://cluster.local/ns/default/sa/${account}`

function line(
  from: string,
  to: string,
  policy: string,
  value: number,
  reporter = 'destination',
  metric = 'istio_requests_total',
): string {
  const labels = {
    reporter,
    source_workload: from,
    source_workload_namespace: 'default',
    source_principal: policy === 'mutual_tls' ? principal(from) : 'unknown',
    destination_workload: to,
    destination_workload_namespace: 'default',
    destination_principal: policy === 'mutual_tls' ? principal(to) : 'unknown',
    connection_security_policy: policy,
  }
  const text = Object.entries(labels)
    .map(([name, label]) => `${name}="${label}"`)
    .join(',')
  return `${metric}{${text}} ${value}`
}

const measure = (name: string, ...lines: string[]) =>
  measureWorkload(name, 'default', parseSamples(lines.join('\n'), TRAFFIC_METRICS))

it('reads samples with escaped labels and passes over the rest', () => {
  const text = '# TYPE a counter\na{x="1,\\"2\\"",y="}"} 3\nb 1\na 4\n'
  expect(parseSamples(text, new Set(['a']))).toEqual([
    { name: 'a', labels: { x: '1,"2"', y: '}' }, value: 3 },
    { name: 'a', labels: {}, value: 4 },
  ])
})

it('takes a workload as secured when all it received came by mutual TLS', () => {
  expect(measure('reviews', line('page', 'reviews', 'mutual_tls', 3))).toMatchObject({
    mtls: true,
    identity: principal('reviews'),
    mutualTls: 3,
  })
  const mixed = measure(
    'reviews',
    line('page', 'reviews', 'mutual_tls', 3),
    line('unknown', 'reviews', 'none', 1),
  )
  expect(mixed).toMatchObject({ mtls: false, mutualTls: 3, plaintext: 1 })
})

it('judges a workload that only sends by what others received of it, and counts TCP connections', () => {
  expect(measure('traffic', line('traffic', 'page', 'mutual_tls', 3))).toMatchObject({
    mtls: true,
    identity: principal('traffic'),
  })
  const tcp = line('details', 'ledger', 'mutual_tls', 2, 'destination', 'istio_tcp_connections_opened_total')
  expect(measure('ledger', tcp)).toMatchObject({ mtls: true, mutualTls: 2 })
})

it('does not believe what senders report, nor silence', () => {
  expect(measure('reviews', line('page', 'reviews', 'mutual_tls', 3, 'source')).mtls).toBe(false)
  expect(measure('reviews').mtls).toBe(false)
})

it('is green only if all was reached by mutual TLS and nothing failed', () => {
  const stats = { rate: 10, total: 20, failed: 0, warmUp: 1, reached: { reviews: 20 }, lastFailures: [] }
  const workloads = [measure('reviews', line('page', 'reviews', 'mutual_tls', 3))]
  const well = { seconds: 9, stats, workloads, expected: ['reviews'], failures: [] }
  expect(judge(well)).toEqual({ green: true, seconds: 9, workloads, requests: { total: 20, failed: 0 } })
  const reasons = (change: Partial<typeof well>) => judge({ ...well, ...change }).reasons
  expect(reasons({ expected: ['reviews', 'ratings'] })).toEqual(['no successful request has reached ratings'])
  expect(reasons({ stats: { ...stats, failed: 1 } })).toEqual(['1 of 20 requests failed'])
  expect(reasons({ workloads: [measure('reviews')] })).toEqual([
    'no call by mutual TLS has been measured for reviews',
  ])
  expect(judge({ ...well, stats: undefined }).green).toBe(false)
})
