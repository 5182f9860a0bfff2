import { defaultMeshConfig, type MeshConfig } from '@seine/api'
import { MeshModel } from '@seine/model'
import { type FilterChainContext, parseProxy } from '@seine/pilot-traffic'
import { expect, test } from 'vitest'
import { standardLabels } from './labels.ts'

function labelsOf(
  mode: MeshConfig['outboundTrafficPolicy']['mode'],
  name: string,
  more: Partial<FilterChainContext> = {},
): string | undefined {
  const proxy = parseProxy('sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local')
  if (!proxy.ok) throw new Error(proxy.error)
  const { snapshot } = new MeshModel()
  const context: FilterChainContext = {
    snapshot: { ...snapshot, config: { ...defaultMeshConfig, outboundTrafficPolicy: { mode } } },
    proxy: proxy.value,
    direction: 'outbound',
    protocol: 'tcp',
    security: 'unknown',
    service: undefined,
    port: 15001,
    ...more,
  }
  return standardLabels(context).find(label => label.name === name)?.valueFormat
}

test('connections to no service are named after where they go, as in Istio', () => {
  expect(labelsOf('ALLOW_ANY', 'destination_service_name')).toBe('PassthroughCluster')
  expect(labelsOf('REGISTRY_ONLY', 'destination_service_name')).toBe('BlackHoleCluster')
  expect(labelsOf('ALLOW_ANY', 'destination_service')).toBe('unknown')
})

test('where the cluster of a connection knows the service, its metadata names it', () => {
  const label = labelsOf('ALLOW_ANY', 'destination_service', { serviceOfCluster: true })
  expect(label).toBe('%METADATA(CLUSTER:istio:destination_service)%')
})
