import { type CallKey, callId, callOf, type Labels } from './calls.ts'
import { Columns } from './columns.ts'
import { obtain } from './maps.ts'
import type { Sample } from './prometheus-text.ts'
import { type Delta, TargetCounters } from './target-counters.ts'

/** How long history is kept. */
export const KEEP_MS = 15 * 60_000

/** What the store may hold. */
export interface StoreLimits {
  /** Kinds of calls. */
  readonly series: number
  /** Bytes of history; when they are used up it is kept for less long. */
  readonly bytes: number
}

const LIMITS: StoreLimits = { series: 50_000, bytes: 96 << 20 }

/** A span of time between two rounds of scrapes. */
export interface Span {
  /** Its end, ms since the epoch. */
  readonly at: number
  readonly seconds: number
}

/** Rounds of the store, by their numbers, the last one included. */
export interface Range {
  readonly from: number
  readonly to: number
  /** How much time they cover. */
  readonly seconds: number
}

interface Round extends Span {
  readonly parts: readonly Part[]
}

/** Amounts that happened over several rounds, because a sidecar was not read in between, are in each by its share. */
interface Part {
  readonly block: Block
  readonly share: number
}

/** Amounts by series and column, packed: `columns` and `amounts` of series i lie from `starts[i]` to `starts[i + 1]`. */
interface Block {
  readonly series: Uint32Array
  readonly starts: Uint32Array
  readonly columns: Uint16Array
  readonly amounts: Float32Array
}

/**
 * What sidecars counted over the last quarter of an hour, in rounds: all that is read in one round carries the
 * round's time, and rates divide by the time that really went by. What it holds is bounded: series that are
 * neither counted by a sidecar nor in the history are dropped, and so are the oldest rounds when memory is short.
 */
export class TrafficStore {
  readonly columns = new Columns()
  readonly #limits: StoreLimits
  readonly #targets = new Map<string, TargetCounters>()
  readonly #keys: (CallKey | undefined)[] = []
  readonly #numbers = new Map<string, number>()
  readonly #free: number[] = []
  readonly #rounds: Round[] = []
  /** The number of the oldest round that is kept. */
  #first = 0
  #bytes = 0
  #at: number | undefined
  /** The time of the first round. */
  #watchedSince: number | undefined
  /** Counted when it is first asked for. */
  #open: ReadonlyMap<number, number> | undefined
  #refused = 0
  #refusedNow = 0
  /** Deltas of the round that is under way, by the time of the scrape before. */
  #pending = new Map<number, Delta[]>()

  constructor(limits: StoreLimits = LIMITS) {
    this.#limits = limits
  }

  /** How many kinds of calls are held. */
  get seriesCount(): number {
    return this.#numbers.size
  }

  /** How many times in the last round a kind of call was refused, for there were too many. */
  get refused(): number {
    return this.#refused
  }

  /** How many ms of history there are. */
  get coveredMs(): number {
    const [oldest] = this.#rounds
    return oldest && this.#at !== undefined ? this.#at - oldest.at + oldest.seconds * 1000 : 0
  }

  /** The number of rounds so far; grows by one with each. */
  get version(): number {
    return this.#first + this.#rounds.length
  }

  /** Takes a scrape of one sidecar in, as part of the round that is under way at `at`. */
  take(target: string, samples: readonly Sample[], at: number): void {
    const counters = obtain(this.#targets, target, () => new TargetCounters(this.columns))
    const taken = counters.take(
      samples,
      at,
      (labels, mayAdd) => this.#seriesOf(labels, mayAdd),
      this.#watchedSince,
    )
    if (taken?.since === undefined) return
    const pending = obtain(this.#pending, taken.since, () => [])
    for (const delta of taken.deltas) pending.push(delta)
  }

  /** Ends the round that was read at `at`. */
  endRound(at: number): void {
    const before = this.#at
    this.#at = at
    this.#open = undefined
    this.#watchedSince ??= at
    const pending = this.#pending
    this.#pending = new Map()
    this.#refused = this.#refusedNow
    this.#refusedNow = 0
    if (before === undefined || at <= before) return
    const seconds = (at - before) / 1000
    this.#rounds.push({ at, seconds, parts: [] })
    for (const [since, deltas] of pending) this.#place(pack(deltas), since)
    this.#evict(at)
  }

  /** Drops what is kept of a sidecar that is gone. Its history stays until it is old. */
  forget(target: string): void {
    this.#targets.delete(target)
    this.#open = undefined
  }

  /** The kind of call that a number stands for. */
  keyAt(series: number): CallKey | undefined {
    return this.#keys[series]
  }

  /** The rounds that lie, by more than half, in the last `windowMs`. */
  range(now: number, windowMs: number): Range {
    const middle = ({ at, seconds }: Round) => at - seconds * 500
    const start = this.#rounds.findIndex(round => middle(round) > now - windowMs)
    const chosen = start < 0 ? [] : this.#rounds.slice(start)
    return {
      from: this.version - chosen.length,
      to: this.version - 1,
      seconds: chosen.reduce((sum, round) => sum + round.seconds, 0),
    }
  }

  /** Amounts by column, for each series that did anything in the range. */
  totals({ from, to }: Range): Map<number, Float64Array> {
    const parts = this.#slice(from, to).flatMap(round => round.parts)
    const rows = new Map<number, number>()
    for (const { block } of parts)
      for (const series of block.series) if (!rows.has(series)) rows.set(series, rows.size)
    const { size } = this.columns
    // One array for all: thousands of small ones are more work to free than to fill.
    const all = new Float64Array(rows.size * size)
    for (const { block, share } of parts)
      for (const [index, series] of block.series.entries())
        addTo(all, (rows.get(series) ?? 0) * size, block, index, share)
    return new Map([...rows].map(([series, row]) => [series, all.subarray(row * size, (row + 1) * size)]))
  }

  /** TCP connections that were open in the last round, by series. */
  openConnections(): ReadonlyMap<number, number> {
    this.#open ??= this.#countOpen()
    return this.#open
  }

  /** Amounts by column for each round, of the series that have a weight, times their weight. */
  timeline({ from, to }: Range, weights: ReadonlyMap<number, number>): (Span & { sums: Float64Array })[] {
    return this.#slice(from, to).map(({ at, seconds, parts }) => {
      const sums = new Float64Array(this.columns.size)
      for (const { block, share } of parts)
        for (const [index, series] of block.series.entries()) {
          const weight = weights.get(series)
          if (weight) addTo(sums, 0, block, index, share * weight)
        }
      return { at, seconds, sums }
    })
  }

  #countOpen(): ReadonlyMap<number, number> {
    const open = new Map<number, number>()
    for (const counters of this.#targets.values())
      for (const [series, count] of counters.openConnections())
        open.set(series, (open.get(series) ?? 0) + count)
    return open
  }

  #slice(from: number, to: number): readonly Round[] {
    return this.#rounds.slice(Math.max(0, from - this.#first), Math.max(0, to + 1 - this.#first))
  }

  #seriesOf(labels: Labels, mayAdd: boolean): number | undefined {
    const key = callOf(labels)
    const id = callId(key)
    const known = this.#numbers.get(id)
    if (known !== undefined) return known
    if (!mayAdd || this.#numbers.size >= this.#limits.series) {
      this.#refusedNow++
      return undefined
    }
    const number = this.#free.pop() ?? this.#keys.length
    this.#keys[number] = key
    this.#numbers.set(id, number)
    return number
  }

  /** Puts amounts into the rounds after `since`, the newest included. */
  #place(block: Block, since: number): void {
    if (block.series.length === 0) return
    let start = this.#rounds.length
    let seconds = 0
    for (let round = this.#rounds[start - 1]; round && round.at > since; round = this.#rounds[start - 1]) {
      seconds += round.seconds
      start--
    }
    for (let index = start; index < this.#rounds.length; index++) {
      const round = this.#rounds[index]
      if (round)
        this.#rounds[index] = { ...round, parts: [...round.parts, { block, share: round.seconds / seconds }] }
    }
    this.#bytes += sizeOf(block)
  }

  #evict(now: number): void {
    const before = this.#first
    for (let oldest = this.#rounds[0]; oldest; oldest = this.#rounds[0]) {
      if (oldest.at > now - KEEP_MS && (this.#bytes <= this.#limits.bytes || this.#rounds.length === 1)) break
      this.#rounds.shift()
      this.#first++
      const kept = new Set(this.#rounds[0]?.parts.map(({ block }) => block))
      for (const { block } of oldest.parts) if (!kept.has(block)) this.#bytes -= sizeOf(block)
    }
    const crowded = this.#numbers.size > this.#limits.series / 2
    if (this.#first !== before || crowded) this.#sweep()
  }

  /** Frees the numbers of series that nothing refers to any more. */
  #sweep(): void {
    const used = new Uint8Array(this.#keys.length)
    for (const counters of this.#targets.values()) for (const series of counters.series()) used[series] = 1
    for (const { parts } of this.#rounds)
      for (const { block } of parts) for (const series of block.series) used[series] = 1
    for (const [number, key] of this.#keys.entries()) {
      if (!key || used[number]) continue
      this.#numbers.delete(callId(key))
      this.#keys[number] = undefined
      this.#free.push(number)
    }
  }
}

/** Adds the amounts of a block's series to those that begin at `offset`. */
function addTo(
  sums: Float64Array,
  offset: number,
  { starts, columns, amounts }: Block,
  index: number,
  factor: number,
): void {
  const end = starts[index + 1] ?? 0
  for (let at = starts[index] ?? 0; at < end; at++) {
    const column = offset + (columns[at] ?? 0)
    sums[column] = (sums[column] ?? 0) + (amounts[at] ?? 0) * factor
  }
}

function pack(deltas: readonly Delta[]): Block {
  const bySeries = new Map<number, Map<number, number>>()
  let size = 0
  for (const { series, column, amount } of deltas) {
    const sums = obtain(bySeries, series, () => new Map<number, number>())
    if (!sums.has(column)) size++
    sums.set(column, (sums.get(column) ?? 0) + amount)
  }
  const block = {
    series: new Uint32Array(bySeries.keys()),
    starts: new Uint32Array(bySeries.size + 1),
    columns: new Uint16Array(size),
    amounts: new Float32Array(size),
  }
  let at = 0
  let index = 0
  for (const sums of bySeries.values()) {
    for (const [column, amount] of sums) {
      block.columns[at] = column
      block.amounts[at++] = amount
    }
    block.starts[++index] = at
  }
  return block
}

function sizeOf({ series, starts, columns, amounts }: Block): number {
  return series.byteLength + starts.byteLength + columns.byteLength + amounts.byteLength
}
