import { refOf } from '@seine/api'
import { formatProblem } from '@seine/kit'
import { objectYaml, podYaml, resourcesOf, serviceYaml } from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'
import { AddressAllocator } from './address-allocator.ts'
import { MeshModel } from './mesh-model.ts'

const NETWORKING = 'networking.istio.io/v1'
const entry = (name: string, ...hosts: string[]) =>
  objectYaml(NETWORKING, 'ServiceEntry', name, { hosts, ports: [{ number: 80, name: 'http' }] })
const created = (text: string, creationTimestamp: string) => {
  const object = JSON.parse(text)
  return JSON.stringify({ ...object, metadata: { ...object.metadata, creationTimestamp } })
}

function mesh(...texts: string[]) {
  const model = new MeshModel()
  for (const text of texts) model.apply({ upserts: resourcesOf(text), deletes: [] })
  const remove = (text: string) => model.apply({ upserts: [], deletes: resourcesOf(text).map(refOf) })
  const owner = (host: string) => model.snapshot.services.get(host)?.ref.name
  return { model, remove, owner, problems: () => model.snapshot.problems.map(formatProblem) }
}

describe('a host that several objects claim', () => {
  const WEB = 'web.default.svc.cluster.local'

  it.each([
    [
      'the oldest',
      [
        created(entry('a', 'x.example'), '2026-01-02T00:00:00Z'),
        created(entry('b', 'x.example'), '2026-01-01T00:00:00Z'),
      ],
      'x.example',
      'b',
    ],
    ['of one age, the first by name', [entry('b', 'x.example'), entry('a', 'x.example')], 'x.example', 'a'],
    ['of one age, a Service before a ServiceEntry', [entry('a', WEB), serviceYaml('web')], WEB, 'web'],
    [
      'one that is in a file, which has no age',
      [created(entry('a', 'x.example'), '2026-01-01T00:00:00Z'), entry('b', 'x.example')],
      'x.example',
      'b',
    ],
  ])('goes to %s, in whatever order they come', (_which, texts, host, winner) => {
    expect(mesh(...texts).owner(host)).toBe(winner)
    expect(mesh(...[...texts].reverse()).owner(host)).toBe(winner)
  })

  it('is reported at the others, and goes to them when its owner is gone', () => {
    const { owner, problems, remove } = mesh(entry('a', 'x.example'), entry('b', 'X.example.'))
    expect(problems()).toEqual([
      'test.yaml:1:128: error: ServiceEntry default/b: spec.hosts: x.example is already the host of ServiceEntry default/a, which is used; remove one of them [host-collision]',
    ])
    remove(entry('a', 'x.example'))
    expect([owner('x.example'), problems()]).toEqual(['b', []])
  })

  it('is no conflict of an object with itself', () => {
    expect(mesh(entry('a', 'x.example', 'x.example.')).problems()).toEqual([])
  })
})

describe('virtual addresses', () => {
  const addressOf = (model: MeshModel, host: string) => model.snapshot.services.get(host)?.addresses

  it('stay the same while the host is there, whatever else comes and goes', () => {
    const { model, remove } = mesh(entry('a', 'x.example'))
    const first = addressOf(model, 'x.example')
    expect(first).toEqual([
      expect.stringMatching(/^240\.240\.\d+\.\d+$/),
      expect.stringMatching(/^2001:2::f0f0:[1-9a-f][\da-f]*$/),
    ])
    model.apply({
      upserts: resourcesOf(entry('b', 'y.example'), entry('a', 'x.example', 'z.example')),
      deletes: [],
    })
    expect(addressOf(model, 'x.example')).toEqual(first)
    remove(entry('b', 'y.example'))
    expect(addressOf(model, 'x.example')).toEqual(first)
  })

  it('depend on the host alone', () => {
    const one = mesh(entry('a', 'x.example'), entry('b', 'y.example')).model
    const other = mesh(entry('c', 'y.example'), entry('d', 'x.example')).model
    expect(addressOf(one, 'x.example')).toEqual(addressOf(other, 'x.example'))
  })

  it('are not given to wildcards, to addresses, or to hosts that have some', () => {
    const { model } = mesh(
      entry('a', '*.example', '10.9.9.9'),
      objectYaml(NETWORKING, 'ServiceEntry', 'b', {
        hosts: ['b.example'],
        addresses: ['2001:DB8::1', '10.1.2.3/8'],
        ports: [],
      }),
    )
    expect(addressOf(model, '*.example')).toEqual([])
    expect(addressOf(model, '10.9.9.9')).toEqual(['10.9.9.9'])
    expect(addressOf(model, 'b.example')).toEqual(['2001:db8::1', '10.0.0.0/8'])
  })

  it('never collide, run out without an exception, and return when released', () => {
    const allocator = new AddressAllocator(256)
    const allocated = Array.from({ length: 254 }, (_, index) => allocator.allocate(`host-${index}`))
    const given = allocated.map(([ipv4]) => ipv4)
    expect(new Set(given).size).toBe(254)
    expect(new Set(allocated.map(([, ipv6]) => ipv6)).size).toBe(254)
    expect(given).not.toContain('240.240.0.0')
    expect(given).not.toContain('240.240.0.255')
    expect(allocator.allocate('one-more')).toEqual([])
    expect(allocator.allocate('host-7')).toEqual(allocated[7])
    allocator.release('host-7')
    expect(allocator.allocate('one-more')).toEqual(allocated[7])
  })
})

describe('workloads', () => {
  const addressed = (model: MeshModel) =>
    model.snapshot.endpoints.get('web.default.svc.cluster.local')?.byPort.get(80)?.[0]?.workload?.name
  const slice = JSON.stringify({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'web-x', namespace: 'default', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.1.0.1'] }],
    ports: [{ name: 'http', port: 80 }],
  })

  it('that take over an address keep it when the one before is gone', () => {
    const old = podYaml('old', '10.1.0.1', { ready: false })
    const { model, remove } = mesh(serviceYaml('web'), slice, old)
    expect(addressed(model)).toBe('old')
    model.apply({ upserts: resourcesOf(podYaml('young', '10.1.0.1')), deletes: [] })
    expect(addressed(model)).toBe('young')
    remove(old)
    expect(addressed(model)).toBe('young')
  })

  it('of one name are told apart by their kind', () => {
    const vm = objectYaml(NETWORKING, 'WorkloadEntry', 'web', { address: '10.2.0.1', labels: { app: 'web' } })
    const { model, remove } = mesh(vm, podYaml('web', '10.1.0.1'), serviceYaml('web'))
    const kind = () => model.snapshot.workloads.get('default/web')?.ref.kind
    expect(kind()).toBe('Pod')
    expect(model.snapshot.endpoints.get('web.default.svc.cluster.local')?.byPort.get(80)).toHaveLength(2)
    remove(podYaml('web', '10.1.0.1'))
    expect(kind()).toBe('WorkloadEntry')
    expect(model.snapshot.endpoints.get('web.default.svc.cluster.local')?.byPort.get(80)).toHaveLength(1)
  })
})
