import { refOf } from '@seine/api'
import { TypeUrl } from '@seine/envoy'
import { MeshModel, type MeshSnapshot, type ResourceChange } from '@seine/model'
import {
  mixerPlugins,
  randomChanges,
  randomEdgeChanges,
  randomGatewayApiChanges,
  resourcesOf,
  router,
  serviceYaml,
  sidecar,
} from '@seine/testing/unit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ChangedNames, withNames } from './changed-names.ts'
import { TrafficGenerator } from './generator.ts'
import { NAME_TABLE_TYPE } from './name-table.ts'
import { destinationClusterName } from './names.ts'
import type { ProxyConfiguration } from './proxy-configuration.ts'
import { SERVER_LISTENER_PREFIX } from './proxyless/names.ts'
import { clustersOfVirtualHost } from './references.ts'

/** Policy makes the inbound side depend on more of the snapshot; telemetry depends on nothing of it and costs time. */
const PLUGINS = mixerPlugins.filter(({ name }) => name === 'authorization')

const TYPES = [...Object.values(TypeUrl), NAME_TABLE_TYPE]

/** Proxies of both namespaces, of two versions: with virtual hosts one by one, with whole tables, and on demand; of a third only such. */
const PROXIES = [
  sidecar('web-1.a', { metadata: { ISTIO_VERSION: '1.31' }, labels: { app: 'web', version: 'v1' } }),
  sidecar('web-2.a', {
    address: '10.1.0.2',
    labels: { app: 'web', version: 'v2' },
    virtualHostDiscovery: false,
  }),
  sidecar('api-1.b', {
    address: '10.1.0.3',
    labels: { app: 'api' },
    metadata: {
      INSTANCE_IPS: '10.1.0.3,2001:db8::11',
      PROXY_CONFIG: { proxyHeaders: { attemptCount: { disabled: true } }, tracing: { sampling: 1 } },
    },
  }),
  router('gw-1.a', {
    address: '10.1.0.5',
    labels: { 'gateway.networking.k8s.io/gateway-name': 'gw' },
  }),
  ...['a', 'b', 'c'].map(namespace =>
    sidecar(`caller.${namespace}`, { address: '10.1.0.4', metadata: { ON_DEMAND: 'true' } }),
  ),
  ...['a', 'b'].map(namespace =>
    sidecar(`grpc.${namespace}`, {
      address: '10.1.0.6',
      labels: { app: 'web', version: 'v1' },
      metadata: { GENERATOR: 'grpc' },
    }),
  ),
]

/** What a gRPC server asks for. It gets it whether services declare the port or not. */
const SERVER = `${SERVER_LISTENER_PREFIX}0.0.0.0:8080`
/** Names by which gRPC clients call, in full and short. */
const TARGETS = ['web:80', 'web.a:80', 'api.b.svc:80', 'www.example.com:80']

/** What the workloads call: names of services and others, in full and short, an address, and what nobody knows. */
const CALLED = ['web', 'web.a', 'api.a.svc.cluster.local', 'www.example.com', '10.96.0.1', 'nobody.example']

/** The addresses that they connect to: of services, and of nobody. */
const CONNECTED = ['10.96.0.1', '10.96.0.2', '10.96.9.9'].flatMap(address =>
  [80, 5432, 9000].map(port => destinationClusterName(address, port)),
)

type Versions = Record<string, string>

/** Calls everything, as a workload would after a change. @returns what else its proxy gets because of it. */
function call({ demands, names }: ProxyConfiguration): ChangedNames {
  const tables = [...names(TypeUrl.route)]
  const asked = tables.flatMap(table => CALLED.map(host => `${table}/${host}`))
  if (!demands) return new Map()
  return withNames(
    demands.ask(TypeUrl.virtualHost, asked),
    demands.ask(TypeUrl.cluster, CONNECTED) as ReadonlyMap<string, ReadonlySet<string>>,
  )
}

/** Versions of what decides about calls: of a proxy that gets what it demands, what more it has does not matter. */
function decisive(configuration: ProxyConfiguration): Versions {
  const { demands } = configuration
  if (!demands) return versions(configuration)
  const all = versions(configuration)
  const kept = new Set<string>(
    [TypeUrl.cluster, TypeUrl.endpoint].flatMap(type => CONNECTED.map(name => `${type} ${name}`)),
  )
  for (const table of configuration.names(TypeUrl.route)) {
    for (const host of CALLED) {
      const name = demands.resourceName(TypeUrl.virtualHost, `${table}/${host}`)
      kept.add(`${TypeUrl.virtualHost} ${name}`)
      const resource = configuration.get(TypeUrl.virtualHost, name)
      for (const cluster of resource ? clustersOfVirtualHost(resource) : [])
        for (const type of [TypeUrl.cluster, TypeUrl.endpoint]) kept.add(`${type} ${cluster}`)
    }
  }
  const whole = [TypeUrl.listener, TypeUrl.route, NAME_TABLE_TYPE]
  return Object.fromEntries(
    Object.entries(all).filter(([key]) => kept.has(key) || whole.some(type => key.startsWith(`${type} `))),
  )
}

/** Versions of everything that a proxy gets, by type and name. */
function versions(configuration: ProxyConfiguration): Versions {
  const found: Versions = {}
  for (const type of TYPES) {
    const asked = type === TypeUrl.listener ? [SERVER, ...TARGETS] : []
    const listed = [...configuration.names(type)].filter(name => !name.startsWith(SERVER_LISTENER_PREFIX))
    for (const name of [...listed, ...asked.filter(one => configuration.get(type, one))])
      found[`${type} ${name}`] = configuration.get(type, name)?.version ?? 'named, but not there'
  }
  return found
}

function fromScratch(snapshot: MeshSnapshot): Versions[] {
  const generator = new TrafficGenerator(snapshot, PLUGINS)
  return PROXIES.map(proxy => {
    const configuration = generator.configurationOf(proxy)
    call(configuration)
    return decisive(configuration)
  })
}

/** What differs between two states and is not among the names that an update gave as possibly changed. */
function unannounced(
  before: Versions,
  after: Versions,
  announces: ((type: string, name: string) => boolean) | undefined,
): string[] {
  return Object.keys({ ...before, ...after }).filter(key => {
    const [type = '', ...name] = key.split(' ')
    return before[key] !== after[key] && !announces?.(type, name.join(' '))
  })
}

/** More runs than usual: `SEINE_RUNS=2000 npx vitest run …`. */
const RUNS = Number(process.env['SEINE_RUNS'] ?? 30)

describe('an update', () => {
  it('gives what translation from scratch gives, and announces all that changed', () => {
    fc.assert(fc.property(randomChanges(10), follow), { numRuns: RUNS })
  }, 600_000)

  it('does so for objects of the Gateway API', () => {
    fc.assert(fc.property(randomGatewayApiChanges(10), follow), { numRuns: RUNS })
  }, 600_000)

  it('does so for a service that comes, goes and comes again, with a change of nothing between', () => {
    const upserts = resourcesOf(serviceYaml('web', { namespace: 'b' }))
    const comes: ResourceChange = { upserts, deletes: [] }
    const goes: ResourceChange = { upserts: [], deletes: upserts.map(refOf) }
    follow([comes, goes, { upserts: [], deletes: [] }, comes, goes])
  })

  it("does so for Istio's Gateways and what is bound to them", () => {
    fc.assert(fc.property(randomEdgeChanges(10), follow), { numRuns: RUNS })
  }, 600_000)
})

function follow(sequence: readonly ResourceChange[]): void {
  const model = new MeshModel()
  const generator = new TrafficGenerator(model.snapshot, PLUGINS)
  const configurations = PROXIES.map(proxy => generator.configurationOf(proxy))
  let before = configurations.map(versions)
  for (const change of sequence) {
    const { snapshot, changes } = model.apply(change)
    const changed = generator.update(snapshot, changes)
    const announced = configurations.map(configuration => {
      const followed = configuration.demands?.follow(changed) ?? changed
      const states = [followed, call(configuration)]
      return (type: string, name: string) =>
        states.some(hint => hint.get(type) === 'all' || (hint.get(type) as ReadonlySet<string>)?.has(name))
    })
    const after = configurations.map(versions)
    expect(configurations.map(decisive)).toEqual(fromScratch(snapshot))
    for (const [index, state] of after.entries())
      expect(unannounced(before[index] ?? {}, state, announced[index])).toEqual([])
    before = after
  }
}
