import { FakeClock, silentLogger } from '@seine/kit'
import { eventually } from '@seine/testing'
import { meshOf, podYaml } from '@seine/testing/unit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Agents } from '../test/agents.ts'
import { requests, sidecarLines } from '../test/metrics-text.ts'
import { Scraper } from './scraper.ts'
import { TrafficStore } from './traffic-store.ts'

const INTERVAL_MS = 5000
const NOW = Date.UTC(2026, 0, 1)

let agents: Agents
let clock: FakeClock
let store: TrafficStore
let rounds: number[]
let scraper: Scraper | undefined

beforeEach(async () => {
  agents = await Agents.start()
  clock = new FakeClock(NOW)
  store = new TrafficStore()
  rounds = []
})
afterEach(async () => {
  scraper?.close()
  await agents.close()
})

function start(mesh: () => ReturnType<typeof meshOf>, intervalMs = INTERVAL_MS): Scraper {
  scraper = new Scraper({
    snapshot: mesh,
    store,
    clock,
    logger: silentLogger,
    intervalMs,
    onRound: at => rounds.push(at),
    port: agents.port,
  })
  scraper.start()
  return scraper
}

const pod = (n: number, more: { ready?: boolean; meshed?: boolean } = {}) =>
  podYaml(`pod${n}`, `127.0.1.${n}`, more)
const calls = (n: number) =>
  `${sidecarLines(100)}${requests(n, { reporter: 'source', from: 'web-v1', to: 'details-v1', service: 'details' })}`
const ended = (count: number) => eventually(() => expect(rounds).toHaveLength(count), { everyMs: 5 })
const hang = (_request: unknown, _response: unknown) => {}

describe('a round', () => {
  it('carries one time for all, whenever each was read', async () => {
    agents.serve('127.0.1.1', calls(10))
    agents.serve('127.0.1.2', (_request, response) => {
      clock.advance(700)
      response.end(calls(10))
    })
    start(() => meshOf(pod(1), pod(2)))
    await ended(1)
    expect(rounds).toEqual([NOW])
    clock.advance(INTERVAL_MS - 700)
    await ended(2)
    expect(rounds).toEqual([NOW, NOW + INTERVAL_MS])
    expect(store.range(NOW + INTERVAL_MS, 60_000).seconds).toBe(5)
  })

  it('is not held up by those who hang: each has a deadline from call to last byte', async () => {
    agents.serve('127.0.1.1', hang)
    // A byte now and then: it is never silent for long, and never done.
    agents.serve('127.0.1.2', (_request, response) => void response.write('# a byte\n'))
    for (const n of [3, 4, 5]) agents.serve(`127.0.1.${n}`, calls(10))
    const running = start(() => meshOf(...[1, 2, 3, 4, 5].map(n => pod(n))))
    await eventually(
      () => {
        for (const n of [3, 4, 5]) expect(running.stateOf(`default/pod${n}`)?.isRead).toBe(true)
        expect(agents.now).toBe(2)
      },
      { everyMs: 5 },
    )
    clock.advance(3000)
    await ended(1)
    expect(running.errors).toEqual([
      { pod: 'default/pod1', message: 'no whole answer within 3000 ms' },
      { pod: 'default/pod2', message: 'no whole answer within 3000 ms' },
    ])
  })

  it('reads who failed after the others, next time', async () => {
    for (const n of [2, 3]) agents.serve(`127.0.1.${n}`, calls(10))
    start(() => meshOf(pod(1), pod(2), pod(3)))
    await ended(1)
    agents.asked.length = 0
    clock.advance(INTERVAL_MS)
    await ended(2)
    expect(agents.asked.at(-1)).toBe('127.0.1.1')
  })

  it('ends when its time is over; whom it did not come to is first in the next', async () => {
    const pods = Array.from({ length: 20 }, (_, n) => n + 1)
    for (const n of pods) agents.serve(`127.0.1.${n}`, n <= 16 ? hang : calls(10))
    const running = start(() => meshOf(...pods.map(n => pod(n))))
    await eventually(() => expect(agents.now).toBe(16), { everyMs: 5 })
    expect(agents.most).toBe(16)
    // The deadline of each is past, but nobody has been told of it yet when the round's own time is over.
    clock.advance(INTERVAL_MS)
    await ended(1)
    const messages = running.errors.map(({ message }) => message)
    expect(messages).toEqual(Array.from({ length: 16 }, () => 'no whole answer within 3000 ms'))
    // The round took all of the time between two: the next one begins after a pause.
    clock.advance(1000)
    await eventually(
      () => {
        for (const n of [17, 18, 19, 20]) expect(running.stateOf(`default/pod${n}`)?.isRead).toBe(true)
      },
      { everyMs: 5 },
    )
  })
})

it('says so when rounds do not come to a sidecar for a minute', async () => {
  const pods = Array.from({ length: 17 }, (_, n) => n + 1)
  for (const n of pods) agents.serve(`127.0.1.${n}`, hang)
  // Rounds end before anyone's deadline is over, and each begins three seconds after the one before.
  const running = start(() => meshOf(...pods.map(n => pod(n))), 2000)
  for (let round = 1; round <= 21; round++) {
    await eventually(() => expect(agents.now).toBe(16), { everyMs: 5 })
    expect(running.errors).toEqual([])
    clock.advance(2000)
    await ended(round)
    clock.advance(1000)
  }
  const messages = new Set(running.errors.map(({ message }) => message))
  expect([...messages]).toEqual([
    'it was not read for a minute: there are more sidecars than can be read in time',
  ])
})

describe('an answer', () => {
  it('that is not whole, too long or no success leaves everything as it was', async () => {
    const lines = calls(10)
    agents.serve('127.0.1.1', lines)
    const running = start(() => meshOf(pod(1)))
    await ended(1)
    const answers: Parameters<Agents['serve']>[1][] = [
      (_request, response) => response.writeHead(503).end(calls(1_000_000)),
      (_request, response) => {
        response.write(calls(1_000_000), () => response.destroy())
      },
      (_request, response) => {
        const piece = Buffer.from('# nothing that anyone wants\n'.repeat(10_000))
        const more = () => {
          while (!response.destroyed && response.write(piece)) {}
        }
        response.on('drain', more)
        more()
      },
    ]
    const messages: (string | undefined)[] = []
    for (const answer of answers) {
      agents.serve('127.0.1.1', answer)
      clock.advance(INTERVAL_MS)
      await ended(rounds.length + 1)
      messages.push(running.stateOf('default/pod1')?.error)
    }
    expect(messages).toEqual([
      'the agent answered 503',
      expect.stringMatching(/aborted|hang up|ECONNRESET/),
      `the answer is longer than ${16 << 20} bytes`,
    ])
    agents.serve('127.0.1.1', calls(12))
    clock.advance(INTERVAL_MS)
    await ended(rounds.length + 1)
    expect(running.errors).toEqual([])
    const totals = [...store.totals(store.range(clock.now(), 60_000)).values()]
    expect(totals.map(sums => sums[store.columns.numberOf({ kind: 'response', class: '2xx' })])).toEqual([2])
  })

  it('tells what a sidecar that is not ready waits for, and which certificate it holds', async () => {
    const certificate = {
      identity: 'spiffe://cluster.local/ns/default/sa/pod2',
      serial: '0B',
      notAfter: NOW / 1000 + 100,
    }
    agents.serve('127.0.1.1', ({ url }, response) => {
      if (url === '/healthz/ready') response.writeHead(503).end('no certificate yet')
      else response.end(sidecarLines('envoy is away', 'no certificate'))
    })
    agents.serve('127.0.1.2', sidecarLines(10, certificate))
    const running = start(() => meshOf(pod(1, { ready: false }), pod(2), pod(3, { meshed: false })))
    await ended(1)
    expect(running.stateOf('default/pod1')).toEqual({
      isRead: true,
      error: undefined,
      waitsFor: 'no certificate yet',
      certificate: undefined,
    })
    expect(running.stateOf('default/pod2')?.certificate).toEqual({
      identity: certificate.identity,
      serial: '0B',
      notAfter: NOW + 100_000,
      state: 'valid',
    })
    expect(running.stateOf('default/pod3')).toBeUndefined()
    expect(agents.asked).not.toContain('127.0.1.3')
  })
})

it('asks for no more of Envoy than it reads', async () => {
  const asked: string[] = []
  agents.serve('127.0.1.1', ({ url = '' }, response) => {
    asked.push(url)
    response.end(calls(10))
  })
  start(() => meshOf(pod(1)))
  await ended(1)
  const filter = new RegExp(new URL(asked[0] ?? '', 'http://agent').searchParams.get('filter') ?? '')
  const wanted = ['requests_total', 'request_duration_milliseconds', 'tcp_sent_bytes_total']
  expect([...wanted.map(name => `istio.${name}`), 'server.uptime'].every(name => filter.test(name))).toBe(
    true,
  )
  const others = [
    'istio.request_bytes',
    'server.uptimes',
    'cluster.istio.requests_total',
    'listener_manager.x',
  ]
  expect(others.filter(name => filter.test(name))).toEqual([])
})

it('forgets pods that are gone', async () => {
  agents.serve('127.0.1.1', calls(10))
  let mesh = meshOf(pod(1), pod(2))
  const running = start(() => mesh)
  await ended(1)
  expect(running.errors).toHaveLength(1)
  mesh = meshOf()
  clock.advance(INTERVAL_MS)
  await ended(2)
  expect(running.errors).toEqual([])
  expect(running.stateOf('default/pod1')).toBeUndefined()
})

it('ends at once when the hub does, whatever hangs', async () => {
  agents.serve('127.0.1.1', hang)
  const running = start(() => meshOf(pod(1)))
  await eventually(() => expect(agents.now).toBe(1), { everyMs: 5 })
  running.close()
  await eventually(() => expect(agents.now).toBe(0), { everyMs: 5 })
  expect(rounds).toEqual([])
  expect(clock.pending).toEqual([])
})
