import { TypeUrl } from '@seine/envoy'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { AdsClient, type ClientOptions, type Received } from '../test/ads-client.ts'
import { HandFedSource } from '../test/hand-fed-source.ts'
import { type Served, serve } from '../test/serve.ts'

const { cluster, endpoint, listener, route } = TypeUrl
const SHORT: Readonly<Record<string, string>> = {
  [cluster]: 'CDS',
  [endpoint]: 'EDS',
  [listener]: 'LDS',
  [route]: 'RDS',
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
  const client = AdsClient.stateOfTheWorld(served.port, options)
  clients.push(client)
  return client
}

/** `CDS one two`: the type and the contents, as the protocol names no resources. */
function summary({ type, resources }: Received): string {
  return [SHORT[type], ...Object.keys(resources)].join(' ')
}

describe('the state-of-the-world protocol', () => {
  it('sends all of a type each time any of it changes, with a version for the whole', async () => {
    source.set(cluster, 'reviews', 'reviews 1')
    source.set(cluster, 'ratings', 'ratings 1')
    const client = connect({ id: 'p' })
    client.ask(cluster)
    const first = await client.next()
    expect(summary(first)).toBe('CDS reviews 1 ratings 1')
    client.ack(first)
    source.set(cluster, 'ratings', 'ratings 2')
    served.push()
    const second = await client.next()
    expect(summary(second)).toBe('CDS reviews 1 ratings 2')
    expect(second.version).not.toBe(first.version)
    client.ack(second)
    source.remove(cluster, 'reviews')
    served.push()
    expect((await client.settle()).map(summary)).toEqual(['CDS ratings 2'])
    expect(served.discovery.statuses()[0]).toMatchObject({
      protocol: 'state-of-the-world',
      types: { CDS: { resources: 1, state: 'SYNCED', ackedAt: 1_000_000 } },
    })
  })

  it('sends nothing when nothing that the client gets is different', async () => {
    source.set(cluster, 'reviews', 'reviews 1')
    source.set(endpoint, 'reviews', 'reviews 1')
    source.set(endpoint, 'ratings', 'ratings 1')
    const client = connect()
    client.ask(cluster)
    client.ask(endpoint, { subscribe: ['reviews'] })
    await client.settle({ [endpoint]: ['reviews'] })
    source.set(cluster, 'reviews', 'reviews 1')
    source.set(endpoint, 'ratings', 'ratings 2')
    served.push()
    expect(await client.soFar()).toEqual([])
  })

  it('answers a client that asks for everything even when there is nothing', async () => {
    const client = connect()
    client.ask(cluster)
    expect(summary(await client.next())).toBe('CDS')
  })

  it('sends endpoints by name, and again when the names change', async () => {
    for (const name of ['reviews', 'ratings', 'details']) source.set(endpoint, name, name)
    const client = connect()
    client.ask(endpoint, { subscribe: ['reviews'] })
    const first = await client.next()
    expect(summary(first)).toBe('EDS reviews')
    client.ack(first, ['reviews', 'ratings'])
    const second = await client.next()
    expect(summary(second)).toBe('EDS reviews ratings')
    client.ack(second, ['reviews', 'ratings'])
    expect(await client.soFar()).toEqual([])
  })

  it('says nothing of a name that is not there until it is', async () => {
    const client = connect()
    client.ask(endpoint, { subscribe: ['reviews'] })
    expect(await client.soFar()).toEqual([])
    source.set(endpoint, 'reviews', 'here')
    served.push()
    expect(summary(await client.next())).toBe('EDS here')
  })

  it.each([
    cluster,
    listener,
  ])('leaves %s with who names it when it is gone, until it is not named', async type => {
    source.set(type, 'reviews', 'reviews')
    source.set(type, 'ratings', 'ratings 1')
    const client = connect()
    client.ask(type, { subscribe: ['reviews', 'ratings'] })
    await client.settle({ [type]: ['reviews', 'ratings'] })
    source.remove(type, 'reviews')
    served.push()
    expect(await client.soFar()).toEqual([])
    source.set(type, 'ratings', 'ratings 2')
    served.push()
    const both = await client.next()
    expect(summary(both)).toBe(`${SHORT[type]} ratings 2 reviews`)
    client.ack(both, ['ratings'])
    expect((await client.settle({ [type]: ['ratings'] })).map(summary)).toEqual([`${SHORT[type]} ratings 2`])
  })

  it('says nothing of endpoints that are gone: a response need not hold them all', async () => {
    source.set(endpoint, 'reviews', 'here')
    const client = connect()
    client.ask(endpoint, { subscribe: ['reviews'] })
    await client.settle({ [endpoint]: ['reviews'] })
    source.remove(endpoint, 'reviews')
    served.push()
    expect(await client.soFar()).toEqual([])
  })

  it('sends again what a client has dropped and asks for again, though nothing changed', async () => {
    source.set(cluster, 'reviews', '1')
    source.set(listener, 'reviews', 'here')
    const client = connect()
    client.ask(cluster, { subscribe: ['reviews'] })
    client.ack(await client.next(), ['reviews'])
    client.ask(listener, { subscribe: ['reviews'] })
    const here = await client.next()
    client.ack(here, ['reviews'])
    source.set(cluster, 'reviews', '2')
    served.push()
    const clusters = await client.next()
    // Listeners wait for the acknowledgement of clusters: both requests are there before any answer.
    client.ask(listener, { nonce: here.nonce })
    client.ask(listener, { nonce: here.nonce, subscribe: ['reviews'] })
    expect(await client.soFar()).toEqual([])
    client.ack(clusters, ['reviews'])
    expect(summary(await client.next())).toBe('LDS here')
  })

  it('takes no names as none, once there were some', async () => {
    source.set(cluster, 'reviews', 'reviews')
    source.set(cluster, 'ratings', 'ratings')
    const client = connect()
    client.ask(cluster, { subscribe: ['reviews'] })
    const first = await client.next()
    expect(summary(first)).toBe('CDS reviews')
    client.ack(first, [])
    source.set(cluster, 'reviews', 'reviews 2')
    served.push()
    expect(await client.soFar()).toEqual([])
    client.ask(cluster, { nonce: first.nonce, subscribe: ['*'] })
    expect(summary(await client.next())).toBe('CDS reviews 2 ratings')
  })

  it('ignores the answer to a response that is not the newest', async () => {
    source.set(cluster, 'reviews', '1')
    const client = connect()
    client.ask(cluster)
    const first = await client.next()
    client.ack(first)
    source.set(cluster, 'reviews', '2')
    served.push()
    await client.next()
    client.nack(first, 'too late to say so')
    source.set(cluster, 'reviews', '3')
    served.push()
    expect(await client.soFar()).toEqual([])
    expect(served.nacks).toEqual([])
  })

  it('gives a client that waited the latest state and nothing in between', async () => {
    source.set(cluster, 'reviews', '0')
    const client = connect()
    client.ask(cluster)
    const first = await client.next()
    for (let at = 1; at <= 20; at++) {
      source.set(cluster, 'reviews', String(at))
      served.push()
    }
    expect(await client.soFar()).toEqual([])
    client.ack(first)
    expect((await client.settle()).map(summary)).toEqual(['CDS 20'])
  })

  it('records a rejection until a response is accepted', async () => {
    source.set(listener, 'inbound', 'bad')
    const client = connect({ id: 'p' })
    client.ask(listener)
    client.nack(await client.next(), 'no such filter')
    await client.soFar()
    expect(served.nacks).toEqual(['p LDS inbound: no such filter'])
    const state = () => served.discovery.statuses()[0]?.types['LDS']
    expect(state()).toEqual({
      resources: 1,
      state: 'NACKED',
      nack: { at: 1_000_000, message: 'no such filter', resources: ['inbound'] },
    })
    source.set(listener, 'inbound', 'good')
    served.push()
    await client.settle()
    expect(state()).toMatchObject({ state: 'SYNCED' })
  })

  it('takes a bounded number of names', async () => {
    const client = connect()
    client.ask(endpoint, { subscribe: Array.from({ length: 60_000 }, (_, at) => String(at)) })
    client.ask(route, { subscribe: Array.from({ length: 60_000 }, (_, at) => String(at)) })
    expect(await client.ended).toMatchObject({ details: 'more than 100000 names subscribed on one stream' })
  })
})

describe('the order of a push', () => {
  it('keeps a cluster that is gone until listeners and routes are replaced', async () => {
    source.set(cluster, 'old', 'old')
    source.set(endpoint, 'old', 'old')
    source.set(listener, 'outbound', 'outbound')
    source.set(route, '80', 'to old')
    const client = connect()
    const names = { [endpoint]: ['old', 'new'], [route]: ['80'] }
    client.ask(cluster)
    client.ask(endpoint, { subscribe: ['old', 'new'] })
    client.ask(listener)
    client.ask(route, { subscribe: ['80'] })
    expect((await client.settle(names)).map(summary)).toEqual([
      'CDS old',
      'EDS old',
      'LDS outbound',
      'RDS to old',
    ])
    source.remove(cluster, 'old')
    source.set(cluster, 'new', 'new')
    source.set(endpoint, 'new', 'new')
    source.set(route, '80', 'to new')
    served.push()
    const [clusters, endpoints, ...rest] = await client.soFar()
    expect([clusters, endpoints].map(one => one && summary(one))).toEqual(['CDS new old', 'EDS old new'])
    expect(rest).toEqual([])
    for (const one of [clusters, endpoints]) if (one) client.ack(one, names[one.type as typeof endpoint])
    expect((await client.settle(names)).map(summary)).toEqual(['RDS to new', 'CDS new'])
  })

  it('takes a cluster away at once when neither listeners nor routes change', async () => {
    source.set(cluster, 'old', 'old')
    source.set(cluster, 'other', 'other')
    source.set(listener, 'outbound', 'outbound')
    const client = connect()
    client.ask(cluster)
    client.ask(listener)
    await client.settle()
    source.remove(cluster, 'old')
    source.set(listener, 'outbound', 'outbound')
    served.push()
    expect((await client.settle()).map(summary)).toEqual(['CDS other'])
  })
})
