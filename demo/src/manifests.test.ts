import { expect, it } from 'vitest'
import { PATHS } from './paths.ts'
import { deploymentsOf, readManifests } from './runtime/manifests.ts'

it("the application's manifests and configuration are valid, and each workload has an account and ports", async () => {
  const [app, config] = await Promise.all([readManifests(PATHS.app), readManifests(PATHS.config)])
  expect([...app.problems, ...config.problems]).toEqual([])
  const accounts = new Set(
    app.resources
      .filter(one => one.kind === 'ServiceAccount')
      .map(one => `${one.metadata.namespace}/${one.metadata.name}`),
  )
  const deployments = deploymentsOf(app.resources)
  expect(deployments.map(one => one.metadata.name).sort()).toEqual([
    'details-v1',
    'ingress',
    'inventory-v1',
    'ledger-v1',
    'productpage-v1',
    'quotes-v1',
    'ratings-v1',
    'recommendations-v1',
    'reviews-v1',
    'reviews-v2',
    'reviews-v3',
    'traffic-v1',
  ])
  for (const { metadata, spec } of deployments) {
    expect(accounts).toContain(`${metadata.namespace}/${spec.template.spec.serviceAccountName}`)
    expect(spec.template.spec.containers[0]?.ports).toHaveLength(1)
  }
})

it('no two services share an address', async () => {
  const { resources } = await readManifests(PATHS.app)
  const addresses = resources.flatMap(one => (one.kind === 'Service' ? [one.spec.clusterIP] : []))
  expect(new Set(addresses).size).toBe(addresses.length)
  for (const address of addresses) expect(address).toMatch(/^10\.96\.\d+\.\d+$/)
})
