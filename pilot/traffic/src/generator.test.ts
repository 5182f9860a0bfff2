import { refOf } from '@seine/api'
import { shortTypeName, TypeUrl } from '@seine/envoy'
import { MeshModel } from '@seine/model'
import { mixerPlugins, objectYaml, podYaml, resourcesOf, serviceYaml, sidecar } from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'
import type { ChangedNames } from './changed-names.ts'
import { TrafficGenerator } from './generator.ts'
import { NAME_TABLE_TYPE } from './name-table.ts'
import type { Proxy } from './proxy.ts'

const NETWORKING = 'networking.istio.io/v1'
const SECURITY = 'security.istio.io/v1'

const web = serviceYaml('web', { clusterIP: '10.96.0.1' })
const api = serviceYaml('api', { clusterIP: '10.96.0.2' })
const database = serviceYaml('db', { clusterIP: '10.96.0.3', ports: [{ name: 'tcp', port: 5432 }] })
const rule = (host: string, spec: object = {}) =>
  objectYaml(NETWORKING, 'DestinationRule', host, { host, ...spec })
const route = (host: string, to: object, name = host) =>
  objectYaml(NETWORKING, 'VirtualService', name, { hosts: [host], http: [{ route: [{ destination: to }] }] })
const imports = (namespace: string, hosts: string[]) =>
  objectYaml(NETWORKING, 'Sidecar', `default.${namespace}`, { egress: [{ hosts }] })
const lua = (app: string, match: object = {}) =>
  objectYaml(NETWORKING, 'EnvoyFilter', 'lua', {
    workloadSelector: { labels: { app } },
    configPatches: [
      {
        applyTo: 'HTTP_FILTER',
        match: { context: 'SIDECAR_OUTBOUND', ...match },
        patch: {
          operation: 'INSERT_FIRST',
          value: {
            name: 'envoy.filters.http.lua',
            typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua' },
          },
        },
      },
    ],
  })
const full = (name: string) => `${name}.default.svc.cluster.local`

const CLIENT_IN_SHOP = sidecar('client.shop', { address: '10.1.0.98' })

/** Proxies that get everything: one that serves `web`, and clients in two namespaces. */
const WHOLE = [
  sidecar('web', { address: '10.1.0.1', labels: { app: 'web' } }),
  sidecar('client', { labels: { app: 'client' } }),
  CLIENT_IN_SHOP,
]

/** A mesh of three services, and proxies that get everything. */
function mesh(...more: string[]) {
  const made = meshOf(WHOLE, more)
  for (const proxy of made.proxies) for (const type of [TypeUrl.cluster, NAME_TABLE_TYPE]) proxy.names(type)
  return made
}

function meshOf(identities: readonly Proxy[], more: readonly string[] = []) {
  const model = new MeshModel()
  const pods = [podYaml('web', '10.1.0.1'), podYaml('api', '10.1.0.2'), podYaml('db', '10.1.0.3')]
  const { snapshot } = model.apply({
    upserts: resourcesOf(web, api, database, ...pods, ...more),
    deletes: [],
  })
  const generator = new TrafficGenerator(snapshot, mixerPlugins)
  const proxies = identities.map(proxy => generator.configurationOf(proxy))
  const update = (upserts: string[], deletes: string[] = []) => {
    const change = {
      upserts: resourcesOf(...upserts),
      deletes: deletes.flatMap(text => resourcesOf(text)).map(refOf),
    }
    const after = model.apply(change)
    const changed = generator.update(after.snapshot, after.changes)
    for (const proxy of proxies) proxy.demands?.follow(changed)
    return shown(changed)
  }
  return {
    generator,
    proxies,
    write: (...texts: string[]) => update(texts),
    remove: (...texts: string[]) => update([], texts),
  }
}

/** Announced names by the short names of their types. */
function shown(changed: ChangedNames): Record<string, string[] | 'all'> {
  return Object.fromEntries(
    [...changed].map(([type, names]) => [
      type === NAME_TABLE_TYPE ? 'NDS' : shortTypeName[type as TypeUrl],
      names === 'all' ? names : [...names].sort(),
    ]),
  )
}

describe('what an update announces', () => {
  it('of a new endpoint: the assignment of each of its service’s clusters', () => {
    const { write, generator } = mesh()
    expect(write(podYaml('web-2', '10.1.0.9', { labels: { app: 'web' }, serviceAccount: 'web' }))).toEqual({
      EDS: [`outbound|80||${full('web')}`],
    })
    expect(generator.lastRefreshed).toEqual([full('web')])
  })

  it('of an endpoint with another identity: the cluster too, which checks identities', () => {
    expect(
      mesh().write(podYaml('web-2', '10.1.0.9', { labels: { app: 'web' }, serviceAccount: 'other' })),
    ).toEqual({
      CDS: [`outbound|80||${full('web')}`],
      EDS: [`outbound|80||${full('web')}`],
    })
  })

  it('of a TCP service’s endpoint: its assignment, and no listener', () => {
    expect(
      mesh().write(podYaml('db-2', '10.1.0.9', { labels: { app: 'db' }, serviceAccount: 'db' })),
    ).toEqual({
      EDS: [`outbound|5432||${full('db')}`],
    })
  })

  it('of a delegate: the virtual host of who delegates to it', () => {
    const http = [{ match: [{ uri: { prefix: '/a' } }], delegate: { name: 'part' } }]
    const delegating = objectYaml(NETWORKING, 'VirtualService', 'web', { hosts: ['web'], http })
    const part = (to: string) =>
      objectYaml(NETWORKING, 'VirtualService', 'part', { http: [{ route: [{ destination: { host: to } }] }] })
    const { write, generator } = mesh(delegating, part('web'))
    expect(write(part('api'))).toEqual({ VHDS: [`80/${full('web')}`], RDS: ['80'] })
    expect(generator.lastRefreshed).toEqual([full('web')])
  })

  it('of where a client is: the endpoints whose order depends on it', () => {
    const place = (zone: string) =>
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Node',
        metadata: {
          name: 'node-1',
          labels: { 'topology.kubernetes.io/region': 'r1', 'topology.kubernetes.io/zone': zone },
        },
        spec: {},
      })
    const client = podYaml('client', '10.1.0.99', { nodeName: 'node-1' })
    const outliers = rule('api', { trafficPolicy: { outlierDetection: {} } })
    const near = podYaml('api', '10.1.0.2', { labels: { app: 'api', 'istio-locality': 'r1.z1' } })
    const far = podYaml('api-2', '10.1.0.22', { labels: { app: 'api', 'istio-locality': 'r1.z2' } })
    const { write, proxies } = mesh(place('z1'), client, outliers, near, far)
    const assignment = `outbound|80||${full('api')}`
    const order = () => proxies[1]?.get(TypeUrl.endpoint, assignment)?.version
    const before = order()
    expect(write(place('z2'))['EDS']).toEqual([assignment])
    expect(order()).not.toBe(before)
    write(place('z1'))
    expect(order()).toBe(before)
  })

  it('of a route: one virtual host, and its table for who takes tables whole', () => {
    const { write, generator } = mesh()
    expect(write(route('web', { host: 'api' }))).toEqual({ VHDS: [`80/${full('web')}`], RDS: ['80'] })
    expect(generator.lastRefreshed).toEqual([full('web')])
  })

  it('of a route written anew with the same meaning: nothing', () => {
    const { write } = mesh(route('web', { host: 'api' }))
    expect(write(route('web', { host: full('api') }))).toEqual({})
  })

  it('of a TCP route: the listener of its service', () => {
    const text = objectYaml(NETWORKING, 'VirtualService', 'db', {
      hosts: ['db'],
      tcp: [{ route: [{ destination: { host: 'api', port: { number: 80 } } }] }],
    })
    expect(mesh().write(text)).toEqual({ LDS: ['10.96.0.3_5432'] })
  })

  it('of a rule: the clusters of its host', () => {
    const { write, generator } = mesh()
    expect(write(rule('web', { trafficPolicy: { loadBalancer: { simple: 'RANDOM' } } }))).toEqual({
      CDS: [`outbound|80||${full('web')}`],
    })
    expect(generator.lastRefreshed).toEqual([full('web')])
  })

  it('of a rule with subsets: the clusters of those, with their endpoints', () => {
    expect(mesh().write(rule('web', { subsets: [{ name: 'v1', labels: { version: 'v1' } }] }))).toEqual({
      CDS: [`outbound|80|v1|${full('web')}`],
      EDS: [`outbound|80|v1|${full('web')}`],
    })
  })

  it('of a rule that hashes: the routes that lead to its host too', () => {
    const hashing = { loadBalancer: { consistentHash: { httpHeaderName: 'x-user' } } }
    expect(mesh(route('web', { host: 'api' })).write(rule('api', { trafficPolicy: hashing }))).toEqual({
      CDS: [`outbound|80||${full('api')}`],
      VHDS: [`80/${full('api')}`, `80/${full('web')}`],
      RDS: ['80'],
    })
  })

  it('of a rule for a TCP service: its listener where the rule is about connections', () => {
    expect(
      mesh().write(rule('db', { trafficPolicy: { connectionPool: { tcp: { idleTimeout: '1m' } } } })),
    ).toEqual({
      // The cluster names the rule as its cause.
      CDS: [`outbound|5432||${full('db')}`],
      LDS: ['10.96.0.3_5432'],
    })
  })

  it('of a new service: what is its own', () => {
    const { write, generator } = mesh()
    expect(write(serviceYaml('new', { clusterIP: '10.96.0.9' }))).toEqual({
      CDS: [`outbound|80||${full('new')}`],
      EDS: [`outbound|80||${full('new')}`],
      VHDS: [`80/${full('new')}`],
      RDS: ['80'],
      NDS: [full('new')],
    })
    expect(generator.lastRefreshed).toEqual([full('new')])
  })

  it('of a new service on a new port: its listener too', () => {
    const text = serviceYaml('new', { clusterIP: '10.96.0.9', ports: [{ name: 'http', port: 8080 }] })
    expect(mesh().write(text)).toMatchObject({ LDS: ['0.0.0.0_8080'], RDS: ['8080'] })
  })

  it('of a service that goes: what was its own', () => {
    expect(mesh().remove(api)).toEqual({
      CDS: [`outbound|80||${full('api')}`],
      EDS: [`outbound|80||${full('api')}`],
      VHDS: [`80/${full('api')}`],
      RDS: ['80'],
      NDS: [full('api')],
    })
  })

  it('of a policy: the listener of the workload that it is for', () => {
    const allow = (app: string) =>
      objectYaml(SECURITY, 'AuthorizationPolicy', 'allow', {
        selector: { matchLabels: { app } },
        rules: [{}],
      })
    expect(mesh().write(allow('web'))).toEqual({ LDS: ['virtualInbound'] })
    expect(mesh().write(allow('nobody'))).toEqual({})
  })

  it('of a policy that turns mutual TLS off: what clients must know too', () => {
    const off = objectYaml(SECURITY, 'PeerAuthentication', 'web', {
      selector: { matchLabels: { app: 'web' } },
      mtls: { mode: 'DISABLE' },
    })
    expect(mesh().write(off)).toEqual({
      CDS: [`outbound|80||${full('web')}`],
      EDS: [`outbound|80||${full('web')}`],
      LDS: ['virtualInbound'],
    })
  })

  it('of a Sidecar: what its clients lose or get, made anew for them alone', () => {
    const { write, remove, generator, proxies } = mesh()
    const text = imports('shop', ['*/web.default.svc.cluster.local'])
    const lost = {
      CDS: [`outbound|5432||${full('db')}`, `outbound|80||${full('api')}`],
      EDS: [`outbound|5432||${full('db')}`, `outbound|80||${full('api')}`],
      LDS: ['10.96.0.3_5432'],
      VHDS: [`80/${full('api')}`],
      RDS: ['80'],
      NDS: [full('api'), full('db')],
    }
    expect(write(text)).toEqual(lost)
    expect(generator.lastScopes.map(({ key }) => key.namespace)).toEqual(['shop'])
    expect(generator.lastRefreshed).toEqual([])
    expect([...(proxies[2]?.names(TypeUrl.virtualHost) ?? [])]).toEqual([`80/${full('web')}`])
    expect([...(proxies[1]?.names(TypeUrl.virtualHost) ?? [])]).toHaveLength(2)
    expect(remove(text)).toEqual(lost)
    expect(generator.lastScopes.map(({ key }) => key.namespace)).toEqual(['shop'])
  })

  it('of a Sidecar that holds for no client: nothing, and nothing is made', () => {
    const { write, generator } = mesh(imports('shop', ['*/*']))
    expect(write(imports('elsewhere', ['./*']))).toEqual({})
    expect(generator.lastScopes).toEqual([])
  })

  it('of a route: the clusters that it leads to, for clients that import no more than the route', () => {
    const { write, generator, proxies } = mesh(imports('shop', ['default/web.default.svc.cluster.local']))
    const cluster = `outbound|80||${full('api')}`
    expect(proxies[2]?.get(TypeUrl.cluster, cluster)).toBeUndefined()
    expect(write(route('web', { host: 'api' }))).toEqual({
      CDS: [cluster],
      EDS: [cluster],
      VHDS: [`80/${full('web')}`],
      RDS: ['80'],
    })
    expect(generator.lastRefreshed).toEqual([full('web')])
    expect(proxies[2]?.get(TypeUrl.cluster, cluster)).toBeDefined()
    expect(proxies[2]?.get(TypeUrl.virtualHost, `80/${full('api')}`)).toBeUndefined()
  })

  it('of an EnvoyFilter: what it changes of the proxies that it is for, and nothing is made anew', () => {
    const { write, remove, generator, proxies } = mesh()
    const [server, client] = proxies
    const listener = () => [server, client].map(proxy => proxy?.get(TypeUrl.listener, '0.0.0.0_80')?.version)
    const before = listener()
    const filter = lua('client')
    expect(write(filter)).toEqual({ LDS: ['0.0.0.0_80'] })
    expect([generator.lastRefreshed, generator.lastScopes]).toEqual([[], []])
    expect(listener()[0]).toBe(before[0])
    expect(listener()[1]).not.toBe(before[1])
    expect(client?.get(TypeUrl.listener, '0.0.0.0_80')?.provenance[0]).toEqual({
      kind: 'EnvoyFilter',
      namespace: 'default',
      name: 'lua',
      path: 'spec.configPatches[0]',
    })
    expect(remove(filter)).toEqual({ LDS: ['0.0.0.0_80'] })
    expect(listener()).toEqual(before)
  })

  it('of an EnvoyFilter that is for no proxy, or finds nothing to patch: nothing', () => {
    expect(mesh().write(lua('nobody'))).toEqual({})
    expect(mesh().write(lua('client', { listener: { portNumber: 9999 } }))).toEqual({})
  })

  it('of a setting of the mesh: everything', () => {
    const settings = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'istio', namespace: 'istio-system' },
      data: { mesh: 'connectTimeout: 1s' },
    }
    const { write, generator } = mesh()
    expect(new Set(Object.values(write(JSON.stringify(settings))))).toEqual(new Set(['all']))
    expect(generator.lastRefreshed).toEqual(['*'])
  })

  it('of labels of a namespace, on which nothing depends: nothing', () => {
    const text = JSON.stringify({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'shop', labels: { a: 'b' } },
    })
    expect(mesh().write(text)).toEqual({})
  })
})

describe('resources', () => {
  it('that an EnvoyFilter patches are one object for all proxies with the same patches', () => {
    const { generator } = mesh(lua('client'))
    const [one, two, other] = [
      sidecar('one', { labels: { app: 'client' } }),
      sidecar('two', { labels: { app: 'client', version: 'v2' } }),
      sidecar('other'),
    ].map(proxy => generator.configurationOf(proxy))
    const cluster = `outbound|80||${full('web')}`
    const of = (proxy: typeof one) =>
      [TypeUrl.cluster, TypeUrl.virtualHost].map(type =>
        proxy?.get(type, type === TypeUrl.cluster ? cluster : `80/${full('web')}`),
      )
    for (const [index, resource] of of(one).entries()) {
      expect(of(two)[index]).toBe(resource)
      expect(of(other)[index]).toBe(resource)
    }
    const same = mesh(
      objectYaml(NETWORKING, 'EnvoyFilter', 'all', {
        configPatches: [
          { applyTo: 'CLUSTER', patch: { operation: 'MERGE', value: { connect_timeout: '9s' } } },
        ],
      }),
    )
    const [a, b] = same.proxies.map(proxy => proxy.get(TypeUrl.cluster, cluster))
    expect(a?.provenance[0]?.kind).toBe('EnvoyFilter')
    expect(a).toBe(b)
  })

  it('are one object for all proxies that get the same', () => {
    const { proxies } = mesh()
    const [server, client, elsewhere] = proxies.map(proxy => ({
      cluster: proxy.get(TypeUrl.cluster, `outbound|80||${full('web')}`),
      endpoints: proxy.get(TypeUrl.endpoint, `outbound|80||${full('web')}`),
      host: proxy.get(TypeUrl.virtualHost, `80/${full('web')}`),
    }))
    expect(client?.cluster).toBe(server?.cluster)
    expect(elsewhere?.cluster).toBe(server?.cluster)
    expect(elsewhere?.endpoints).toBe(server?.endpoints)
    expect(client?.host).toBe(server?.host)
    expect(elsewhere?.host).not.toBe(server?.host)
  })

  it('that an update leaves alone stay the same object', () => {
    const { proxies, write } = mesh()
    const [proxy] = proxies
    const names = [...(proxy?.names(TypeUrl.cluster) ?? [])]
    const before = names.map(name => proxy?.get(TypeUrl.cluster, name))
    write(
      route('web', { host: 'api' }),
      podYaml('web-2', '10.1.0.9', { labels: { app: 'web' }, serviceAccount: 'web' }),
    )
    expect(names.map(name => proxy?.get(TypeUrl.cluster, name))).toEqual(before)
    for (const [index, name] of names.entries()) expect(proxy?.get(TypeUrl.cluster, name)).toBe(before[index])
  })

  it('of a proxy that is forgotten are not kept up to date any more', () => {
    const { generator, proxies, write } = mesh()
    generator.forget(CLIENT_IN_SHOP)
    write(serviceYaml('new', { clusterIP: '10.96.0.9' }))
    const cluster = `outbound|80||${full('new')}`
    expect(proxies[1]?.get(TypeUrl.cluster, cluster)).toBeDefined()
    expect(proxies[2]?.get(TypeUrl.cluster, cluster)).toBeUndefined()
  })
})

// The old streams of a pod may be open yet when it comes back with other labels.
it('two proxies of one node id both follow updates, also when everything is made anew', () => {
  const { generator, proxies, write } = mesh()
  const again = generator.configurationOf(
    sidecar('client.shop', { address: '10.1.0.98', labels: { app: 'other' } }),
  )
  const http = [{ match: [{ sourceLabels: { app: 'other' } }], route: [{ destination: { host: 'api' } }] }]
  write(objectYaml(NETWORKING, 'VirtualService', 'web', { hosts: ['web'], http }))
  write(serviceYaml('new', { clusterIP: '10.96.0.9' }))
  const cluster = `outbound|80||${full('new')}`
  for (const proxy of [proxies[2], again]) {
    expect(proxy?.get(TypeUrl.cluster, cluster)).toBeDefined()
    expect([...(proxy?.names(NAME_TABLE_TYPE) ?? [])]).toContain(full('new'))
  }
})

describe('where all clients get what they ask for', () => {
  const lazy = () => {
    const made = meshOf([sidecar('caller', { metadata: { ON_DEMAND: 'true' } })])
    const [caller] = made.proxies
    if (!caller?.demands) throw new Error('the proxy asks for nothing')
    return { ...made, caller, ask: (name: string) => caller.demands?.ask(TypeUrl.virtualHost, [name]) }
  }
  const cluster = (name: string) => `outbound|80||${full(name)}`

  it('a scope makes what is asked for, and no more', () => {
    const { generator, ask, caller } = lazy()
    const [scope] = generator.lastScopes
    ask('80/web')
    caller.get(TypeUrl.cluster, cluster('web'))
    expect([...(scope?.clusters.made.keys() ?? [])]).toEqual([cluster('web')])
    expect([...(scope?.endpoints.made.keys() ?? [])]).toEqual([cluster('web')])
    expect([...(scope?.virtualHosts.made.keys() ?? [])]).toEqual([`80/${full('web')}`])
    expect(scope?.names.made.size).toBe(0)
  })

  it('a change of what nobody called is not announced, and is there with the first call', () => {
    const { write, ask } = lazy()
    expect(write(route('web', { host: 'api' }))).toEqual({})
    expect(shown(ask('80/web') ?? new Map())).toEqual({
      VHDS: [`80/${full('web')}`],
      CDS: [cluster('api')],
      EDS: [cluster('api')],
    })
  })

  it('a host that was asked for in vain is announced when it comes, and when it comes again', () => {
    const { write, remove, caller } = lazy()
    const fresh = serviceYaml('new', { clusterIP: '10.96.0.9' })
    expect(caller.get(TypeUrl.endpoint, cluster('new'))).toBeUndefined()
    for (let round = 0; round < 2; round++) {
      expect(write(fresh)).toMatchObject({ CDS: [cluster('new')], EDS: [cluster('new')] })
      expect(caller.get(TypeUrl.endpoint, cluster('new'))).toBeDefined()
      expect(remove(fresh)).toMatchObject({ CDS: [cluster('new')], EDS: [cluster('new')] })
      expect(caller.get(TypeUrl.endpoint, cluster('new'))).toBeUndefined()
    }
  })

  // Nobody else has the caller's scope: it is made anew when the Sidecar goes.
  it('what a Sidecar kept from a client is announced, with its cluster, when the Sidecar goes', () => {
    const { write, remove, ask, caller } = lazy()
    const narrow = imports('default', ['./api.default.svc.cluster.local'])
    ask('80/web')
    caller.get(TypeUrl.cluster, cluster('web'))
    write(narrow)
    expect([...caller.names(TypeUrl.virtualHost, '80')]).toContain('80/web')
    expect(caller.get(TypeUrl.cluster, cluster('web'))).toBeUndefined()
    expect(remove(narrow)).toMatchObject({
      VHDS: expect.arrayContaining([`80/${full('web')}`]),
      CDS: expect.arrayContaining([cluster('web')]),
    })
    expect(caller.get(TypeUrl.cluster, cluster('web'))).toBeDefined()
    expect([...caller.names(TypeUrl.virtualHost, '80')]).toContain(`80/${full('web')}`)
  })

  it('a name that was nobody’s is announced when a service takes it', () => {
    const { write, ask, caller } = lazy()
    ask('80/10.96.0.9')
    expect(caller.demands?.resourceName(TypeUrl.virtualHost, '80/10.96.0.9')).toBe('80/10.96.0.9')
    expect(write(serviceYaml('api', { clusterIP: '10.96.0.9' }))).toMatchObject({
      VHDS: [`80/${full('api')}`],
    })
    expect(caller.demands?.resourceName(TypeUrl.virtualHost, '80/10.96.0.9')).toBe(`80/${full('api')}`)
  })

  it('a service of bytes costs no listener: its port’s asks for the cluster of each address', () => {
    const { write, caller } = lazy()
    const listeners = () =>
      [...caller.names(TypeUrl.listener)].map(name => [name, caller.get(TypeUrl.listener, name)?.version])
    const before = listeners()
    expect(before.map(([name]) => name)).toContain('0.0.0.0_5432')
    const more = serviceYaml('db-2', { clusterIP: '10.96.0.9', ports: [{ name: 'tcp', port: 5432 }] })
    const name = 'destination|10.96.0.9:5432'
    caller.demands?.ask(TypeUrl.cluster, [name])
    const unknown = caller.get(TypeUrl.cluster, name)
    expect(unknown).toBeDefined()
    expect(caller.get(TypeUrl.endpoint, name)).toBeUndefined()
    write(more)
    expect(caller.get(TypeUrl.cluster, name)?.version).not.toBe(unknown?.version)
    expect(caller.get(TypeUrl.endpoint, name)).toBeDefined()
    expect(listeners()).toEqual(before)
  })

  it('who asks for too many addresses that no service has gets a listener for each service of bytes, and only who does', () => {
    const replicas = ['10.1.0.98', '10.1.0.99'].map(address =>
      sidecar('caller', { address, metadata: { ON_DEMAND: 'true' } }),
    )
    const { write, proxies } = meshOf(replicas)
    const [patient, caller] = proxies
    if (!patient || !caller) throw new Error('there are two proxies')
    const listeners = (client: typeof caller) => [...client.names(TypeUrl.listener)]
    const asked = Array.from(
      { length: 501 },
      (_, at) => `destination|10.96.${100 + (at >> 8)}.${at & 255}:5432`,
    )
    const changed = caller.demands?.ask(TypeUrl.cluster, asked)
    const own = listeners(caller).filter(name => name.startsWith('10.96.'))
    expect(own.length).toBeGreaterThan(0)
    expect(changed?.get(TypeUrl.listener)).toEqual(new Set(['0.0.0.0_5432', ...own]))
    for (const name of asked) expect(caller.get(TypeUrl.cluster, name)).toBeDefined()
    expect(listeners(patient).filter(name => name.startsWith('10.96.'))).toEqual([])
    write(serviceYaml('db-2', { clusterIP: '10.96.0.9', ports: [{ name: 'tcp', port: 5432 }] }))
    expect(listeners(caller)).toContain('10.96.0.9_5432')
    expect(listeners(patient)).not.toContain('10.96.0.9_5432')
  })
})
