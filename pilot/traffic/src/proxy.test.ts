import { expect, test } from 'vitest'
import { parseProxy } from './proxy.ts'

const ID = 'sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local'

// Envoy and the agent beside it open streams of their own; Envoy sends its metadata in an order of its own.
test('the order of metadata and labels makes no difference to who a proxy is', () => {
  const envoy = parseProxy(ID, { NAMESPACE: 'shop', LABELS: { version: 'v1', app: 'web' }, CLUSTER_ID: 'a' })
  const agent = parseProxy(ID, { CLUSTER_ID: 'a', NAMESPACE: 'shop', LABELS: { app: 'web', version: 'v1' } })
  expect(JSON.stringify(envoy)).toBe(JSON.stringify(agent))
})

test('labels that are no text are left out', () => {
  const proxy = parseProxy(ID, { LABELS: { app: 'web', replicas: 3 } })
  expect(proxy.ok && proxy.value.labels).toEqual({ app: 'web' })
})
