import type { MeshResource } from '@seine/api'
import { MeshModel, type MeshSnapshot } from '@seine/model'
import {
  conflictsIn,
  envoyAccepts,
  randomEdgeResources,
  randomGatewayApiResources,
  randomLabels,
  randomResources,
  renderJson,
  router,
  sidecar,
} from '@seine/testing/unit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

/** More runs than usual: `SEINE_RUNS=2000 npx vitest run …`. */
const RUNS = Number(process.env['SEINE_RUNS'] ?? 60)
const ENVOY_RUNS = Number(process.env['SEINE_ENVOY_RUNS'] ?? 8)

const meshes = fc.record({
  resources: fc.oneof(
    { arbitrary: randomResources({ min: 1, max: 30 }), weight: 2 },
    { arbitrary: randomGatewayApiResources({ min: 1, max: 15 }), weight: 1 },
    { arbitrary: randomEdgeResources({ min: 1, max: 15 }), weight: 1 },
  ),
  labels: randomLabels,
})

function snapshotOf(upserts: readonly MeshResource[]): MeshSnapshot {
  return new MeshModel().apply({ upserts, deletes: [] }).snapshot
}

const clients = (labels: Record<string, string>) => [
  ...['web-1.a', 'api-1.b'].map(name => sidecar(name, { labels, address: '10.1.0.1' })),
  sidecar('web-2.a', { labels, address: '2001:db8::11' }),
  sidecar('db-1.b', { labels, address: '10.1.0.3', metadata: { INSTANCE_IPS: '10.1.0.3,2001:db8::11' } }),
  router('gw-1.a', { labels: { 'gateway.networking.k8s.io/gateway-name': 'gw' }, address: '10.1.0.2' }),
]

describe('whatever validation takes', () => {
  it('is translated without conflicts', () => {
    const property = fc.property(meshes, ({ resources, labels }) => {
      const snapshot = snapshotOf(resources)
      const found = clients(labels).flatMap(proxy => conflictsIn(renderJson(snapshot, proxy, [])))
      expect(found).toEqual([])
    })
    fc.assert(property, { numRuns: RUNS })
  }, 600_000)

  it('is accepted by Envoy', async () => {
    const property = fc.asyncProperty(meshes, async ({ resources, labels }) => {
      const snapshot = snapshotOf(resources)
      const [first, , gateway] = clients(labels)
      for (const proxy of [first, gateway]) {
        if (!proxy) throw new Error('there is no client')
        expect(await envoyAccepts(renderJson(snapshot, proxy))).toEqual({ ok: true, value: undefined })
      }
    })
    await fc.assert(property, { numRuns: ENVOY_RUNS, interruptAfterTimeLimit: 300_000 })
  }, 600_000)
})
