import { describe, expect, it } from 'vitest'
import { type CallOptions, connections, requests, sidecarLines } from '../test/metrics-text.ts'
import type { Column } from './columns.ts'
import { parsePrometheus } from './prometheus-text.ts'
import { TRAFFIC_FAMILIES } from './target-counters.ts'
import { KEEP_MS, TrafficStore } from './traffic-store.ts'

const FAMILIES: ReadonlySet<string> = new Set(TRAFFIC_FAMILIES)
const CALL: CallOptions = { reporter: 'source', from: 'web-v1', to: 'details-v1', service: 'details' }
const OK: Column = { kind: 'response', class: '2xx' }

/** Reads one sidecar in rounds. */
class Rounds {
  readonly store: TrafficStore
  #uptime = 1000

  constructor(store = new TrafficStore()) {
    this.store = store
  }

  /** A round at a second in which each of the given sidecars says these texts. */
  at(
    second: number,
    texts: Readonly<Record<string, string | 'envoy is away'>>,
    uptime = ++this.#uptime,
  ): this {
    this.#uptime = uptime
    for (const [target, text] of Object.entries(texts)) {
      const lines = text === 'envoy is away' ? sidecarLines(text) : `${sidecarLines(uptime)}${text}`
      this.store.take(target, parsePrometheus(lines, FAMILIES), second * 1000)
    }
    this.store.endRound(second * 1000)
    return this
  }

  /** How much of a column there was in the last seconds. */
  sum(column: Column, now: number, seconds: number): number {
    const range = this.store.range(now * 1000, seconds * 1000)
    const number = this.store.columns.numberOf(column)
    return [...this.store.totals(range).values()].reduce((sum, sums) => sum + (sums[number] ?? 0), 0)
  }

  /** A column of each round of the last quarter of an hour, per second. */
  rates(column: Column, now: number): number[] {
    const range = this.store.range(now * 1000, KEEP_MS)
    const weights = new Map([...this.store.totals(range).keys()].map(series => [series, 1]))
    const number = this.store.columns.numberOf(column)
    return this.store.timeline(range, weights).map(({ sums, seconds }) => (sums[number] ?? 0) / seconds)
  }
}

describe('the traffic store', () => {
  it('counts what was added between rounds, by the time that really went by', () => {
    const rounds = new Rounds().at(0, { web: requests(1000, CALL) }).at(5, { web: requests(1010, CALL) })
    rounds.at(13, { web: requests(1042, CALL) })
    expect(rounds.rates(OK, 13)).toEqual([2, 4])
    expect(rounds.store.range(13_000, 60_000)).toEqual({ from: 0, to: 1, seconds: 13 })
  })

  it('leaves out rounds that lie mostly before the window, and covers what it has', () => {
    const rounds = new Rounds().at(0, { web: requests(0, CALL) })
    for (let n = 1; n <= 20; n++) rounds.at(n * 5, { web: requests(n * 10, CALL) })
    expect(rounds.store.range(100_000, 60_000).seconds).toBe(60)
    expect(rounds.sum(OK, 100, 60)).toBe(120)
    expect(rounds.store.range(102_000, 60_000).seconds).toBe(60)
    expect(rounds.store.range(103_000, 60_000).seconds).toBe(55)
    expect(rounds.store.range(1_000_000, 60_000).seconds).toBe(0)
  })

  it('counts a series that appears from zero', () => {
    const rounds = new Rounds().at(0, { web: '' }).at(5, { web: requests(10, CALL) })
    expect(rounds.rates(OK, 5)).toEqual([2])
  })

  it('counts all of a sidecar that started since the first round, and nothing from before it', () => {
    const rounds = new Rounds()
      .at(0, {})
      .at(5, {})
      .at(10, { web: requests(40, CALL) }, 8)
    expect(rounds.rates(OK, 10)).toEqual([4, 4])
    const old = new Rounds()
      .at(0, {})
      .at(5, {})
      .at(10, { web: requests(40, CALL) }, 11)
    expect(old.rates(OK, 10)).toEqual([0, 0])
  })

  it('is not misled by an Envoy that was started again', () => {
    const rounds = new Rounds().at(0, { web: requests(1000, CALL) }).at(5, { web: requests(1010, CALL) })
    // Fewer than before, more than before: both are all that the new one counted.
    rounds.at(10, { web: requests(20, CALL) }, 3).at(15, { web: requests(40, CALL) }, 1)
    expect(rounds.rates(OK, 15)).toEqual([2, 4, 8])
    const bucket = (bound: number): Column => ({ kind: 'bucket', bound })
    expect(rounds.rates(bucket(10), 15)).toEqual([2, 4, 8])
    expect(rounds.rates(bucket(25), 15)).toEqual([0, 0, 0])
  })

  it('is not misled by a counter that falls while its Envoy goes on', () => {
    const rounds = new Rounds().at(0, { web: requests(1000, CALL) }).at(5, { web: requests(15, CALL) })
    expect(rounds.rates(OK, 5)).toEqual([3])
  })

  it('spreads what was counted while a sidecar could not be read over the time of it', () => {
    const other: CallOptions = { ...CALL, from: 'other-v1' }
    const rounds = new Rounds()
      .at(0, { web: requests(0, CALL), other: requests(0, other) })
      .at(5, { web: requests(10, CALL), other: requests(5, other) })
      .at(10, { web: 'envoy is away', other: requests(10, other) })
      .at(20, { other: requests(20, other) })
      .at(25, { web: requests(90, CALL), other: requests(25, other) })
    expect(rounds.rates(OK, 25)).toEqual([3, 5, 5, 5])
    expect(rounds.sum(OK, 25, 900)).toBe(115)
  })

  it('sums up samples that differ in what does not tell calls apart', () => {
    const both = (n: number) =>
      requests(n, { ...CALL, code: 200 }) +
      requests(n, { ...CALL, code: 201 }) +
      requests(n, { ...CALL, code: 500 })
    const rounds = new Rounds().at(0, { web: both(0) }).at(5, { web: both(10) })
    expect(rounds.store.seriesCount).toBe(1)
    expect(rounds.sum(OK, 5, 60)).toBe(20)
    expect(rounds.sum({ kind: 'response', class: '5xx' }, 5, 60)).toBe(10)
  })

  it('adds up sidecars of one workload', () => {
    const rounds = new Rounds().at(0, { 'web-a': requests(0, CALL), 'web-b': requests(50, CALL) })
    rounds.at(5, { 'web-a': requests(10, CALL), 'web-b': requests(60, CALL) })
    expect(rounds.sum(OK, 5, 60)).toBe(20)
  })

  it('knows the TCP connections that are open', () => {
    const rounds = new Rounds()
      .at(0, { web: connections({ opened: 5, closed: 2, sent: 100, received: 10 }, CALL) })
      .at(5, { web: connections({ opened: 9, closed: 3, sent: 400, received: 20 }, CALL) })
    expect([...rounds.store.openConnections().values()]).toEqual([6])
    expect(rounds.sum({ kind: 'opened' }, 5, 60)).toBe(4)
    expect(rounds.sum({ kind: 'sent' }, 5, 60)).toBe(300)
    rounds.store.forget('web')
    expect(rounds.store.openConnections().size).toBe(0)
  })

  it('counts connections that never reached anyone by their flags', () => {
    const refused = { ...CALL, to: 'details-v1', flags: 'UF,URX' }
    const rounds = new Rounds().at(0, { web: '' }).at(5, { web: connections({ ended: 4 }, refused) })
    expect(rounds.sum({ kind: 'unconnected' }, 5, 60)).toBe(4)
    expect(rounds.sum({ kind: 'broken' }, 5, 60)).toBe(4)
    expect(rounds.sum({ kind: 'flag', flag: 'URX' }, 5, 60)).toBe(4)
    expect(rounds.store.openConnections().size).toBe(0)
  })
})

describe('what the store holds', () => {
  const from = (n: number): CallOptions => ({ ...CALL, from: `web${n}-v1` })

  it('forgets series of pods that are gone, once their history is old', () => {
    const rounds = new Rounds().at(0, { gone: requests(0, from(1)), web: requests(0, from(2)) })
    rounds.at(5, { gone: requests(5, from(1)), web: requests(5, from(2)) })
    rounds.store.forget('gone')
    const steps = KEEP_MS / 5000
    for (let n = 2; n <= steps; n++) rounds.at(n * 5, { web: requests(n * 5, from(2)) })
    expect(rounds.store.seriesCount).toBe(2)
    rounds.at((steps + 1) * 5, { web: requests(5000, from(2)) })
    expect(rounds.store.seriesCount).toBe(1)
    expect(rounds.store.coveredMs).toBe(KEEP_MS)
    // A number that was given back serves the next.
    const next = (steps + 2) * 5
    rounds.at(next, { web: requests(5000, from(2)), other: requests(0, from(3)) })
    rounds.at(next + 5, { web: requests(5000, from(2)), other: requests(7, from(3)) })
    expect(rounds.sum(OK, next + 5, 5)).toBe(7)
  })

  it('keeps counters of idle sidecars: they go on where they were', () => {
    const idle = requests(5, from(1)) + requests(500, from(2)) + requests(50, from(3))
    const rounds = new Rounds().at(0, { web: idle })
    for (let n = 1; n <= 200; n++) rounds.at(n * 5, { web: idle })
    rounds.at(1005, { web: requests(6, from(1)) + requests(500, from(2)) + requests(52, from(3)) })
    expect(rounds.sum(OK, 1005, 900)).toBe(3)
  })

  it('refuses more kinds of calls than it may hold, and says so', () => {
    const rounds = new Rounds(new TrafficStore({ series: 3, bytes: 1 << 20 }))
    const many = (n: number) => [1, 2, 3, 4, 5].map(one => requests(n, from(one))).join('')
    rounds.at(0, { web: many(0) }).at(5, { web: many(10) })
    expect(rounds.store.seriesCount).toBe(3)
    expect(rounds.store.refused).toBeGreaterThan(0)
    expect(rounds.sum(OK, 5, 60)).toBe(30)
    rounds.at(10, { web: requests(20, from(1)) })
    expect(rounds.store.refused).toBe(0)
  })

  it('keeps history for less long where memory is short, the newest round always', () => {
    const rounds = new Rounds(new TrafficStore({ series: 100, bytes: 400 }))
    rounds.at(0, { web: requests(0, CALL) })
    for (let n = 1; n <= 50; n++) rounds.at(n * 5, { web: requests(n, CALL) })
    expect(rounds.store.coveredMs).toBeGreaterThanOrEqual(5000)
    expect(rounds.store.coveredMs).toBeLessThan(100_000)
    expect(rounds.rates(OK, 250).every(rate => rate === 0.2)).toBe(true)
    const none = new Rounds(new TrafficStore({ series: 100, bytes: 0 }))
    none
      .at(0, { web: requests(0, CALL) })
      .at(5, { web: requests(5, CALL) })
      .at(10, { web: requests(15, CALL) })
    expect(none.rates(OK, 10)).toEqual([2])
  })

  it('frees the memory of amounts that lie in several rounds once', () => {
    const rounds = new Rounds(new TrafficStore({ series: 100, bytes: 400 }))
    rounds.at(0, { web: requests(0, CALL) })
    // Read in every third round only: each part lies in three rounds.
    for (let n = 1; n <= 300; n++) rounds.at(n * 5, n % 3 === 0 ? { web: requests(n, CALL) } : {})
    // 24 bytes for three rounds of five seconds.
    expect(rounds.store.coveredMs).toBeGreaterThanOrEqual(225_000)
    expect(rounds.store.coveredMs).toBeLessThanOrEqual(255_000)
  })
})
