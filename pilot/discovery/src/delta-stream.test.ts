import { create, fromBinary } from '@bufbuild/protobuf'
import { TypeUrl } from '@seine/envoy'
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from '@seine/envoy/envoy/service/discovery/v3/discovery'
import { FakeClock } from '@seine/kit'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HandFedSource } from '../test/hand-fed-source.ts'
import { DeltaStream } from './delta-stream.ts'
import { HeldNames } from './holdings.ts'

const { cluster, endpoint, listener, route, virtualHost } = TypeUrl
const TYPES = [cluster, endpoint, listener, route, virtualHost]
const decoder = new TextDecoder()
/** More runs find rarer orders: `SEINE_FUZZ_RUNS=20000 npx vitest run pilot/discovery`. */
const RUNS = Number(process.env['SEINE_FUZZ_RUNS'] ?? 300)

/** What a test is told of a stream that it drives without a network. */
function driven(source: HandFedSource) {
  const clock = new FakeClock()
  const sent: DeltaDiscoveryResponse[] = []
  const nacked: string[] = []
  const failures: string[] = []
  const stream = new DeltaStream(
    source.view,
    {
      send: (_type, response) => sent.push(fromBinary(DeltaDiscoveryResponseSchema, response.toBuffer())),
      acked: () => {},
      nacked: (_type, names) => nacked.push(...names),
      failed: (_code, message) => failures.push(message),
    },
    clock,
    new HeldNames(),
  )
  const ask = (init: Parameters<typeof create<typeof DeltaDiscoveryRequestSchema>>[1]) =>
    stream.receive(create(DeltaDiscoveryRequestSchema, init))
  const ack = ({ typeUrl, nonce }: DeltaDiscoveryResponse) => ask({ typeUrl, responseNonce: nonce })
  const push = () => stream.push(source.changes())
  return { stream, clock, sent, nacked, failures, ask, ack, push }
}

/** Does what Envoy does with what it is sent: keeps it, answers, and asks for the endpoints of new clusters. */
class ModelEnvoy {
  readonly held = new Map<string, Map<string, { version: string; content: string }>>(
    TYPES.map(type => [type, new Map()]),
  )
  readonly nacked = new Set<string>()
  #connection: ReturnType<typeof driven>
  readonly #source: HandFedSource

  constructor(source: HandFedSource) {
    this.#source = source
    this.#connection = this.connect()
  }

  of(type: string): Map<string, { version: string; content: string }> {
    return this.held.get(type) as Map<string, { version: string; content: string }>
  }

  get waiting(): number {
    return this.#connection.sent.length
  }

  /** Lets the time pass for which a server waits for a client that came back. */
  settle(): void {
    this.#connection.clock.advance(1000)
  }

  push(): void {
    this.#connection.push()
  }

  /** Opens a stream and names what it holds from an earlier one. What was under way on that is lost. */
  connect(): ReturnType<typeof driven> {
    const connection = driven(this.#source)
    this.#connection = connection
    for (const typeUrl of TYPES) {
      const names: Readonly<Record<string, readonly string[]>> = {
        [endpoint]: [...this.of(cluster).keys()],
        [route]: ['t'],
        [virtualHost]: ['t'],
      }
      const named = names[typeUrl] ?? []
      if (typeUrl === endpoint && named.length === 0) continue
      const initialResourceVersions = Object.fromEntries(
        [...this.of(typeUrl)].map(([name, { version }]) => [name, version]),
      )
      connection.ask({ typeUrl, resourceNamesSubscribe: [...named], initialResourceVersions })
    }
    return connection
  }

  /** Takes the next response that is under way. */
  take(): void {
    const { sent, ask, nacked } = this.#connection
    const response = sent.shift()
    if (!response) return
    const { typeUrl, resources, removedResources, nonce } = response
    const held = this.of(typeUrl)
    const texts = resources.map(one => decoder.decode(one.resource?.value))
    if (texts.some(content => content.startsWith('bad'))) {
      ask({ typeUrl, responseNonce: nonce, errorDetail: { code: 3, message: 'bad' } })
    } else {
      const fresh = resources.filter(({ name }) => !held.has(name)).map(({ name }) => name)
      resources.forEach(({ name, version }, at) => {
        // Endpoints of clusters that it does not have any more it did not ask for.
        if (typeUrl !== endpoint || this.of(cluster).has(name))
          held.set(name, { version, content: texts[at] ?? '' })
      })
      for (const name of removedResources) held.delete(name)
      ask({ typeUrl, responseNonce: nonce })
      if (typeUrl === cluster) {
        for (const name of removedResources) this.of(endpoint).delete(name)
        ask({
          typeUrl: endpoint,
          resourceNamesSubscribe: fresh,
          resourceNamesUnsubscribe: removedResources,
        })
      }
    }
    for (const name of nacked.splice(0)) this.nacked.add(name)
  }
}

/** One version of a small mesh: which clusters there are, and which of them each host's requests go to. */
interface Mesh {
  readonly clusters: readonly number[]
  readonly hosts: readonly (number | undefined)[]
  readonly stir: number
}

const mesh: fc.Arbitrary<Mesh> = fc.uniqueArray(fc.nat(4), { minLength: 1, maxLength: 5 }).chain(clusters =>
  fc.record({
    clusters: fc.constant(clusters),
    hosts: fc.array(fc.option(fc.constantFrom(...clusters), { nil: undefined }), {
      minLength: 3,
      maxLength: 3,
    }),
    stir: fc.nat(7),
  }),
)

type Step = { do: 'change'; to: Mesh } | { do: 'take' } | { do: 'reconnect' }
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('change' as const), to: mesh }) },
  { weight: 6, arbitrary: fc.constant({ do: 'take' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'reconnect' as const }) },
)

/** Puts a version of the mesh into force; `bad` clusters are such as the client refuses. */
function apply(source: HandFedSource, { clusters, hosts, stir }: Mesh, bad: ReadonlySet<number>): void {
  for (let at = 0; at < 5; at++) {
    const name = `c${at}`
    if (clusters.includes(at)) {
      source.set(cluster, name, `${bad.has(at) ? 'bad' : 'good'} ${stir & 1}`)
      source.set(endpoint, name, `${name} ${stir & 2}`)
    } else {
      source.remove(cluster, name)
      source.remove(endpoint, name)
    }
  }
  hosts.forEach((target, at) => {
    if (target === undefined) source.remove(virtualHost, `t/h${at}`)
    else source.set(virtualHost, `t/h${at}`, `c${target}`)
  })
  source.set(listener, 'l', `${stir & 4}`)
  source.set(route, 't', 'table')
}

function run(
  steps: readonly Step[],
  bad: ReadonlySet<number>,
  check: (envoy: ModelEnvoy) => void,
): ModelEnvoy {
  const source = new HandFedSource()
  apply(source, { clusters: [0], hosts: [0, undefined, undefined], stir: 0 }, new Set())
  source.changes()
  const envoy = new ModelEnvoy(source)
  for (const one of steps) {
    if (one.do === 'take') envoy.take()
    else if (one.do === 'reconnect') envoy.connect()
    else {
      apply(source, one.to, bad)
      envoy.push()
    }
    check(envoy)
  }
  const drain = () => {
    for (let limit = 500; envoy.waiting > 0 && limit > 0; limit--) {
      envoy.take()
      check(envoy)
    }
    expect(envoy.waiting, 'responses without end').toBe(0)
  }
  drain()
  if (steps.some(one => one.do === 'reconnect')) {
    envoy.settle()
    drain()
  }
  for (const type of TYPES) {
    const held = new Map([...envoy.of(type)].map(([name, { version }]) => [name, version]))
    const wanted = new Map<string, string>()
    for (const name of source.view.names(type)) {
      const version = source.view.get(type, name)?.version ?? ''
      if (version.startsWith('v-bad')) expect(envoy.nacked).toContain(name)
      else if (bad.size === 0 || type !== endpoint) wanted.set(name, version)
    }
    expect(Object.fromEntries(held), type).toMatchObject(Object.fromEntries(wanted))
    if (bad.size === 0) expect(held.size, type).toBe(wanted.size)
  }
  return envoy
}

/** A cluster that comes back while its removal is under way, and its endpoints before it. Rare by chance. */
const comesBackWhileItGoes: Step[] = [
  { do: 'change', to: { clusters: [1, 2, 3, 4], hosts: [undefined, undefined, 1], stir: 0 } },
  ...Array.from({ length: 6 }, (): Step => ({ do: 'take' })),
  { do: 'change', to: { clusters: [4, 2, 3, 0], hosts: [undefined, undefined, 0], stir: 0 } },
]

describe('the order of changes', () => {
  it('never leaves a host with a cluster, or a cluster with endpoints, that the client does not have', () => {
    const check = (envoy: ModelEnvoy) => {
      for (const [name, { content: target }] of envoy.of(virtualHost)) {
        expect([name, target, envoy.of(cluster).has(target)]).toEqual([name, target, true])
        expect([name, target, envoy.of(endpoint).has(target)]).toEqual([name, target, true])
      }
    }
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        run(steps, new Set(), check)
      }),
      { numRuns: RUNS, examples: [[comesBackWhileItGoes]] },
    )
  })

  it('brings everything that is good to a client that refuses some of it, and names the rest', () => {
    const bad = fc.uniqueArray(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), bad, (steps, refused) => {
        const envoy = run(steps, new Set(refused), () => {})
        for (const name of envoy.nacked) expect(refused.map(at => `c${at}`)).toContain(name)
      }),
      { numRuns: RUNS },
    )
  })

  it('lets a route go out although endpoints change all the time', () => {
    const source = new HandFedSource()
    apply(source, { clusters: [0], hosts: [0, undefined, undefined], stir: 0 }, new Set())
    source.changes()
    const client = driven(source)
    for (const typeUrl of [cluster, listener]) client.ask({ typeUrl })
    client.ask({ typeUrl: endpoint, resourceNamesSubscribe: ['c0'] })
    client.ask({ typeUrl: virtualHost, resourceNamesSubscribe: ['t'] })
    for (let next = client.sent.shift(); next; next = client.sent.shift()) client.ack(next)

    source.set(endpoint, 'c0', 'moved 0')
    client.push()
    const types: string[] = []
    for (let turn = 1; turn <= 5; turn++) {
      // By the time a change of endpoints is acknowledged there is another.
      source.set(endpoint, 'c0', `moved ${turn}`)
      if (turn === 2) source.set(virtualHost, 't/h1', 'c0')
      client.push()
      for (const response of client.sent.splice(0)) {
        types.push(response.typeUrl)
        client.ack(response)
      }
    }
    expect(types.filter(type => type === endpoint).length).toBe(5)
    expect(types).toContain(virtualHost)
  })

  it('does not wait again for a client that asks for no endpoints', () => {
    const source = new HandFedSource()
    source.set(cluster, 'c0', 'one')
    source.set(endpoint, 'c0', 'here')
    source.set(listener, 'l', 'one')
    const client = driven(source)
    client.ask({ typeUrl: cluster })
    client.ask({ typeUrl: listener })
    client.ack(client.sent.shift() as DeltaDiscoveryResponse)
    expect(client.sent).toEqual([])
    client.clock.advance(1000)
    expect(client.sent.map(({ typeUrl }) => typeUrl)).toEqual([listener])
    client.ack(client.sent.shift() as DeltaDiscoveryResponse)

    source.set(cluster, 'c1', 'two')
    source.set(endpoint, 'c1', 'here')
    source.set(listener, 'l', 'two')
    client.push()
    client.ack(client.sent.shift() as DeltaDiscoveryResponse)
    expect(client.sent.map(({ typeUrl }) => typeUrl)).toEqual([listener])
    expect(client.clock.pending).toEqual([])
  })
})

describe('a full transport', () => {
  it('gets the latest state once it takes more, and nothing before', () => {
    const source = new HandFedSource()
    source.set(cluster, 'c0', 'one')
    const client = driven(source)
    client.stream.setBlocked(true)
    client.ask({ typeUrl: cluster })
    for (const content of ['two', 'three']) {
      source.set(cluster, 'c0', content)
      client.push()
    }
    expect(client.sent).toEqual([])
    client.stream.setBlocked(false)
    expect(client.sent.map(({ resources }) => resources.map(({ version }) => version))).toEqual([['v-three']])
  })
})

describe('an empty mesh', () => {
  it('answers who asks for everything, once: clients wait for their first answer', () => {
    const source = new HandFedSource()
    const client = driven(source)
    client.ask({ typeUrl: cluster, resourceNamesSubscribe: ['*'] })
    expect(client.sent).toMatchObject([{ typeUrl: cluster, resources: [], removedResources: [] }])
    for (const answer of client.sent) client.ack(answer)
    client.push()
    expect(client.sent).toHaveLength(1)
    source.set(cluster, 'c0', 'one')
    client.push()
    expect(client.sent[1]?.resources).toMatchObject([{ name: 'c0' }])
  })

  it('sends nothing to who came back with all there is, and counts it as synced', () => {
    const source = new HandFedSource()
    source.set(cluster, 'c0', 'one')
    const client = driven(source)
    client.ask({ typeUrl: cluster, initialResourceVersions: { c0: 'v-one' } })
    expect(client.sent).toEqual([])
    expect(client.stream.status()['CDS']?.state).toBe('SYNCED')
  })
})

describe('bounds', () => {
  it('counts the names a client holds, not how often it asks', () => {
    const client = driven(new HandFedSource())
    const names = Array.from({ length: 60_000 }, (_, at) => `c${at}`)
    client.ask({ typeUrl: endpoint, resourceNamesSubscribe: names })
    client.ask({ typeUrl: endpoint, resourceNamesSubscribe: names })
    expect(client.failures).toEqual([])
    // Giving up names that it never had earns a client no room.
    client.ask({ typeUrl: endpoint, resourceNamesUnsubscribe: names.map(name => `not-${name}`) })
    client.ask({ typeUrl: route, resourceNamesSubscribe: names })
    expect(client.failures).toEqual(['more than 100000 names subscribed on one stream'])
  })

  it('takes a bounded number of types', () => {
    const client = driven(new HandFedSource())
    for (let at = 0; at < 32; at++) client.ask({ typeUrl: `t${at}` })
    expect(client.failures).toEqual([])
    client.ask({ typeUrl: 't32' })
    expect(client.failures).toEqual(['more than 32 types of resources on one stream'])
  })
})
