import type { WorkloadEntry } from '@seine/api'
import { FakeClock, silentLogger } from '@seine/kit'
import { MeshModel, type ResourceChange } from '@seine/model'
import type { Proxy } from '@seine/pilot-traffic'
import { objectYaml, type ProxyOptions, resourcesOf, sidecar } from '@seine/testing/unit'
import { beforeEach, describe, expect, it } from 'vitest'
import type { StoredRegistration } from './registration-store.ts'
import { GRACE_MS, PROBE_NAME, RESTORED_GRACE_MS, Registrations } from './registrations.ts'

const GROUP = objectYaml('networking.istio.io/v1', 'WorkloadGroup', 'vms', {
  metadata: { labels: { app: 'web', version: 'v1' }, annotations: { owner: 'shop' } },
  template: {
    labels: { app: 'other', tier: 'gold' },
    ports: { http: 8080 },
    serviceAccount: 'web',
    weight: 3,
  },
})
const WITH_PROBE = GROUP.replace('"template"', '"probe":{"tcpSocket":{"port":8080}},"template"')
const SERVICE = objectYaml('networking.istio.io/v1', 'ServiceEntry', 'web', {
  hosts: ['web.example'],
  resolution: 'STATIC',
  location: 'MESH_INTERNAL',
  ports: [{ name: 'http', number: 80, protocol: 'HTTP' }],
  workloadSelector: { labels: { app: 'web' } },
})

const machine = (address: string, options: ProxyOptions = {}): Proxy => ({
  ...sidecar('vm', {
    address,
    ...options,
    metadata: { AUTO_REGISTER_GROUP: 'vms', SERVICE_ACCOUNT: 'web', ...options.metadata },
  }),
  authenticated: true,
})

describe('workloads that register by a group', () => {
  let clock: FakeClock
  let model: MeshModel
  let registrations: Registrations

  beforeEach(() => {
    clock = new FakeClock()
    model = new MeshModel()
    registrations = new Registrations({
      clock,
      logger: silentLogger,
      onChange: change => void model.apply(change),
    })
    applied(GROUP, SERVICE)
  })

  function applied(...texts: string[]): void {
    const change: ResourceChange = { upserts: resourcesOf(...texts), deletes: [] }
    model.apply(registrations.follow(change))
  }

  function removed(kind: string, name: string): void {
    model.apply(registrations.follow({ upserts: [], deletes: [{ kind, namespace: 'default', name }] }))
  }

  function joined(proxy: Proxy) {
    const answer = registrations.join(proxy)
    if (!answer.ok) throw new Error(answer.error)
    return answer.value
  }

  const entries = () =>
    [...model.resources.values()].filter(({ kind }) => kind === 'WorkloadEntry') as WorkloadEntry[]
  const endpoints = () =>
    model.snapshot.endpoints
      .get('web.example')
      ?.byPort.get(80)
      ?.map(({ address, port }) => `${address}:${port}`)

  it("have an entry made of the template, the group's metadata and what they say of themselves", () => {
    joined(machine('10.9.0.1', { labels: { version: 'v2' } }))
    expect(entries()).toMatchObject([
      {
        metadata: {
          name: 'vms-10.9.0.1',
          namespace: 'default',
          annotations: { owner: 'shop', 'istio.io/autoRegistrationGroup': 'vms' },
          ownerReferences: [{ kind: 'WorkloadGroup', name: 'vms' }],
        },
        spec: {
          address: '10.9.0.1',
          ports: { http: 8080 },
          labels: { app: 'web', tier: 'gold', version: 'v2', 'security.istio.io/tlsMode': 'istio' },
          serviceAccount: 'web',
          weight: 3,
        },
      },
    ])
    expect(endpoints()).toEqual(['10.9.0.1:8080'])
    const workload = model.snapshot.workloads.get('default/vms-10.9.0.1')
    expect(workload).toMatchObject({ workloadName: 'vms', app: 'web', version: 'v2', meshed: true })
    expect(workload?.group).toEqual({ kind: 'WorkloadGroup', namespace: 'default', name: 'vms' })
  })

  it('are named by their network as well, and stand where the template stands in its file', () => {
    const { key } = joined(machine('fd00::1', { metadata: { NETWORK: 'dc' } }))
    expect(key).toBe('WorkloadEntry/default/vms-fd00--1-dc')
    const [group] = [...model.resources.values()].filter(({ kind }) => kind === 'WorkloadGroup')
    expect(entries()[0]?.origin?.locate('spec.weight')).toEqual(group?.origin?.locate('spec.template.weight'))
  })

  it.each<[string, Proxy, string]>([
    [
      'a group that is not there',
      machine('10.9.0.1', { metadata: { AUTO_REGISTER_GROUP: 'none' } }),
      'there is no WorkloadGroup default/none to register by: the workload joins when it is there',
    ],
    [
      'another account',
      machine('10.9.0.1', { metadata: { SERVICE_ACCOUNT: 'other' } }),
      'WorkloadGroup default/vms is for workloads of the service account web, and the token is for other',
    ],
    [
      'nobody who has proved who they are',
      { ...machine('10.9.0.1'), authenticated: false },
      'only a workload with a token can register: it has to connect over TLS',
    ],
    ['no address', machine('vm.example'), 'to register takes an IP address, not "vm.example"'],
  ])('are not %s', (_name, proxy, reason) => {
    expect(registrations.join(proxy)).toEqual({ ok: false, error: reason })
    expect(entries()).toEqual([])
  })

  it('stay while one of their streams does, and for a while after', () => {
    const proxy = machine('10.9.0.1')
    const streams = [joined(proxy), joined(proxy)]
    for (const stream of streams) registrations.leave(stream)
    clock.advance(GRACE_MS - 1)
    const again = joined(proxy)
    clock.advance(GRACE_MS)
    expect(endpoints()).toEqual(['10.9.0.1:8080'])
    registrations.leave(again)
    clock.advance(GRACE_MS - 1)
    expect(endpoints()).toEqual(['10.9.0.1:8080'])
    clock.advance(1)
    expect(endpoints()).toEqual([])
    expect(entries()).toEqual([])
  })

  it('follow their group: its changes, its end, and its return', () => {
    const one = joined(machine('10.9.0.1'))
    applied(GROUP.replace('8080', '9090').replace('"version":"v1"', '"version":"v3"'))
    expect(endpoints()).toEqual(['10.9.0.1:9090'])
    expect(registrations.entryOf(one)).toMatchObject({ name: 'vms-10.9.0.1', labels: { version: 'v3' } })
    removed('WorkloadGroup', 'vms')
    expect(endpoints()).toEqual([])
    applied(GROUP)
    expect(endpoints()).toEqual(['10.9.0.1:8080'])
  })

  it('give way to an entry that people wrote', () => {
    const one = joined(machine('10.9.0.1'))
    const written = { address: '10.9.0.7', labels: { app: 'web' } }
    const text = JSON.stringify({
      apiVersion: 'networking.istio.io/v1',
      kind: 'WorkloadEntry',
      metadata: { name: 'vms-10.9.0.1', namespace: 'default' },
      spec: written,
    })
    applied(text)
    expect(endpoints()).toEqual(['10.9.0.7:80'])
    removed('WorkloadEntry', 'vms-10.9.0.1')
    expect(endpoints()).toEqual(['10.9.0.1:8080'])
    applied(text)
    registrations.leave(one)
    clock.advance(GRACE_MS)
    expect(endpoints()).toEqual(['10.9.0.7:80'])
  })

  it('with a probe, take requests only while their agent says that they can', () => {
    applied(WITH_PROBE)
    const one = joined(machine('10.9.0.1'))
    expect(new TextDecoder().decode(registrations.probeOf(one)?.bytes)).toBe('{"tcpSocket":{"port":8080}}')
    expect(registrations.probeOf(one)?.name).toBe(PROBE_NAME)
    expect(endpoints()).toEqual([])
    registrations.report(one, undefined)
    expect(endpoints()).toEqual(['10.9.0.1:8080'])
    clock.advance(5000)
    registrations.report(one, 'no answer')
    expect(endpoints()).toEqual([])
    expect(entries()[0]?.status).toMatchObject({
      conditions: [
        {
          type: 'Healthy',
          status: 'False',
          message: 'no answer',
          lastTransitionTime: new Date(clock.now()).toISOString(),
        },
      ],
    })
    // What is known of it outlives a stream that comes again.
    registrations.leave(one)
    joined(machine('10.9.0.1'))
    expect(endpoints()).toEqual([])
  })

  it('that say they stop take no requests until they come again', () => {
    const one = joined(machine('10.9.0.1'))
    registrations.report(one, 'the workload is stopping')
    expect(endpoints()).toEqual([])
    registrations.leave(one)
    joined(machine('10.9.0.1'))
    expect(endpoints()).toEqual(['10.9.0.1:8080'])
  })

  it('go on to take requests when their group gets a probe, until their agent says otherwise', () => {
    const one = joined(machine('10.9.0.1'))
    applied(WITH_PROBE)
    expect(endpoints()).toEqual(['10.9.0.1:8080'])
    registrations.report(one, 'no answer')
    expect(endpoints()).toEqual([])
    applied(GROUP)
    expect(endpoints()).toEqual(['10.9.0.1:8080'])
    expect(registrations.probeOf(one)).toBeUndefined()
  })

  describe('and a new start of pilot', () => {
    let saved: readonly StoredRegistration[]

    function start(stored: readonly StoredRegistration[]): void {
      registrations.close()
      model = new MeshModel()
      registrations = new Registrations({
        clock,
        logger: silentLogger,
        onChange: change => void model.apply(change),
        stored,
        save: all => {
          saved = all
        },
      })
    }

    beforeEach(() => {
      saved = []
      start([])
      applied(GROUP, SERVICE)
    })

    it('are there with their group, before any of them has come back', () => {
      joined(machine('10.9.0.1', { labels: { version: 'v2' } }))
      start(saved)
      expect(entries()).toEqual([])
      applied(GROUP, SERVICE)
      expect(endpoints()).toEqual(['10.9.0.1:8080'])
      expect(entries()[0]?.spec.labels).toMatchObject({ version: 'v2' })
    })

    it('keep what is known of their health', () => {
      applied(WITH_PROBE)
      registrations.report(joined(machine('10.9.0.1')), undefined)
      const sick = joined(machine('10.9.0.2'))
      registrations.report(sick, 'no answer')
      start(saved)
      applied(WITH_PROBE, SERVICE)
      expect(endpoints()).toEqual(['10.9.0.1:8080'])
      expect(entries()[1]?.status).toMatchObject({ conditions: [{ status: 'False', message: 'no answer' }] })
    })

    it('go when they do not come back, and stay when they do', () => {
      joined(machine('10.9.0.1'))
      joined(machine('10.9.0.2'))
      start(saved)
      applied(GROUP, SERVICE)
      clock.advance(RESTORED_GRACE_MS - 1)
      const back = joined(machine('10.9.0.1'))
      clock.advance(1)
      expect(endpoints()).toEqual(['10.9.0.1:8080'])
      expect(saved.map(({ workload }) => workload.address)).toEqual(['10.9.0.1'])
      registrations.leave(back)
      clock.advance(GRACE_MS)
      expect(endpoints()).toEqual([])
      expect(saved).toEqual([])
    })

    it('stay written down when pilot stops and their streams end with it', () => {
      const one = joined(machine('10.9.0.1'))
      registrations.leave(one)
      registrations.close()
      clock.advance(GRACE_MS)
      expect(saved.map(({ workload }) => workload.address)).toEqual(['10.9.0.1'])
    })
  })
})
