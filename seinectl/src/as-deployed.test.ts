import { parseYaml } from '@seine/api'
import { describe, expect, it } from 'vitest'
import { asDeployed } from './as-deployed.ts'

function deployed(text: string) {
  const { resources, problems } = parseYaml(text, 'a.yaml')
  expect(problems).toEqual([])
  const all = asDeployed(resources)
  return {
    pods: all.filter(one => one.kind === 'Pod'),
    services: all.filter(one => one.kind === 'Service'),
    entries: all.filter(one => one.kind === 'WorkloadEntry'),
  }
}

const TEMPLATE = 'template: {metadata: {labels: {app: web}}, spec: {containers: [{name: app}]}}'
const DEPLOYMENT = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {selector: {matchLabels: {app: web}}, ${TEMPLATE}}
`

describe('asDeployed', () => {
  it('gives a template one pod that runs, with a sidecar', () => {
    const [pod, ...others] = deployed(DEPLOYMENT).pods
    expect(others).toEqual([])
    expect(pod?.metadata).toMatchObject({
      name: 'web',
      namespace: 'default',
      labels: { app: 'web', 'security.istio.io/tlsMode': 'istio' },
    })
    expect(pod?.status).toMatchObject({ podIP: expect.stringMatching(/^198\.19\./), phase: 'Running' })
  })

  it.each(['StatefulSet', 'DaemonSet', 'ReplicaSet'])('knows the template of a %s', kind => {
    expect(
      deployed(`apiVersion: apps/v1\nkind: ${kind}\nmetadata: {name: web}\nspec: {${TEMPLATE}}\n`).pods,
    ).toHaveLength(1)
  })

  it('adds none where a pod of the template is written down, or none is wanted', () => {
    const pod = `apiVersion: v1
kind: Pod
metadata: {name: web-1, labels: {app: web, pod-template-hash: x}}
spec: {containers: [{name: app}]}
status: {podIP: 10.0.0.1, phase: Running}
`
    const { pods } = deployed(`${DEPLOYMENT}---\n${pod}`)
    expect(pods.map(({ metadata, status }) => [metadata.name, status?.podIP])).toEqual([
      ['web-1', '10.0.0.1'],
    ])
    expect(pods[0]?.metadata.labels['security.istio.io/tlsMode']).toBeUndefined()
    expect(deployed(DEPLOYMENT.replace('spec: {', 'spec: {replicas: 0, ')).pods).toEqual([])
  })

  it('asks the namespace whether there is a sidecar', () => {
    const namespace =
      'apiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: {istio-injection: disabled}}\n'
    const [pod] = deployed(`${namespace}---\n${DEPLOYMENT}`).pods
    expect(pod?.metadata.labels).toEqual({ app: 'web' })
  })

  it('gives Services an address of their own, but for those that have one or want none', () => {
    const service = (name: string, spec: string) =>
      `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {${spec}, ports: [{port: 80}]}\n`
    const { services } = deployed(
      [
        service('plain', 'selector: {app: web}'),
        service('headless', 'clusterIP: None'),
        service('own', 'clusterIP: 10.96.0.1'),
        service('elsewhere', 'type: ExternalName, externalName: example.com'),
      ].join('---\n'),
    )
    expect(services.map(({ spec }) => spec.clusterIP)).toEqual([
      expect.stringMatching(/^198\.18\./),
      'None',
      '10.96.0.1',
      undefined,
    ])
  })

  it('does not move an address because of a new object', () => {
    const { pods } = deployed(DEPLOYMENT)
    const { pods: more } = deployed(`${DEPLOYMENT.replaceAll('web', 'api')}---\n${DEPLOYMENT}`)
    expect(more.map(({ status }) => status?.podIP)).toContain(pods[0]?.status?.podIP)
  })

  it('gives a group one workload, unless an entry of the group is written down', () => {
    const group = `apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: vms}
spec: {metadata: {labels: {app: web}}, template: {}, probe: {tcpSocket: {port: 80}}}
`
    const [entry, ...others] = deployed(group).entries
    expect(others).toEqual([])
    expect(entry?.spec).toMatchObject({
      address: expect.stringMatching(/^198\.19\./),
      labels: { app: 'web' },
    })
    expect(entry?.status).toMatchObject({ conditions: [{ type: 'Healthy', status: 'True' }] })
    const written = `apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vms-10.0.0.1, ownerReferences: [{apiVersion: networking.istio.io/v1, kind: WorkloadGroup, name: vms, uid: x}]}
spec: {address: 10.0.0.1}
`
    expect(deployed(`${group}---\n${written}`).entries.map(({ spec }) => spec.address)).toEqual(['10.0.0.1'])
  })
})
