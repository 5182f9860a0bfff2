import type { Clock } from './clock.ts'

interface Timer {
  readonly at: number
  readonly run: () => void
}

/** A clock that a test moves by hand: nothing happens until {@link FakeClock.advance} is called. */
export class FakeClock implements Clock {
  #now: number
  readonly #timers = new Set<Timer>()

  /** `start` is in ms since the epoch. */
  constructor(start = 0) {
    this.#now = start
  }

  now(): number {
    return this.#now
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + ms, run }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** In how many ms each timer that is set will run, soonest first. */
  get pending(): readonly number[] {
    return [...this.#timers].map(({ at }) => at - this.#now).sort((a, b) => a - b)
  }

  /** Lets `ms` milliseconds pass and runs what falls due, in order, each at its own time. */
  advance(ms: number): void {
    const end = this.#now + ms
    for (let due = this.#soonest(end); due; due = this.#soonest(end)) {
      this.#timers.delete(due)
      this.#now = Math.max(this.#now, due.at)
      due.run()
    }
    this.#now = end
  }

  #soonest(end: number): Timer | undefined {
    let soonest: Timer | undefined
    for (const timer of this.#timers)
      if (timer.at <= end && (!soonest || timer.at < soonest.at)) soonest = timer
    return soonest
  }
}
