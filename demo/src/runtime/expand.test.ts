import { parseYaml } from '@seine/api'
import { expect, it } from 'vitest'
import { expandDeployment } from './expand.ts'
import { deploymentsOf } from './manifests.ts'

function deployment(replicas: number, annotation = '') {
  const parsed = parseYaml(
    `apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews-v1, namespace: shop}
spec:
  replicas: ${replicas}
  selector: {matchLabels: {app: reviews}}
  template:
    metadata:
      labels: {app: reviews, version: v1}
      annotations: {${annotation}}
    spec:
      serviceAccountName: reviews
      containers: [{name: reviews, command: [node, reviews.js], ports: [{containerPort: 9080}]}]
`,
    'test.yaml',
  )
  expect(parsed.problems).toEqual([])
  const [found] = deploymentsOf(parsed.resources)
  if (found === undefined) throw new Error('no deployment')
  return found
}

it('names and labels pods as Kubernetes does, each replica its own', () => {
  const pods = expandDeployment(deployment(2))
  expect(pods).toHaveLength(2)
  const [first, second] = pods
  const hash = first?.metadata.labels['pod-template-hash']
  expect(first?.metadata).toMatchObject({
    namespace: 'shop',
    labels: { app: 'reviews', version: 'v1' },
    ownerReferences: [{ kind: 'ReplicaSet', name: `reviews-v1-${hash}` }],
  })
  expect(first?.metadata.name).toMatch(new RegExp(`^reviews-v1-${hash}-[b-z2-9]{5}$`))
  expect(second?.metadata.name).not.toBe(first?.metadata.name)
  expect(first?.workload).toBe('reviews-v1')
})

it('gives the same Deployment the same names, and a changed template others', () => {
  const names = (of: ReturnType<typeof deployment>) => expandDeployment(of).map(pod => pod.metadata.name)
  expect(names(deployment(2))).toEqual(names(deployment(2)))
  expect(names(deployment(1))).toEqual(names(deployment(2)).slice(0, 1))
  expect(names(deployment(1, 'a: b'))).not.toEqual(names(deployment(1)))
})

it('runs no pod for zero replicas', () => {
  expect(expandDeployment(deployment(0))).toEqual([])
})
