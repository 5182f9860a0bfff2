import { parseYaml } from '@seine/api'
import { expect, it } from 'vitest'
import { podManifest } from './status.ts'

const pod = {
  metadata: {
    name: 'reviews-v1-x',
    namespace: 'shop',
    labels: { app: 'reviews' },
    annotations: {},
    ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'reviews-v1', controller: true }],
  },
  spec: { containers: [{ name: 'reviews', command: ['node', 'x.js'] }] },
}

it.each([true, false])('writes a pod that the mesh reads back, ready: %s', ready => {
  const state = {
    ips: ['10.77.0.10', 'fd77::a'],
    phase: 'Running',
    ready,
    restarts: { reviews: 2 },
    since: '2026-01-01T00:00:00Z',
  } as const
  const { resources, problems } = parseYaml(podManifest(pod, state), 'pod.yaml')
  expect(problems).toEqual([])
  const conditions = expect.arrayContaining([
    expect.objectContaining({ type: 'Ready', status: ready ? 'True' : 'False' }),
    expect.objectContaining({ type: 'Initialized', status: 'True' }),
  ])
  expect(resources).toMatchObject([
    {
      kind: 'Pod',
      metadata: {
        name: 'reviews-v1-x',
        namespace: 'shop',
        labels: { app: 'reviews' },
        ownerReferences: [{ kind: 'ReplicaSet', name: 'reviews-v1' }],
      },
      status: {
        podIP: '10.77.0.10',
        podIPs: [{ ip: '10.77.0.10' }, { ip: 'fd77::a' }],
        phase: 'Running',
        conditions,
        containerStatuses: [{ name: 'reviews', restartCount: 2 }],
      },
    },
  ])
})
