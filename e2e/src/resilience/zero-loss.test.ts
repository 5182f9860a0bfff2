import { expect, test } from 'vitest'
import { Ask, describeMesh, eventually, type Mesh, type Pod } from '../harness/index.ts'
import { authorizationPolicy, documents, peerAuthentication, resource } from '../harness/resources.ts'
import { isAgent, isAlive, processIn } from './processes.ts'
import { type LoadResult, SteadyLoad } from './steady-load.ts'

const VERSIONS = ['v1', 'v2', 'v3'] as const
/** Failures must show: nothing is tried again. */
const NO_RETRIES = { retries: { attempts: 0 } }
const POOL = { address: '10.96.1.90', url: 'http://pool/' } as const
const GUEST_ADDRESS = '10.96.1.91'
const COUNT = 20

/** Calls of every kind at once, as long as `act` runs. */
async function underLoad(client: Pod, act: () => Promise<void>): Promise<LoadResult> {
  const count = COUNT
  const loads = [
    new SteadyLoad('http', () => client.http('http://echo/', { count, keepAlive: true })),
    new SteadyLoad('http, new connections', () => client.http('http://echo/', { count })),
    new SteadyLoad('grpc', () => client.grpc({ url: 'http://echo:50051', message: 'hello', count })),
    new SteadyLoad('tcp', () => client.tcp('echo', 9000, { count })),
    new SteadyLoad('pool', () => client.http(POOL.url, { count, keepAlive: true })),
  ]
  try {
    await act()
  } finally {
    await Promise.all(loads.map(load => load.stop()))
  }
  const results = await Promise.all(loads.map(load => load.stop()))
  for (const { total } of results) expect(total).toBeGreaterThan(COUNT)
  return {
    total: results.reduce((sum, { total }) => sum + total, 0),
    failures: results.flatMap(({ failures }) => failures),
  }
}

/** Changes of the configuration, one after the other, each acknowledged by every proxy before the next. */
class Changes {
  count = 0
  readonly #mesh: Mesh

  constructor(mesh: Mesh) {
    this.#mesh = mesh
  }

  async make(name: string, text: string): Promise<void> {
    await this.begin(name, text)
    await this.#acknowledged()
  }

  /** Makes a change and does not wait until anybody has it, but until the control plane has read it. */
  async begin(name: string, text: string): Promise<void> {
    this.count += 1
    const marker = await this.#mesh.config.write(name, text)
    await eventually(
      async () => {
        const shown = await this.#mesh.hub.resources()
        expect(shown.some(one => one.name === marker.name)).toBe(true)
      },
      { everyMs: 10 },
    )
  }

  async remove(name: string): Promise<void> {
    this.count += 1
    await this.#mesh.config.remove(name)
    await eventually(
      async () => {
        const shown = await this.#mesh.hub.resources()
        expect(shown.some(({ file }) => this.#mesh.config.isFile(file, name))).toBe(false)
      },
      { everyMs: 10 },
    )
    await this.#acknowledged()
  }

  async #acknowledged(): Promise<void> {
    await eventually(
      async () => {
        const states = (await this.#mesh.hub.proxies()).flatMap(({ types }) => Object.values(types))
        expect(states.filter(({ state }) => state !== 'SYNCED')).toEqual([])
      },
      { everyMs: 10 },
    )
  }
}

/** Routes for echo, with a rule of no consequence that differs in each revision. */
function routes(revision: number, weights: Readonly<Record<string, number>>): string {
  const route = Object.entries(weights).map(([subset, weight]) => ({
    destination: { host: 'echo', subset },
    weight,
  }))
  const http = [
    { match: [{ headers: { 'x-never': { exact: `${revision}` } } }], route, timeout: '1s', ...NO_RETRIES },
    { route, timeout: `${10 + (revision % 5)}s`, ...NO_RETRIES },
  ]
  return resource('networking.istio.io/v1', 'VirtualService', 'shop', 'echo', {
    spec: { hosts: ['echo'], http },
  })
}

function rule(subsets: readonly string[], spec: object = {}): string {
  return resource('networking.istio.io/v1', 'DestinationRule', 'shop', 'echo', {
    spec: {
      host: 'echo',
      ...spec,
      // `v2-7` is another name for version v2: a subset that comes and goes.
      subsets: subsets.map(name => ({ name, labels: { version: name.split('-')[0] } })),
    },
  })
}

/** A service without selector, whose endpoints the test lists. */
function pool(addresses: readonly string[]): string {
  const labels = { 'kubernetes.io/service-name': 'pool' }
  return documents(
    resource('v1', 'Service', 'shop', 'pool', {
      spec: { clusterIP: POOL.address, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
    }),
    resource('networking.istio.io/v1', 'VirtualService', 'shop', 'pool', {
      spec: { hosts: ['pool'], http: [{ route: [{ destination: { host: 'pool' } }], ...NO_RETRIES }] },
    }),
    resource('discovery.k8s.io/v1', 'EndpointSlice', 'shop', 'pool', {
      metadata: { name: 'pool', namespace: 'shop', labels },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 8080 }],
      endpoints: addresses.map(address => ({ addresses: [address] })),
    }),
  )
}

/** Another name for echo, on ports that it has already and on one of its own: clients and servers get listeners for it. */
function guest(): string {
  const ports = [
    { name: 'http', port: 80, targetPort: 8080 },
    { name: 'tcp', port: 9000, targetPort: 9000 },
    { name: 'tcp-own', port: 9777, targetPort: 8082 },
  ]
  return resource('v1', 'Service', 'shop', 'guest', {
    spec: { clusterIP: GUEST_ADDRESS, selector: { app: 'echo' }, ports },
  })
}

const policies = [
  peerAuthentication('shop', 'echo', {
    selector: { matchLabels: { app: 'echo' } },
    mtls: { mode: 'STRICT' },
  }),
  peerAuthentication('shop', 'echo', {
    selector: { matchLabels: { app: 'echo' } },
    mtls: { mode: 'PERMISSIVE' },
  }),
  authorizationPolicy('shop', 'echo', {
    selector: { matchLabels: { app: 'echo' } },
    action: 'ALLOW',
    rules: [{ from: [{ source: { principals: ['cluster.local/ns/shop/sa/client'] } }] }],
  }),
]

describeMesh('no request is lost', mesh => {
  test('while the configuration changes 200 times', { timeout: 180_000 }, async () => {
    const m = mesh()
    const client = m.pod('client')
    const ips = VERSIONS.map(version => m.pod(`echo-${version}`).ip)
    await m.apply('rule', rule(VERSIONS))
    await m.apply('routes', routes(0, { v1: 100 }))
    await m.apply('pool', pool(ips))
    const changes = new Changes(m)
    /** What was acknowledged is in use an instant later: workers take it over one by one. */
    const answers = (url: string, version: string | undefined) =>
      eventually(async () => expect((await client.get(url)).echo?.version).toBe(version), { everyMs: 20 })
    const { total, failures } = await underLoad(client, async () => {
      // Weights: 48.
      for (let n = 1; n <= 16; n++) {
        await changes.make('routes', routes(n, { v1: 100 }))
        await changes.make('routes', routes(n, { v1: 30, v2: 30, v3: 40 }))
        await changes.make('routes', routes(n, { v3: 100 }))
        await answers('http://echo/', 'v3')
      }
      // Subsets: 56. Each is added, routed to, left and removed; half of them the wrong way round.
      for (let n = 1; n <= 7; n++) {
        const name = `v2-${n}`
        await changes.make('rule', rule([...VERSIONS, name]))
        await changes.make('routes', routes(n, { v1: 50, [name]: 50 }))
        await changes.make('routes', routes(n, { v3: 100 }))
        await changes.make('rule', rule(VERSIONS))
        // A route to a subset that is yet to come; a rule that takes away the subset that all requests go to.
        await changes.begin('routes', routes(n, { [name]: 100 }))
        await changes.make('rule', rule([...VERSIONS, name]))
        await answers('http://echo/', 'v2')
        const random = { trafficPolicy: { loadBalancer: { simple: 'RANDOM' } } }
        await changes.begin('rule', rule(VERSIONS, n % 2 === 0 ? random : {}))
        await changes.make('routes', routes(n, { v1: 100 }))
        await answers('http://echo/', 'v1')
      }
      // Endpoints: 48. One fewer, another in place of all, one more.
      for (let n = 0; n < 16; n++) {
        const [a = '', b = '', c = ''] = [0, 1, 2].map(i => ips[(n + i) % 3])
        await changes.make('pool', pool([a, b]))
        await changes.make('pool', pool([c]))
        await answers(POOL.url, VERSIONS[(n + 2) % 3])
        await changes.make('pool', pool([a, c]))
      }
      // Services that come and go: 24.
      for (let n = 0; n < 12; n++) {
        await changes.make('guest', guest())
        expect((await client.get('http://guest/')).status).toBe(200)
        await changes.remove('guest')
      }
      // Policies of the servers: 24.
      for (let n = 0; n < 24; n++) await changes.make('policy', policies[n % 3] ?? '')
    })
    console.log(`${changes.count} changes, ${total} requests, ${failures.length} failed`)
    expect(changes.count).toBe(200)
    expect(failures).toEqual([])
    await m.remove('routes')
  })

  test('when an endpoint is taken out, and then goes away while it has requests', {
    timeout: 90_000,
  }, async () => {
    const m = mesh()
    const [client, leaving] = [m.pod('client'), m.pod('echo-v3')]
    const ips = VERSIONS.map(version => m.pod(`echo-${version}`).ip)
    await m.apply('pool', pool(ips))
    const agent = await processIn(leaving.netns, isAgent)
    const headers = { [Ask.id]: 'long', [Ask.delay]: '3000' }
    const loads = [
      new SteadyLoad('short', () => client.http(POOL.url, { count: COUNT, keepAlive: true })),
      new SteadyLoad('long', () => client.http(POOL.url, { count: COUNT, concurrency: 10, headers })),
    ]
    // A long request has just come: it is under way while the endpoint is taken out and its sidecar ends.
    const before = await leaving.seen('long')
    await eventually(async () => expect(await leaving.seen('long')).toBeGreaterThan(before), { everyMs: 10 })
    await new Changes(m).make('pool', pool(ips.slice(0, 2)))
    process.kill(agent, 'SIGTERM')
    await eventually(async () => expect(await isAlive(agent)).toBe(false), { timeoutMs: 30_000 })
    const failures = (await Promise.all(loads.map(load => load.stop()))).flatMap(result => result.failures)
    expect(failures).toEqual([])
    // The pod gets a new sidecar: those who come after this test find it as it was.
    await eventually(async () => expect(await processIn(leaving.netns, isAgent)).not.toBe(agent))
    await eventually(() => m.settled(), { timeoutMs: 30_000 })
  })
})
