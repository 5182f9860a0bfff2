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

  it('makes room for others where the mesh knows none of their addresses', () => {
    const { demand, destinations } = mesh()
    destinations.set(name, { cluster: 'to-db', service: database })
    const nameAt = (at: number) => `destination|192.0.2.1:${at}`
    demand.ask(TypeUrl.cluster, [name, ...Array.from({ length: 500 }, (_, at) => nameAt(at))])
    demand.ask(TypeUrl.cluster, [nameAt(0)])
    expect(lists(demand.ask(TypeUrl.cluster, [nameAt(500)]))[TypeUrl.cluster]).toEqual([
      nameAt(1),
      nameAt(500),
    ])
    expect([nameAt(0), nameAt(1), nameAt(500), name].map(one => demand.hasCluster(one))).toEqual([
      true,
      false,
      true,
      true,
    ])
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

  it('makes room for the next when there are many, the longest unused first', () => {
    const { demand } = mesh()
    const name = (at: number) => `80/host-${at}.example`
    for (let at = 0; at < 500; at++) demand.ask(TypeUrl.virtualHost, [name(at)])
    demand.ask(TypeUrl.virtualHost, [name(0)])
    expect(lists(demand.ask(TypeUrl.virtualHost, [name(500)]))).toEqual({
      [TypeUrl.virtualHost]: [name(1), name(500)].sort(),
    })
    expect(demand.virtualHost(name(0))).toBeDefined()
    expect(demand.virtualHost(name(1))).toBeUndefined()
  })
})
