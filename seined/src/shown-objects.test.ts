import { MeshModel } from '@seine/model'
import { objectYaml, resourcesOf, serviceYaml } from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'
import { shownObjects } from './shown-objects.ts'

const route = (subset: string) =>
  objectYaml('networking.istio.io/v1', 'VirtualService', 'web', {
    hosts: ['web'],
    http: [{ route: [{ destination: { host: 'web', subset } }] }],
  })
const rule = objectYaml('networking.istio.io/v1', 'DestinationRule', 'web', {
  host: 'web',
  subsets: [{ name: 'v1', labels: { version: 'v1' } }],
})

describe('objects for who asks what is in force', () => {
  it('are as they are written, with their places', () => {
    const model = new MeshModel()
    model.apply({ upserts: resourcesOf(serviceYaml('web'), rule, route('v1')), deletes: [] })
    const shown = shownObjects(model.objects(), [], model.snapshot.problems)
    expect(shown).toMatchObject([
      { file: 'test.yaml', line: 1, inForce: { kind: 'Service' }, reasons: [] },
      { inForce: { kind: 'DestinationRule' }, reasons: [] },
      { inForce: { kind: 'VirtualService' }, reasons: [] },
    ])
    expect(shown.filter(one => 'written' in one)).toEqual([])
  })

  it('have both versions where the newest can not be in force, and why', () => {
    const model = new MeshModel()
    model.apply({ upserts: resourcesOf(serviceYaml('web'), rule, route('v1')), deletes: [] })
    model.apply({ upserts: resourcesOf(route('v2')), deletes: [] })
    const shown = shownObjects(model.objects(), [], model.snapshot.problems)
    const [found, ...others] = shown.filter(({ reasons }) => reasons.length > 0)
    expect(others).toEqual([])
    expect(JSON.stringify(found?.inForce)).toContain('"subset":"v1"')
    expect(JSON.stringify(found?.written)).toContain('"subset":"v2"')
    expect(found?.reasons).toEqual([expect.stringContaining('v2')])
  })

  it('are settings of the mesh as they were when they could last be read, each entry by itself', () => {
    const settings = (mesh: string, networks: string) => `apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: ${JSON.stringify(mesh)}, meshNetworks: ${JSON.stringify(networks)}}
`
    const model = new MeshModel()
    const show = () => shownObjects(model.objects(), [], model.snapshot.problems)[0]
    model.apply({ upserts: resourcesOf(settings('trustDomain: a.example', 'networks: {}')), deletes: [] })
    expect(show()).toMatchObject({ inForce: { kind: 'ConfigMap' }, reasons: [] })
    model.apply({ upserts: resourcesOf(settings('trustDomain: [1]', 'networks: { }')), deletes: [] })
    const data = { mesh: 'trustDomain: a.example', meshNetworks: 'networks: { }' }
    expect(show()).toMatchObject({
      inForce: { data },
      written: { data: { ...data, mesh: 'trustDomain: [1]' } },
      reasons: [expect.stringContaining('trustDomain')],
    })
  })

  it('have no version in force where none has been good', () => {
    const model = new MeshModel()
    model.apply({ upserts: resourcesOf(serviceYaml('web'), route('v1')), deletes: [] })
    const [, found] = shownObjects(model.objects(), [], model.snapshot.problems)
    expect(found?.inForce).toBeUndefined()
    expect(found?.written).toMatchObject({ kind: 'VirtualService' })
  })

  it('are there where they were removed and are still needed', () => {
    const model = new MeshModel()
    model.apply({ upserts: resourcesOf(serviceYaml('web'), rule, route('v1')), deletes: [] })
    model.apply({
      upserts: [],
      deletes: [{ kind: 'DestinationRule', namespace: 'default', name: 'web' }],
    })
    const shown = shownObjects(model.objects(), [], model.snapshot.problems)
    const found = shown.filter(({ inForce }) => (inForce as { kind?: string }).kind === 'DestinationRule')
    expect(found).toMatchObject([{ reasons: [expect.stringContaining('still')] }])
  })

  it('have what their document held before it could not be read, and why', () => {
    const model = new MeshModel()
    model.apply({ upserts: resourcesOf(serviceYaml('web')), deletes: [] })
    const broken = {
      severity: 'error',
      code: 'IST0106',
      message: 'is no list',
      path: 'spec.ports',
      resource: { kind: 'Service', namespace: 'default', name: 'web' },
    } as const
    expect(shownObjects(model.objects(), [broken], [])).toMatchObject([
      { inForce: { kind: 'Service' }, reasons: ['spec.ports: is no list'] },
    ])
  })

  it('tell the names of secrets, and nothing that is secret', () => {
    const model = new MeshModel()
    const secret = `apiVersion: v1
kind: Secret
metadata:
  name: shop
  annotations: {kubectl.kubernetes.io/last-applied-configuration: "c2VjcmV0"}
type: Opaque
data: {key: c2VjcmV0}
stringData: {other: hush}
`
    model.apply({ upserts: resourcesOf(secret), deletes: [] })
    const text = JSON.stringify(shownObjects(model.objects(), [], []))
    expect(text).toContain('"data":{"key":"","other":""}')
    expect(text).not.toMatch(/c2VjcmV0|hush/)
  })
})
