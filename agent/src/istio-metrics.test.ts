import { expect, it } from 'vitest'
import { istioMetrics } from './istio-metrics.ts'

it("takes Envoy's prefix off the standard metrics and leaves Envoy's own", () => {
  const text = `# TYPE envoy_istio_requests_total counter
envoy_istio_requests_total{reporter="source",source_workload="web"} 3
# TYPE envoy_cluster_upstream_rq counter
envoy_cluster_upstream_rq{envoy_cluster_name="x"} 4
`
  expect(istioMetrics(text)).toBe(`# TYPE istio_requests_total counter
istio_requests_total{reporter="source",source_workload="web"} 3
# TYPE envoy_cluster_upstream_rq counter
envoy_cluster_upstream_rq{envoy_cluster_name="x"} 4
`)
})

it('says unknown where a peer is not known, and keeps the dash of response flags', () => {
  const text =
    'envoy_istio_requests_total{reporter="source",source_principal="-",destination_workload="-",response_flags="-",grpc_response_status="-"} 1'
  expect(istioMetrics(text)).toBe(
    'istio_requests_total{reporter="source",source_principal="unknown",destination_workload="unknown",response_flags="-",grpc_response_status=""} 1',
  )
})

it('adds up samples that have become the same', () => {
  const sample = (principal: string, value: number) =>
    `envoy_istio_requests_total{reporter="source",source_principal="${principal}"} ${value}`
  expect(istioMetrics([sample('-', 2), sample('', 3), sample('spiffe://x', 4), ''].join('\n'))).toBe(
    [
      'istio_requests_total{reporter="source",source_principal="unknown"} 5',
      'istio_requests_total{reporter="source",source_principal="spiffe://x"} 4',
      '',
    ].join('\n'),
  )
})
