import { expect, it } from 'vitest'
import { containerEnv, expandReferences } from './environment.ts'

const pod = {
  metadata: {
    name: 'reviews-v1-x',
    namespace: 'shop',
    labels: { app: 'reviews' },
    annotations: {},
    ownerReferences: [],
  },
  spec: { serviceAccountName: 'reviews', containers: [{ name: 'reviews' }] },
}
const facts = { pod, ips: ['10.77.0.10', 'fd77::a'], hostIp: '10.77.0.1' }
const field = (fieldPath: string) => ({ valueFrom: { fieldRef: { fieldPath } } })

it('fills in the downward API and references to earlier variables', () => {
  const env = [
    { name: 'POD_NAME', ...field('metadata.name') },
    { name: 'IP', ...field('status.podIP') },
    { name: 'IPS', ...field('status.podIPs') },
    { name: 'HOST', ...field('status.hostIP') },
    { name: 'SA', ...field('spec.serviceAccountName') },
    { name: 'APP', ...field("metadata.labels['app']") },
    { name: 'ADDR', value: '$(HOST):15012' },
    { name: 'NONE', ...field('metadata.uid') },
  ]
  expect(containerEnv({ name: 'c', env }, facts)).toEqual({
    POD_NAME: 'reviews-v1-x',
    IP: '10.77.0.10',
    IPS: '10.77.0.10,fd77::a',
    HOST: '10.77.0.1',
    SA: 'reviews',
    APP: 'reviews',
    ADDR: '10.77.0.1:15012',
    NONE: '',
  })
})

it('leaves unknown references and escaped ones alone', () => {
  expect(expandReferences('$(A) $(B) $$(A) $A', { A: '1' })).toBe('1 $(B) $(A) $A')
})
