import { status } from '@grpc/grpc-js'
import { TypeUrl } from '@seine/envoy'
import { err, ok } from '@seine/kit'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { AdsClient, type ClientOptions, delta, type Received } from '../test/ads-client.ts'
import { HandFedSource } from '../test/hand-fed-source.ts'
import { type Served, serve } from '../test/serve.ts'
import type { Authenticate } from './discovery-server.ts'

const { cluster, endpoint, listener, route, virtualHost } = TypeUrl
const SHORT: Readonly<Record<string, string>> = {
  [cluster]: 'CDS',
  [endpoint]: 'EDS',
  [listener]: 'LDS',
  [route]: 'RDS',
  [virtualHost]: 'VHDS',
}

let source: HandFedSource
let served: Served
let clients: AdsClient[]

beforeEach(async () => {
  source = new HandFedSource()
  clients = []
  served = await serve(source)
})

afterEach(() => {
  for (const client of clients) client.close()
  served.close()
})

function connect(options: ClientOptions = {}): AdsClient {
  const client = AdsClient.delta(served.port, options)
  clients.push(client)
  return client
}

/** `CDS reviews -ratings`: the type, what came and what went. */
function summary({ type, resources, removed }: Received): string {
  return [SHORT[type] ?? type, ...Object.keys(resources), ...removed.map(name => `-${name}`)].join(' ')
}

function typesOf(id: string) {
  return served.discovery.statuses().find(one => one.id === id)?.types ?? {}
}

describe('the delta protocol', () => {
  it('sends all of a type to a client that names nothing, with a version for each resource', async () => {
    source.set(cluster, 'reviews', 'one')
    source.set(cluster, 'ratings', 'two')
    const client = connect()
    client.ask(cluster)
    expect(await client.next()).toEqual({
      type: cluster,
      nonce: '1',
      version: '',
      resources: { reviews: 'one', ratings: 'two' },
      versions: { reviews: 'v-one', ratings: 'v-two' },
      removed: [],
    })
  })

  it('sends only what changed, with a nonce of its own', async () => {
    source.set(cluster, 'reviews', 'one')
    source.set(cluster, 'ratings', 'one')
    const client = connect()
    client.ask(cluster)
    const first = await client.next()
    client.ack(first)
    source.set(cluster, 'ratings', 'two')
    // A new encoding of the same is no change.
    source.set(cluster, 'reviews', 'one')
    served.push()
    const second = await client.next()
    expect(second.resources).toEqual({ ratings: 'two' })
    expect(second.nonce).not.toBe(first.nonce)
    client.ack(second)
    expect(await client.soFar()).toEqual([])
  })

  it('sends what a client has subscribed to by name and nothing else, until it unsubscribes', async () => {
    for (const name of ['reviews', 'ratings', 'details']) source.set(endpoint, name, 'one')
    const client = connect()
    client.ask(endpoint, { subscribe: ['reviews', 'ratings'] })
    expect((await client.settle()).map(summary)).toEqual(['EDS reviews ratings'])
    client.ask(endpoint, { unsubscribe: ['ratings'] })
    await client.soFar()
    for (const name of ['reviews', 'ratings', 'details']) source.set(endpoint, name, 'two')
    served.push()
    expect((await client.settle()).map(summary)).toEqual(['EDS reviews'])
    client.ask(endpoint, { subscribe: ['ratings'] })
    expect((await client.settle()).map(summary)).toEqual(['EDS ratings'])
  })

  it('takes a first request without names as one for nothing where a type is asked for by name', async () => {
    source.set(endpoint, 'reviews', 'one')
    source.set(route, '80', 'one')
    const client = connect()
    client.ask(endpoint)
    client.ask(route)
    expect(await client.soFar()).toEqual([])
    client.ask(route, { subscribe: ['*'] })
    expect((await client.settle()).map(summary)).toEqual(['RDS 80'])
  })

  it('stops sending everything when the wildcard is given up', async () => {
    source.set(cluster, 'reviews', 'one')
    const client = connect()
    client.ask(cluster, { subscribe: ['*', 'ratings'] })
    await client.settle()
    client.ask(cluster, { unsubscribe: ['*'] })
    await client.soFar()
    source.set(cluster, 'reviews', 'two')
    source.set(cluster, 'ratings', 'two')
    served.push()
    expect((await client.settle()).map(summary)).toEqual(['CDS ratings'])
  })

  it('says which resources are gone, and that there is none of a name', async () => {
    source.set(cluster, 'reviews', 'one')
    const client = connect()
    client.ask(cluster)
    client.ask(endpoint, { subscribe: ['nothing'] })
    expect((await client.settle()).map(summary)).toEqual(['CDS reviews', 'EDS -nothing'])
    source.remove(cluster, 'reviews')
    served.push()
    expect((await client.settle()).map(summary)).toEqual(['CDS -reviews'])
  })

  it('ignores the answer to a response that is not the newest', async () => {
    source.set(cluster, 'reviews', 'one')
    const client = connect()
    client.ask(cluster)
    const first = await client.next()
    client.ack(first)
    source.set(cluster, 'reviews', 'two')
    served.push()
    await client.next()
    client.nack(first, 'too late to say so')
    source.set(cluster, 'reviews', 'three')
    served.push()
    // The second response is still unanswered, so the third state waits.
    expect(await client.soFar()).toEqual([])
    expect(served.nacks).toEqual([])
  })

  it('sends a client that comes back nothing that it has', async () => {
    source.set(cluster, 'reviews', 'one')
    source.set(cluster, 'ratings', 'one')
    source.set(cluster, 'details', 'one')
    for (const name of ['reviews', 'ratings']) source.set(endpoint, name, 'one')
    source.set(virtualHost, '80/reviews', 'one')
    const client = connect()
    client.ask(cluster, {
      held: { reviews: 'v-one', ratings: 'v-zero', gone: 'v-one' },
    })
    client.ask(endpoint, { subscribe: ['reviews'], held: { reviews: 'v-one' } })
    client.ask(virtualHost, { subscribe: ['80'], held: { '80/reviews': 'v-one', '80/gone': 'v-one' } })
    expect((await client.settle()).map(summary)).toEqual(['CDS ratings details'])
    // What is gone is taken away once the client had time to name all that it holds.
    served.clock.advance(1000)
    expect((await client.settle()).map(summary)).toEqual(['VHDS -80/gone', 'CDS -gone'])
    source.set(endpoint, 'reviews', 'two')
    served.push()
    expect((await client.settle()).map(summary)).toEqual(['EDS reviews'])
  })

  it('sends the hosts of a route table to those who subscribed to it, and again when it is asked for again', async () => {
    source.set(virtualHost, '80/reviews', 'one')
    source.set(virtualHost, '9080/reviews', 'one')
    const client = connect()
    client.ask(virtualHost, { subscribe: ['80'] })
    expect((await client.settle()).map(summary)).toEqual(['VHDS 80/reviews'])
    source.set(virtualHost, '80/ratings', 'one')
    served.push()
    expect((await client.settle()).map(summary)).toEqual(['VHDS 80/ratings'])
    client.ask(virtualHost, { unsubscribe: ['80'] })
    await client.soFar()
    source.set(virtualHost, '80/ratings', 'two')
    served.push()
    expect(await client.soFar()).toEqual([])
    client.ask(virtualHost, { subscribe: ['80'] })
    expect((await client.settle()).map(summary)).toEqual(['VHDS 80/reviews 80/ratings'])
  })

  it('answers a request for a host that is not there with an empty resource, and sends the host when it comes', async () => {
    const client = connect()
    client.ask(virtualHost, { subscribe: ['80/new.example'] })
    const answer = await client.next()
    expect(answer.resources).toEqual({ '80/new.example': '(absent)' })
    client.ack(answer)
    source.set(virtualHost, '80/new.example', 'here')
    served.push()
    expect((await client.next()).resources).toEqual({ '80/new.example': 'here' })
  })

  it('cuts a very large answer into responses that each wait for the one before', async () => {
    for (let at = 0; at < 5; at++) source.set(cluster, `c${at}`, `${at}`.repeat(1 << 15))
    const client = connect()
    client.ask(cluster)
    const first = await client.next()
    expect(summary(first)).toBe('CDS c0 c1')
    expect(await client.soFar()).toEqual([])
    client.ack(first)
    expect((await client.settle()).map(summary)).toEqual(['CDS c2 c3', 'CDS c4'])
  })

  it('serves types that it does not know the order of at once', async () => {
    const table = 'type.googleapis.com/seine.nds.v1.NameTable'
    source.set(cluster, 'reviews', 'one')
    source.set(table, 'nametable', 'names')
    const client = connect()
    client.ask(cluster)
    client.ask(table, { subscribe: ['nametable'] })
    expect((await client.soFar()).map(summary)).toEqual(['CDS reviews', `${table} nametable`])
  })
})

describe('the order of a push', () => {
  it('adds from clusters to routes, and removes the other way once that is acknowledged, step by step', async () => {
    source.set(cluster, 'old', 'one')
    source.set(endpoint, 'old', 'one')
    source.set(listener, 'inbound', 'one')
    source.set(route, '80', 'one')
    source.set(virtualHost, '80/reviews', 'to old')
    const client = connect()
    client.ask(cluster)
    client.ask(endpoint, { subscribe: ['old'] })
    client.ask(listener)
    client.ask(route, { subscribe: ['80'] })
    client.ask(virtualHost, { subscribe: ['80'] })
    expect((await client.settle()).map(summary)).toEqual([
      'CDS old',
      'EDS old',
      'LDS inbound',
      'RDS 80',
      'VHDS 80/reviews',
    ])

    source.remove(cluster, 'old')
    source.remove(endpoint, 'old')
    source.set(cluster, 'new', 'one')
    source.set(endpoint, 'new', 'one')
    source.set(listener, 'inbound', 'two')
    source.set(route, '80', 'two')
    source.set(virtualHost, '80/reviews', 'to new')
    served.push()
    const steps: string[] = []
    const step = async () => {
      const all = await client.soFar()
      steps.push(all.map(summary).join(', ') || '(nothing)')
      return all
    }
    const ackAll = (all: readonly Received[]) => {
      for (const one of all) client.ack(one)
    }
    const clusters = await step()
    await step()
    ackAll(clusters)
    await step()
    client.ask(endpoint, { subscribe: ['new'] })
    for (let turn = 0; turn < 3; turn++) ackAll(await step())
    expect(steps).toEqual([
      'CDS new',
      '(nothing)',
      // Clusters are acknowledged, but the client has not asked for the endpoints of the new one.
      '(nothing)',
      // A client takes in order what it is sent: nothing of this needs the acknowledgement of what goes before it.
      'EDS new, LDS inbound, RDS 80, VHDS 80/reviews',
      'CDS -old',
      'EDS -old',
    ])
  })

  it('waits a second for a client that does not ask for the endpoints of a new cluster, and no longer', async () => {
    const client = connect()
    client.ask(cluster)
    client.ask(endpoint, { subscribe: ['other'] })
    client.ask(listener)
    await client.settle()
    source.set(cluster, 'new', 'one')
    source.set(endpoint, 'new', 'one')
    source.set(listener, 'inbound', 'one')
    served.push()
    expect((await client.settle()).map(summary)).toEqual(['CDS new'])
    served.clock.advance(999)
    expect(await client.soFar()).toEqual([])
    served.clock.advance(1)
    expect((await client.settle()).map(summary)).toEqual(['LDS inbound'])
  })

  it('sends the endpoints of a changed cluster again: Envoy waits for them', async () => {
    source.set(cluster, 'reviews', 'one')
    source.set(endpoint, 'reviews', 'one')
    const client = connect()
    client.ask(cluster)
    client.ask(endpoint, { subscribe: ['reviews'] })
    await client.settle()
    source.set(cluster, 'reviews', 'two')
    served.push()
    expect((await client.settle()).map(summary)).toEqual(['CDS reviews', 'EDS reviews'])
  })

  it('sends the hosts of a table again when the table is new to the client: Envoy does not ask again', async () => {
    source.set(route, '80', 'one')
    source.set(virtualHost, '80/reviews', 'one')
    const client = connect()
    client.ask(route, { subscribe: ['80'] })
    client.ask(virtualHost, { subscribe: ['80'] })
    expect((await client.settle()).map(summary)).toEqual(['RDS 80', 'VHDS 80/reviews'])
    client.ask(route, { unsubscribe: ['80'] })
    client.ask(route, { subscribe: ['80'] })
    expect((await client.settle()).map(summary)).toEqual(['RDS 80', 'VHDS 80/reviews'])
    // A table that only changed keeps its hosts.
    source.set(route, '80', 'two')
    served.push()
    expect((await client.settle()).map(summary)).toEqual(['RDS 80'])
  })
})

describe('rejection', () => {
  it('tries the parts of a rejected response apart, so that the good ones arrive and the bad one is named', async () => {
    for (let at = 0; at < 8; at++) source.set(cluster, `c${at}`, at === 5 ? 'bad' : 'good')
    source.set(listener, 'inbound', 'one')
    const client = connect({ id: 'p' })
    client.ask(cluster)
    client.ask(listener)
    const accepted = new Set<string>()
    for (let batch = await client.soFar(); batch.length > 0; batch = await client.soFar()) {
      for (const one of batch) {
        if (Object.values(one.resources).includes('bad')) client.nack(one, 'c5: no such thing')
        else {
          for (const name of Object.keys(one.resources)) accepted.add(name)
          client.ack(one)
        }
      }
    }
    expect([...accepted].sort()).toEqual(['c0', 'c1', 'c2', 'c3', 'c4', 'c6', 'c7', 'inbound'])
    expect(served.nacks).toEqual(['p CDS c5: c5: no such thing'])
    expect(typesOf('p')['CDS']).toMatchObject({
      state: 'NACKED',
      nack: { at: 1_000_000, message: 'c5: no such thing', resources: ['c5'] },
    })
    expect(typesOf('p')['LDS']).toMatchObject({ state: 'SYNCED' })
    expect(await served.metrics.getSingleMetricAsString('pilot_total_xds_rejects')).toContain(
      'pilot_total_xds_rejects{type="cds"} 1',
    )

    // The rejected version is not sent again, the next one is.
    source.set(cluster, 'c5', 'bad')
    served.push()
    expect(await client.soFar()).toEqual([])
    source.set(cluster, 'c5', 'mended')
    served.push()
    expect((await client.settle()).map(summary)).toEqual(['CDS c5'])
    expect(typesOf('p')['CDS']).toMatchObject({ state: 'SYNCED' })
  })

  it('says so when a client rejects that something is gone', async () => {
    source.set(cluster, 'reviews', 'one')
    const client = connect({ id: 'p' })
    client.ask(cluster)
    await client.settle()
    source.remove(cluster, 'reviews')
    served.push()
    client.nack(await client.next(), 'it is in use')
    await client.soFar()
    expect(served.nacks).toEqual(['p CDS reviews: it is in use'])
  })

  it('forgets a rejection when the resource is gone or given up', async () => {
    source.set(cluster, 'reviews', 'bad')
    source.set(endpoint, 'reviews', 'bad')
    const client = connect({ id: 'p' })
    client.ask(cluster)
    client.nack(await client.next(), 'no')
    client.ask(endpoint, { subscribe: ['reviews'] })
    client.nack(await client.next(), 'no')
    await client.soFar()
    expect([typesOf('p')['CDS']?.state, typesOf('p')['EDS']?.state]).toEqual(['NACKED', 'NACKED'])
    client.ask(endpoint, { unsubscribe: ['reviews'] })
    source.remove(cluster, 'reviews')
    served.push()
    await client.settle()
    expect([typesOf('p')['CDS']?.state, typesOf('p')['EDS']?.state]).toEqual(['SYNCED', 'NOT SENT'])
  })
})

describe('what a client has acknowledged', () => {
  it('is shown by proxy and type', async () => {
    source.set(cluster, 'reviews', 'one')
    source.set(cluster, 'ratings', 'one')
    const client = connect({ id: 'p' })
    client.ask(cluster)
    client.ask(endpoint)
    const first = await client.next()
    await client.soFar()
    expect(served.discovery.statuses()).toEqual([
      {
        id: 'p',
        protocol: 'delta',
        connectedAt: 1_000_000,
        types: { CDS: { resources: 2, state: 'STALE' }, EDS: { resources: 0, state: 'NOT SENT' } },
      },
    ])
    served.clock.advance(5)
    client.ack(first)
    await client.soFar()
    const acked = { resources: 2, state: 'SYNCED', ackedAt: 1_000_005, version: 'push 0' }
    expect(typesOf('p')['CDS']).toEqual(acked)
  })

  it('is told with the version that it was made from, not with the newest', async () => {
    source.set(cluster, 'reviews', 'one')
    const client = connect({ id: 'p' })
    client.ask(cluster)
    client.ack(await client.next())
    source.set(cluster, 'reviews', 'two')
    served.push()
    const second = await client.next()
    await client.soFar()
    expect(typesOf('p')['CDS']).toMatchObject({ state: 'STALE', version: 'push 0' })
    source.set(listener, 'web', 'one')
    served.push()
    client.ack(second)
    await client.soFar()
    expect(typesOf('p')['CDS']).toMatchObject({ state: 'SYNCED', version: 'push 1' })
    source.set(cluster, 'reviews', 'three')
    served.push()
    client.nack(await client.next(), 'no')
    await client.soFar()
    expect(typesOf('p')['CDS']).toMatchObject({ state: 'NACKED', version: 'push 1' })
  })

  it('ends with the connection', async () => {
    const client = connect({ id: 'p' })
    client.ask(cluster)
    await client.soFar()
    expect(served.discovery.statuses().map(({ id }) => id)).toEqual(['p'])
    client.close()
    await vi.waitFor(() => expect(source.closed).toBe(1), { interval: 1, timeout: 20_000 })
    expect(served.discovery.statuses()).toEqual([])
    expect(await served.metrics.getSingleMetricAsString('pilot_xds')).toContain('pilot_xds 0')
  })

  it('is measured from the change on, and only for changes', async () => {
    source.set(cluster, 'reviews', 'one')
    source.changes()
    const client = connect()
    client.ask(cluster)
    client.ask(listener)
    const convergence = async () =>
      (await served.metrics.getSingleMetricAsString('pilot_proxy_convergence_time'))
        .split('\n')
        .filter(line => /_(sum|count) /.test(line))
    await client.settle()
    // A first configuration is no change, however long after the last one it is asked for.
    expect(await convergence()).toEqual([
      'pilot_proxy_convergence_time_sum 0',
      'pilot_proxy_convergence_time_count 0',
    ])
    source.set(cluster, 'reviews', 'two')
    source.set(listener, 'inbound', 'two')
    served.push()
    const clusters = await client.next()
    served.clock.advance(2000)
    client.ack(clusters)
    const listeners = await client.next()
    served.clock.advance(1000)
    client.ack(listeners)
    await client.soFar()
    expect(await convergence()).toEqual([
      'pilot_proxy_convergence_time_sum 3',
      'pilot_proxy_convergence_time_count 1',
    ])
  })
})

describe('slow clients', () => {
  it('get the latest state and nothing in between, and hold up nobody', async () => {
    source.set(cluster, 'reviews', '0')
    const slow = connect({ id: 'slow' })
    const fast = connect({ id: 'fast' })
    slow.ask(cluster)
    fast.ask(cluster)
    const unanswered = await slow.next()
    fast.ack(await fast.next())
    for (let at = 1; at <= 50; at++) {
      source.set(cluster, 'reviews', String(at))
      served.push()
      const one = await fast.next()
      expect(one.resources).toEqual({ reviews: String(at) })
      fast.ack(one)
    }
    expect(await slow.soFar()).toEqual([])
    slow.ack(unanswered)
    expect((await slow.next()).resources).toEqual({ reviews: '50' })
    expect(await slow.soFar()).toEqual([])
  })

  it('that do not read at all are sent a bounded amount, and all of it once they read again', async () => {
    const types = Array.from({ length: 30 }, (_, at) => `type-${at}`)
    for (const type of types) source.set(type, 'big', `0 ${'x'.repeat(100_000)}`)
    source.changes()
    const stuck = connect({ id: 'stuck' })
    const fast = connect({ id: 'fast' })
    stuck.ask('type-0')
    stuck.ack(await stuck.next())
    stuck.setStuck(true)
    for (const type of types.slice(1)) stuck.ask(type)
    fast.ask('type-0')
    fast.ack(await fast.next())
    const sentBytes = async () => {
      const text = await served.metrics.getSingleMetricAsString('pilot_xds_sent_bytes_total')
      return Number(/total (\d+)/.exec(text)?.[1])
    }
    for (let turn = 1; turn <= 6; turn++) {
      for (const type of types) source.set(type, 'big', `${turn} ${'x'.repeat(100_000)}`)
      served.push()
      fast.ack(await fast.next())
    }
    // 7 for the fast client; for the stuck one not even one of each type, as its transport is full.
    expect(await sentBytes()).toBeLessThan((7 + 1 + 25) * 101_000)
    stuck.setStuck(false)
    const latest = new Map<string, string | undefined>()
    for (let batch = await stuck.soFar(); batch.length > 0; batch = await stuck.soFar()) {
      for (const one of batch) {
        latest.set(one.type, one.resources['big']?.split(' ')[0])
        stuck.ack(one)
      }
    }
    expect([...latest].sort()).toEqual(types.map((type): [string, string] => [type, '6']).sort())
  })

  it('get a change that is made during a push with the next one', async () => {
    source.set(cluster, 'reviews', 'one')
    const client = connect()
    client.ask(cluster)
    const first = await client.next()
    source.set(cluster, 'reviews', 'two')
    served.push()
    source.set(cluster, 'ratings', 'one')
    served.push()
    expect(await client.soFar()).toEqual([])
    client.ack(first)
    expect((await client.next()).resources).toEqual({ reviews: 'two', ratings: 'one' })
  })
})

describe('callers that are turned away', () => {
  it.each<[string, (client: AdsClient) => void, status, RegExp]>([
    [
      'that do not name themselves',
      client => client.send(delta({ typeUrl: cluster })),
      status.INVALID_ARGUMENT,
      /the first request on a stream must name its node/,
    ],
    [
      'that do not name a type',
      client => client.ask(''),
      status.INVALID_ARGUMENT,
      /must name the type of its resources/,
    ],
    [
      'that send no request',
      client => client.send(Buffer.from('hello, is this HTTP?')),
      status.INVALID_ARGUMENT,
      /the request can't be read/,
    ],
    [
      'that send a request larger than 16 MiB',
      client => client.ask(endpoint, { subscribe: ['x'.repeat((16 << 20) + 1)] }),
      status.RESOURCE_EXHAUSTED,
      /a request of 167\d+ bytes is larger than 16777216/,
    ],
    [
      'that subscribe to very many names',
      client => client.ask(endpoint, { subscribe: Array.from({ length: 100_001 }, (_, at) => String(at)) }),
      status.RESOURCE_EXHAUSTED,
      /more than 100000 names subscribed/,
    ],
    [
      'that ask for very many types',
      client => {
        for (let at = 0; at <= 32; at++) client.ask(`t${at}`)
      },
      status.RESOURCE_EXHAUSTED,
      /more than 32 types/,
    ],
    ['that the source does not want', client => client.ask(cluster), status.PERMISSION_DENIED, /no such pod/],
  ])('%s are told why', async (name, act, code, details) => {
    if (name.includes('source')) source.refused.set('client', 'no such pod')
    const client = connect()
    act(client)
    expect(await client.ended).toEqual({ code, details: expect.stringMatching(details) })
    await vi.waitFor(() => expect(served.discovery.statuses()).toEqual([]), { interval: 1, timeout: 20_000 })
  })

  it('does not let one of them disturb the others', async () => {
    source.set(cluster, 'reviews', 'one')
    const good = connect({ id: 'good' })
    good.ask(cluster)
    await good.settle()
    const bad = connect({ id: 'bad' })
    bad.send(Buffer.from([255, 255, 255]))
    await bad.ended
    source.set(cluster, 'reviews', 'two')
    served.push()
    expect((await good.next()).resources).toEqual({ reviews: 'two' })
  })
})

describe('authentication', () => {
  const authenticate: Authenticate = async metadata => {
    const [token] = metadata.get('authorization')
    if (token === 'Bearer broken') throw new Error('the key file is gone')
    return token === 'Bearer good' ? ok({ identity: 'spiffe://td/ns/n/sa/s' }) : err('a token is needed')
  }

  beforeEach(async () => {
    served.close()
    served = await serve(source, authenticate)
  })

  it('comes before anything is read, and tells the source who the caller is', async () => {
    source.set(cluster, 'reviews', 'one')
    const client = connect({ token: 'good' })
    client.ask(cluster)
    expect((await client.next()).resources).toEqual({ reviews: 'one' })
    expect(source.opened).toEqual([
      {
        id: 'client',
        cluster: '',
        metadata: {},
        protocol: 'delta',
        peerIdentity: 'spiffe://td/ns/n/sa/s',
      },
    ])
  })

  it.each([
    ['none', undefined, status.UNAUTHENTICATED, 'a token is needed'],
    ['one that can not be checked', 'broken', status.INTERNAL, 'Error: the key file is gone'],
  ])('refuses a caller with %s', async (_name, token, code, details) => {
    const client = connect(token === undefined ? {} : { token })
    client.ask(cluster)
    expect(await client.ended).toEqual({ code, details })
    expect(source.opened).toEqual([])
  })
})
