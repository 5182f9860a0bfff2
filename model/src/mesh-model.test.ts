import { refOf } from '@seine/api'
import { formatProblem } from '@seine/kit'
import { objectYaml, podYaml, resourcesOf, serviceYaml } from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'
import { MeshModel } from './mesh-model.ts'
import type { ChangeSet } from './snapshot.ts'

const SECURITY = 'security.istio.io/v1'
const NETWORKING = 'networking.istio.io/v1'

/** A mesh that can be written to in YAML. */
function mesh(...texts: string[]) {
  const model = new MeshModel()
  const write = (...more: string[]) => model.apply({ upserts: resourcesOf(...more), deletes: [] })
  const remove = (...gone: string[]) => model.apply({ upserts: [], deletes: resourcesOf(...gone).map(refOf) })
  write(...texts)
  return { model, write, remove, problems: () => model.snapshot.problems.map(formatProblem) }
}

/** The parts of a change set that are not empty. */
function touched(changes: ChangeSet): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(changes)
      .map(([name, value]) => [name, typeof value === 'boolean' ? value : [...value].sort()] as const)
      .filter(([, value]) => (Array.isArray(value) ? value.length > 0 : value)),
  )
}

const WEB = 'web.default.svc.cluster.local'
const settings = (text: string, name = 'istio') =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: 'istio-system' },
    data: { mesh: text },
  })

describe('where objects hold that do not say it', () => {
  const scopes = (model: MeshModel) => model.snapshot.services.get(WEB)?.exportTo
  const service = serviceYaml('web', {})

  it('follows the settings, whichever came first, and what was written is kept', () => {
    const { model, write, remove } = mesh(service)
    expect(scopes(model)).toEqual(['*'])
    const local = settings('defaultServiceExportTo: [.]')
    const { changes } = write(local)
    expect(scopes(model)).toEqual(['.'])
    expect([...changes.services]).toEqual([WEB])
    expect(
      [...model.resources.values()].some(
        ({ metadata }) => metadata.annotations['networking.istio.io/exportTo'],
      ),
    ).toBe(false)
    remove(local)
    expect(scopes(model)).toEqual(['*'])
    expect(scopes(mesh(local, service).model)).toEqual(['.'])
  })
})

describe('what the mesh sees', () => {
  const selecting = (selectors: string) => settings(`discoverySelectors: ${selectors}`)
  const namespace = (name: string, labels = {}) =>
    JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } })
  const services = (model: MeshModel) =>
    [...model.snapshot.services.keys()].map(host => host.split('.')[1]).sort()
  const service = (name: string, port = 80) => {
    const ports = [{ name: 'http', port }]
    return JSON.stringify({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'web', namespace: name },
      spec: { selector: { app: 'web' }, ports },
    })
  }
  const pod = (name: string, ip: string) =>
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'web', namespace: name, labels: { app: 'web' } },
      spec: { containers: [{ name: 'web' }] },
      status: { podIP: ip, phase: 'Running' },
    })
  const inEach = ['a', 'b', 'c'].flatMap((name, at) => [
    service(name),
    pod(name, `10.1.0.${at + 1}`),
    objectYaml(NETWORKING, 'VirtualService', `web.${name}`, {
      hosts: [`web.${name}.svc.cluster.local`],
      http: [{ route: [{ destination: { host: `web.${name}.svc.cluster.local` } }] }],
    }),
  ])

  it('is what is in namespaces that a selector asks for, at once when settings or labels change', () => {
    const { model, write, remove } = mesh(...inEach, namespace('a', { mesh: 'on' }), namespace('b'))
    expect(services(model)).toEqual(['a', 'b', 'c'])
    const selectors = selecting('[{matchLabels: {mesh: on}}]')
    const { changes } = write(selectors)
    expect(services(model)).toEqual(['a'])
    expect([...model.snapshot.workloads.keys()]).toEqual(['a/web'])
    expect([...model.snapshot.virtualServices.keys()]).toEqual(['a/web'])
    expect([...changes.services].sort()).toEqual(['web.b.svc.cluster.local', 'web.c.svc.cluster.local'])
    write(namespace('b', { mesh: 'on' }))
    expect(services(model)).toEqual(['a', 'b'])
    expect(model.snapshot.endpoints.get('web.b.svc.cluster.local')?.byPort.get(80)).toHaveLength(1)
    remove(namespace('a'))
    expect(services(model)).toEqual(['b'])
    // What changes while it is not seen is as it was last written when it is.
    write(service('a', 99))
    expect(services(model)).toEqual(['b'])
    remove(selectors)
    expect(services(model)).toEqual(['a', 'b', 'c'])
    expect(model.snapshot.services.get('web.a.svc.cluster.local')?.ports[0]?.number).toBe(99)
  })

  it('is by the name of a namespace, too, and by expressions', () => {
    const byName = selecting(
      '[{matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [b]}]}]',
    )
    expect(services(mesh(byName, ...inEach).model)).toEqual(['a', 'c'])
  })

  it('is the same whatever came first', () => {
    const labels = namespace('b', { mesh: 'on' })
    const selectors = selecting('[{matchLabels: {mesh: on}}]')
    for (const order of [
      [selectors, labels, ...inEach],
      [...inEach, labels, selectors],
      [labels, ...inEach, selectors],
    ])
      expect(services(mesh(...order).model)).toEqual(['b'])
  })

  it('holds the settings, wherever they are', () => {
    const { model } = mesh(selecting('[{matchLabels: {mesh: on}}]'), ...inEach)
    expect(model.snapshot.config.discoverySelectors).toEqual([{ matchLabels: { mesh: 'on' } }])
    expect(services(model)).toEqual([])
  })
})

describe('a change', () => {
  it.each([
    [
      'a pod that a service selects',
      podYaml('web-2', '10.1.0.2', { labels: { app: 'web' } }),
      {
        endpoints: [WEB],
        workloads: ['default/web-2'],
      },
    ],
    ['a pod of nobody', podYaml('other', '10.1.0.3'), { workloads: ['default/other'] }],
    ['a pod of another namespace', podYaml('web', '10.1.0.4', { namespace: 'b' }), { workloads: ['b/web'] }],
    [
      'a service',
      serviceYaml('api', { clusterIP: '10.96.0.11' }),
      {
        services: ['api.default.svc.cluster.local'],
        endpoints: ['api.default.svc.cluster.local'],
      },
    ],
    [
      'a destination rule',
      objectYaml(NETWORKING, 'DestinationRule', 'web', { host: 'web' }),
      { destinationRules: ['default/web'] },
    ],
    [
      'a policy that changes nothing for endpoints',
      objectYaml(SECURITY, 'PeerAuthentication', 'default', { mtls: { mode: 'STRICT' } }),
      { peerAuthentications: ['default/default'] },
    ],
    [
      'a policy that turns mutual TLS off',
      objectYaml(SECURITY, 'PeerAuthentication', 'default', { mtls: { mode: 'DISABLE' } }),
      { peerAuthentications: ['default/default'], endpoints: [WEB] },
    ],
    [
      'an authorization policy',
      objectYaml(SECURITY, 'AuthorizationPolicy', 'web', { rules: [{}] }),
      { authorizationPolicies: ['default/web'] },
    ],
    [
      'a namespace',
      JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'b', labels: { team: 'x' } } }),
      { namespaces: ['b'] },
    ],
    ['settings', settings('enableTracing: false'), { config: true }],
    ['settings that are the defaults', settings('{}'), {}],
    ['settings that do not parse', settings('enableTracing: [', 'istio'), {}],
    ['what is there already', serviceYaml('web'), {}],
    [
      'a virtual service whose host is not there',
      objectYaml(NETWORKING, 'VirtualService', 'bad', {
        hosts: ['web'],
        http: [{ route: [{ destination: { host: 'nowhere' } }] }],
      }),
      {},
    ],
  ])('by %s', (_what, text, expected) => {
    const { write } = mesh(serviceYaml('web'), podYaml('web', '10.1.0.1'))
    expect(touched(write(text).changes)).toEqual(expected)
  })

  it('of a pod that says nothing new about its endpoint leaves the snapshot as it is', () => {
    const { model, write } = mesh(serviceYaml('web'), podYaml('web', '10.1.0.1'))
    const before = model.snapshot
    const [pod] = resourcesOf(podYaml('web', '10.1.0.1'))
    const status = {
      podIP: '10.1.0.1',
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'True', lastProbeTime: 'now' }],
    }
    const { snapshot } = model.apply({ upserts: pod ? ([{ ...pod, status }] as never) : [], deletes: [] })
    expect(snapshot).toBe(before)
    expect(write(podYaml('web', '10.1.0.1', { ready: false })).snapshot).not.toBe(before)
  })

  it('shares with the snapshot before all that it does not touch', () => {
    const { model, write } = mesh(serviceYaml('web'), podYaml('web', '10.1.0.1'))
    const before = model.snapshot
    const { snapshot } = write(objectYaml(NETWORKING, 'DestinationRule', 'web', { host: 'web' }))
    expect(snapshot.services).toBe(before.services)
    expect(snapshot.endpoints).toBe(before.endpoints)
    expect(before.destinationRules.size).toBe(0)
    expect(snapshot.version).toBe(before.version + 1)
  })
})

describe('references', () => {
  const route = (destination: object) =>
    objectYaml(NETWORKING, 'VirtualService', 'web', { hosts: ['web'], http: [{ route: [{ destination }] }] })

  it.each([
    [
      'a host',
      { host: 'nowhere' },
      'spec.http[0].route[0].destination.host: no service has the host nowhere.default.svc.cluster.local',
    ],
    [
      'a subset',
      { host: 'web', subset: 'v9' },
      'spec.http[0].route[0].destination.subset: no DestinationRule',
    ],
    [
      'a port',
      { host: 'web', port: { number: 81 } },
      'spec.http[0].route[0].destination.port.number: web.default.svc.cluster.local has no port 81; it has 80',
    ],
  ])('to %s that is not there hold the new version back', (_what, destination, message) => {
    const { model, write, problems } = mesh(serviceYaml('web'), route({ host: 'web' }))
    const good = model.snapshot.virtualServices.get('default/web')
    write(route(destination))
    expect(model.snapshot.virtualServices.get('default/web')).toBe(good)
    expect(problems()).toEqual([expect.stringContaining(message)])
    expect(problems()[0]).toMatch(/IST0101\]$/)
    write(route({ host: 'web.default.svc.cluster.local' }))
    expect(problems()).toEqual([])
  })

  it('come into force when what they name does', () => {
    const { model, write } = mesh(serviceYaml('web'), route({ host: 'later' }))
    expect(model.snapshot.virtualServices.size).toBe(0)
    const { changes } = write(serviceYaml('later', { clusterIP: '10.96.0.12' }))
    expect([...changes.virtualServices]).toEqual(['default/web'])
    expect(model.snapshot.virtualServices.size).toBe(1)
  })

  it('stay in force when what they name goes, and are reported', () => {
    const later = serviceYaml('later', { clusterIP: '10.96.0.12' })
    const { model, remove, problems } = mesh(serviceYaml('web'), later, route({ host: 'later' }))
    remove(later)
    expect(model.snapshot.virtualServices.size).toBe(1)
    expect(problems()).toEqual([expect.stringContaining('no service has the host later')])
  })

  it('may name a host that a wildcard covers', () => {
    const entry = objectYaml(NETWORKING, 'ServiceEntry', 'out', {
      hosts: ['*.example.com'],
      ports: [{ number: 80, name: 'http' }],
    })
    const { problems } = mesh(serviceYaml('web'), entry, route({ host: 'a.b.example.com' }))
    expect(problems()).toEqual([])
  })
})

describe('settings of the mesh', () => {
  it('that do not parse leave the last good ones in force, until they are gone', () => {
    const { model, write, remove, problems } = mesh(settings('accessLogFile: /tmp/log'))
    write(settings('accessLogFle: /tmp/other'))
    expect(model.snapshot.config.accessLogFile).toBe('/tmp/log')
    expect(problems()).toEqual([expect.stringContaining('ConfigMap istio-system/istio')])
    remove(settings(''))
    expect([model.snapshot.config.accessLogFile, problems()]).toEqual(['/dev/stdout', []])
  })

  it('in two places are reported, and the first by name counts', () => {
    const { model, remove, problems } = mesh(
      settings('accessLogFile: /tmp/seine', 'seine'),
      settings('accessLogFile: /tmp/istio'),
    )
    expect(model.snapshot.config.accessLogFile).toBe('/tmp/istio')
    expect(problems()).toEqual([expect.stringContaining('ConfigMap istio-system/seine: data.mesh')])
    remove(settings('', 'istio'))
    expect([model.snapshot.config.accessLogFile, problems()]).toEqual(['/tmp/seine', []])
  })
})
