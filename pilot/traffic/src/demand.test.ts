import { fromBinary } from '@bufbuild/protobuf'
import { type EncodedResource, TypeUrl } from '@seine/envoy'
import { VirtualHostSchema } from '@seine/envoy/envoy/config/route/v3/route_components'
import { describe, expect, it } from 'vitest'
import { Demand, type Supply } from './demand.ts'
import type { Destination } from './destination-clusters.ts'
import { encode } from './encode.ts'
import { virtualHostName } from './host-names.ts'
import { unknownHost } from './routes/unknown-host.ts'

function host(name: string, ...clusters: string[]): EncodedResource {
  const routes = clusters.map(cluster => ({
    match: { pathSpecifier: { case: 'prefix' as const, value: '/' } },
    action: {
      case: 'route' as const,
      value: { clusterSpecifier: { case: 'cluster' as const, value: cluster } },
    },
  }))
  return encode(VirtualHostSchema, name, { name, domains: [name.slice(name.indexOf('/') + 1)], routes }, [])
}

/** A mesh of `web` and `api` on port 80; `names` are what leads to which host. */
function mesh() {
  const hosts = new Map<string, EncodedResource>()
  const names = new Map<string, string>()
  const add = (own: string, clusters: string[], ...aliases: string[]) => {
    hosts.set(`80/${own}`, host(`80/${own}`, ...clusters))
    for (const name of [own, ...aliases]) names.set(name, own)
  }
  add('web.a.svc', ['to-web'], 'web')
  add('api.a.svc', ['to-api', 'to-web'], 'api')
  const remove = (own: string) => {
    hosts.delete(`80/${own}`)
    for (const [name, host] of names) if (host === own) names.delete(name)
  }
  const destinations = new Map<string, Destination>()
  const supply: Supply = {
    outside: () => 'PassthroughCluster',
    unknownHost: name => unknownHost(name, { cluster: 'PassthroughCluster', causes: [] }),
    tables: [80],
    virtualHost: name => hosts.get(name),
    hosts: () => [...names.values()],
    resourceName: name =>
      virtualHostName(name, (_port, host) => names.get(host) ?? (names.has('*') ? '*' : undefined)),
    destination: name => destinations.get(name) ?? { cluster: 'PassthroughCluster', service: undefined },
    standingClusters: new Set(['inbound']),
    stopAsking: () => [],
  }
  return { supply, add, demand: new Demand(supply), remove, destinations }
}

const lists = (hint: ReadonlyMap<string, ReadonlySet<string> | 'all'>) =>
  Object.fromEntries([...hint].map(([type, names]) => [type, names === 'all' ? names : [...names].sort()]))

describe('what a proxy gets', () => {
  it('is next to nothing before its workload has called anything', () => {
    const { demand } = mesh()
    expect(demand.virtualHosts(undefined)).toEqual(['80/_'])
    expect([...demand.clusters()]).toEqual(['inbound'])
    expect(demand.virtualHost('80/web.a.svc')).toBeUndefined()
  })

  it('is a virtual host with the clusters that its routes lead to once it is asked for, by any of its names', () => {
    const { demand } = mesh()
    expect(demand.resourceName('80/API:80')).toBe('80/api.a.svc')
    expect(lists(demand.ask(TypeUrl.virtualHost, ['80/api:80']))).toEqual({
      [TypeUrl.virtualHost]: ['80/api.a.svc'],
      [TypeUrl.cluster]: ['to-api', 'to-web'],
      [TypeUrl.endpoint]: ['to-api', 'to-web'],
    })
    expect(demand.virtualHosts('80')).toEqual(['80/_', '80/api.a.svc'])
    expect(demand.hasCluster('to-web')).toBe(true)
    expect(lists(demand.ask(TypeUrl.virtualHost, ['80/api']))).toEqual({})
  })

  it('comes back with what the proxy holds from an earlier stream', () => {
    const { demand } = mesh()
    demand.ask(TypeUrl.cluster, ['outbound|80||web.a.svc', 'outbound|80||gone.a.svc', 'inbound|80||'])
    expect(demand.virtualHosts('80')).toEqual(['80/_', '80/web.a.svc'])
  })

  it('follows routes that lead elsewhere', () => {
    const { demand, add } = mesh()
    demand.ask(TypeUrl.virtualHost, ['80/web'])
    add('web.a.svc', ['to-canary'], 'web')
    expect(lists(demand.follow(new Map([[TypeUrl.virtualHost, new Set(['80/web.a.svc'])]])))).toEqual({
      [TypeUrl.virtualHost]: ['80/web.a.svc'],
      [TypeUrl.cluster]: ['to-canary'],
      [TypeUrl.endpoint]: ['to-canary'],
    })
    expect(demand.hasCluster('to-canary')).toBe(true)
    // A cluster that goes ends the requests under way to it, and routes come back.
    expect(demand.hasCluster('to-web')).toBe(true)
  })
})

describe('the cluster for an address', () => {
  const NAME = '10.96.0.7:5432'
  const name = `destination|${NAME}`
  const database = { hostname: 'db.a.svc', name: 'db', namespace: 'a' }

  it('comes when it is asked for, and changes with the cluster that it stands for', () => {
    const { demand, destinations } = mesh()
    destinations.set(name, { cluster: 'to-db', service: database })
    expect(demand.hasCluster(name)).toBe(false)
    demand.ask(TypeUrl.cluster, [name])
    expect([...demand.clusters()]).toEqual(['inbound', name])
    expect(lists(demand.follow(new Map([[TypeUrl.endpoint, new Set(['to-db'])]])))).toEqual({
      [TypeUrl.cluster]: [name],
      [TypeUrl.endpoint]: ['to-db', name].sort(),
    })
    expect(lists(demand.follow(new Map([[TypeUrl.cluster, new Set(['to-web'])]])))).toEqual({
      [TypeUrl.cluster]: ['to-web'],
    })
  })

  it('comes to stand for a service that takes the address, and for nothing when that goes', () => {
    const { demand, destinations } = mesh()
    demand.ask(TypeUrl.cluster, [name])
    const anything = new Map([[TypeUrl.listener, new Set<string>()]])
    expect(demand.follow(anything)).toBe(anything)
    destinations.set(name, { cluster: 'to-db', service: database })
    expect(lists(demand.follow(anything))[TypeUrl.cluster]).toEqual([name])
    destinations.delete(name)
    expect(lists(demand.follow(anything))[TypeUrl.cluster]).toEqual([name])
    expect(demand.hasCluster(name)).toBe(true)
  })

  it('is asked for no more after too many addresses that the mesh does not know: listeners tell, and what was given stays', () => {
    const { demand, supply, destinations } = mesh()
    destinations.set(name, { cluster: 'to-db', service: database })
    const nameAt = (at: number) => `destination|192.0.2.1:${at}`
    let standing: ReadonlySet<string> = new Set(['inbound'])
    let stops = 0
    Object.defineProperty(supply, 'standingClusters', { get: () => standing })
    supply.stopAsking = () => {
      stops += 1
      standing = new Set(['inbound', 'to-db'])
      return ['0.0.0.0_5432', '10.96.0.7_5432']
    }
    const before = demand.ask(TypeUrl.cluster, [name, ...Array.from({ length: 500 }, (_, at) => nameAt(at))])
    expect([before.has(TypeUrl.listener), stops]).toEqual([false, 0])
    expect(lists(demand.ask(TypeUrl.cluster, [nameAt(0), nameAt(500)]))).toEqual({
      [TypeUrl.listener]: ['0.0.0.0_5432', '10.96.0.7_5432'],
      [TypeUrl.cluster]: [nameAt(500), 'to-db'].sort(),
      [TypeUrl.endpoint]: [nameAt(500), 'to-db'].sort(),
    })
    // What was under way when Envoy was told so.
    expect(lists(demand.ask(TypeUrl.cluster, [nameAt(501)]))).toEqual({
      [TypeUrl.cluster]: [nameAt(501)],
      [TypeUrl.endpoint]: [nameAt(501)],
    })
    expect(stops).toBe(1)
    for (const one of [nameAt(0), nameAt(501), name, 'to-db']) expect(demand.hasCluster(one)).toBe(true)
  })
})

describe('a host that stands for many', () => {
  it('brings along those that have a virtual host of their own, now and later', () => {
    const { demand, add } = mesh()
    add('*', ['to-any'])
    demand.ask(TypeUrl.virtualHost, ['80/whatever.example'])
    expect(demand.virtualHosts('80')).toEqual(['80/_', '80/*', '80/web.a.svc', '80/api.a.svc'])
    add('new.a.svc', ['to-new'], 'new')
    demand.follow(new Map([[TypeUrl.virtualHost, new Set(['80/new.a.svc'])]]))
    expect(demand.hasCluster('to-new')).toBe(true)
  })
})

describe('a host that the mesh does not know', () => {
  const domainsOf = (resource: EncodedResource | undefined) =>
    resource && fromBinary(VirtualHostSchema, resource.bytes).domains

  it('gets a virtual host of its own', () => {
    const { demand } = mesh()
    demand.ask(TypeUrl.virtualHost, ['80/Elsewhere.example:80', '80/web:8080'])
    expect(demand.virtualHosts('80')).toEqual(['80/_', '80/elsewhere.example', '80/web:8080'])
    expect(domainsOf(demand.virtualHost('80/elsewhere.example'))).toEqual([
      'elsewhere.example',
      'elsewhere.example:80',
    ])
    expect(domainsOf(demand.virtualHost('80/web:8080'))).toEqual(['web:8080'])
  })

  it('gives way when a service takes its name', () => {
    const { demand, add } = mesh()
    demand.ask(TypeUrl.virtualHost, ['80/new'])
    add('new.a.svc', ['to-new'], 'new')
    const changed = demand.follow(new Map([[TypeUrl.virtualHost, new Set(['80/new.a.svc'])]]))
    expect(lists(changed)).toEqual({
      [TypeUrl.virtualHost]: ['80/new', '80/new.a.svc'],
      [TypeUrl.cluster]: ['to-new'],
      [TypeUrl.endpoint]: ['to-new'],
    })
    expect(demand.virtualHost('80/new')).toBeUndefined()
    expect(demand.virtualHosts('80')).toEqual(['80/_', '80/new.a.svc'])
  })

  it('may have been known before', () => {
    const { demand, add, remove } = mesh()
    demand.ask(TypeUrl.virtualHost, ['80/web'])
    remove('web.a.svc')
    expect(lists(demand.follow(new Map([[TypeUrl.virtualHost, new Set(['80/web.a.svc'])]])))).toEqual({
      [TypeUrl.virtualHost]: ['80/web', '80/web.a.svc'],
    })
    expect(demand.virtualHost('80/web.a.svc')).toBeUndefined()
    // By the name that it was asked for: Envoy does not ask again.
    expect(domainsOf(demand.virtualHost('80/web'))).toContain('web')
    add('web.a.svc', ['to-web'], 'web')
    demand.follow(new Map([[TypeUrl.virtualHost, new Set(['80/web.a.svc'])]]))
    expect(demand.virtualHosts('80')).toEqual(['80/_', '80/web.a.svc'])
    expect(demand.virtualHost('80/web')).toBeUndefined()
  })

  it('has its table tell of all of them when there are many, and Envoy asks no more', () => {
    const { demand, add, remove } = mesh()
    const name = (at: number) => `80/host-${at}.example`
    for (let at = 0; at < 500; at++) demand.ask(TypeUrl.virtualHost, [name(at)])
    expect(demand.virtualHost('80/*')).toBeUndefined()
    expect(demand.ask(TypeUrl.virtualHost, [name(0)]).size).toBe(0)
    const everything = {
      [TypeUrl.virtualHost]: ['80/*', name(500), '80/web.a.svc', '80/api.a.svc'].sort(),
      [TypeUrl.cluster]: ['to-api', 'to-web'],
      [TypeUrl.endpoint]: ['to-api', 'to-web'],
    }
    expect(lists(demand.ask(TypeUrl.virtualHost, [name(500)]))).toEqual(everything)
    expect(domainsOf(demand.virtualHost('80/*'))).toEqual(['*'])
    for (const at of [0, 1, 500]) expect(demand.virtualHost(name(at))).toBeDefined()
    // What comes is told at once.
    add('new.a.svc', ['to-new'], 'new')
    expect(lists(demand.follow(new Map([[TypeUrl.virtualHost, new Set(['80/new.a.svc'])]])))).toEqual({
      [TypeUrl.virtualHost]: ['80/new.a.svc'],
      [TypeUrl.cluster]: ['to-new'],
      [TypeUrl.endpoint]: ['to-new'],
    })
    remove('new.a.svc')
    demand.follow(new Map([[TypeUrl.virtualHost, new Set(['80/new.a.svc'])]]))
    expect(demand.virtualHosts('80')).not.toContain('80/new.a.svc')
    // A stream that comes again has it, and all that goes with it.
    const again = mesh().demand
    again.ask(TypeUrl.virtualHost, ['80/*'])
    expect(again.virtualHosts('80').sort()).toEqual(['80/*', '80/_', '80/api.a.svc', '80/web.a.svc'])
  })

  it('gives way to a host of the mesh that stands for all, and comes back after it', () => {
    const { demand, add, remove } = mesh()
    demand.ask(TypeUrl.virtualHost, ['80/*'])
    add('*', ['to-any'])
    const hint = new Map([[TypeUrl.virtualHost, new Set(['80/*'])]])
    expect(lists(demand.follow(hint))[TypeUrl.cluster]).toEqual(['to-any'])
    expect(demand.virtualHosts('80').filter(name => name === '80/*')).toHaveLength(1)
    remove('*')
    expect(lists(demand.follow(hint))[TypeUrl.virtualHost]).toContain('80/*')
    expect(domainsOf(demand.virtualHost('80/*'))).toEqual(['*'])
  })
})
