import { expect, test } from 'vitest'
import { parseProxy } from './proxy.ts'

const ID = 'sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local'

// Envoy and the agent beside it open streams of their own; Envoy sends its metadata in an order of its own.
test('the order of metadata and labels makes no difference to who a proxy is', () => {
  const envoy = parseProxy(ID, { NAMESPACE: 'shop', LABELS: { version: 'v1', app: 'web' }, CLUSTER_ID: 'a' })
  const agent = parseProxy(ID, { CLUSTER_ID: 'a', NAMESPACE: 'shop', LABELS: { app: 'web', version: 'v1' } })
  expect(JSON.stringify(envoy)).toBe(JSON.stringify(agent))
})

test('a node that is generated for gRPC is no Envoy, whatever protocol it speaks', () => {
  const proxy = parseProxy(ID, { GENERATOR: 'grpc', ON_DEMAND: 'true' })
  expect(proxy).toMatchObject({
    value: { generator: 'grpc', virtualHostDiscovery: false, onDemand: false },
  })
  expect(parseProxy(ID, {})).toMatchObject({ value: { generator: 'envoy', virtualHostDiscovery: true } })
  const gateway = parseProxy(ID.replace('sidecar', 'router'), { GENERATOR: 'grpc' })
  expect(gateway).toEqual({ ok: false, error: expect.stringContaining('can not be') })
})

test('labels that are no text are left out', () => {
  const proxy = parseProxy(ID, { LABELS: { app: 'web', replicas: 3 } })
  expect(proxy.ok && proxy.value.labels).toEqual({ app: 'web' })
})
