/** The time and timers, injected so that tests need not wait. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number
  /** Calls `run` once after `ms` milliseconds; the returned function cancels it. */
  after(ms: number, run: () => void): () => void
}

/** Node runs a longer timer at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** The machine's own clock. Its timers do not keep the process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    let timer: NodeJS.Timeout
    const wait = (left: number) => {
      const step = Math.min(left, LONGEST_TIMER_MS)
      timer = setTimeout(() => (left > step ? wait(left - step) : run()), step)
      timer.unref()
    }
    wait(ms)
    return () => clearTimeout(timer)
  },
}
