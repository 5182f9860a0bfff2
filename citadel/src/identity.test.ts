import { describe, expect, it } from 'vitest'
import { isPodOf, parseWorkloadName } from './identity.ts'

describe('parseWorkloadName', () => {
  it('reads workload and namespace of a name of this mesh', () => {
    expect(
      parseWorkloadName('reviews-v1.default.reviews.v1.workload.cluster.local', 'cluster.local'),
    ).toEqual({
      workload: 'reviews-v1',
      namespace: 'default',
    })
  })

  it.each([
    'reviews-v1.default.reviews.v1.workload.other.domain',
    'reviews-v1.default.reviews.workload.cluster.local',
    'a.reviews-v1.default.reviews.v1.workload.cluster.local',
    '.default.reviews.v1.workload.cluster.local',
    'reviews.default.svc.cluster.local',
  ])('takes %s for none', name => {
    expect(parseWorkloadName(name, 'cluster.local')).toBeUndefined()
  })
})

describe('isPodOf', () => {
  const of = (workload: string, pod: string) => isPodOf({ workload, namespace: 'default' }, pod)
  const long = 'a'.repeat(60)

  it.each([
    ['the pod of a Deployment', 'reviews-v1', 'reviews-v1-6f7c9d8b5c-x2x4q'],
    ['the pod of a StatefulSet', 'ledger', 'ledger-0'],
    ['a pod that nothing made', 'alone', 'alone'],
    ['a name with a dot', 'reviews--eu', 'reviews.eu-6f7c9d8b5c-x2x4q'],
    ['a name with two hyphens', 'reviews--eu', 'reviews--eu-6f7c9d8b5c-x2x4q'],
    ['a name that Kubernetes cut', long, `${long.slice(0, 58)}x2x4q`],
  ])('knows %s', (_name, workload, pod) => {
    expect(of(workload, pod)).toBe(true)
  })

  it.each([
    ["another's beginning", 'rev', 'reviews-v1-6f7c9d8b5c-x2x4q'],
    ['another', 'ratings-v1', 'reviews-v1-6f7c9d8b5c-x2x4q'],
    ['what is longer', 'reviews-v1-canary', 'reviews-v1-6f7c9d8b5c-x2x4q'],
    ['another of which a long name is no part', `b${long}`, `${long.slice(0, 58)}x2x4q`],
  ])('does not take it for %s', (_name, workload, pod) => {
    expect(of(workload, pod)).toBe(false)
  })
})
