import type { Clock } from '@seine/kit'

/** What the generator has done so far. */
export interface LoadStats {
  readonly rate: number
  readonly total: number
  readonly failed: number
  /** Requests made before the first success, which count neither as total nor as failed. */
  readonly warmUp: number
  /** How many successful requests each workload took part in. */
  readonly reached: Readonly<Record<string, number>>
  readonly lastFailures: readonly string[]
}

/** The outcome of one request. */
export interface Outcome {
  readonly ok: boolean
  readonly servedBy: readonly string[]
  readonly failures: readonly string[]
}

const KEPT_FAILURES = 5
/** More than this in flight means the application can't keep up: skip rather than pile up. */
const MOST_IN_FLIGHT = 64
export const HIGHEST_RATE = 500

/**
 * Sends requests at a steady rate (requests a second), open loop. Until one has succeeded it only
 * probes, four times a second, so that an application that is still starting counts no failures.
 */
export class Load {
  #rate: number
  #total = 0
  #failed = 0
  #warmUp = 0
  #warm = false
  #inFlight = 0
  #cancel: (() => void) | undefined
  readonly #reached = new Map<string, number>()
  #lastFailures: string[] = []
  readonly #send: () => Promise<Outcome>
  readonly #clock: Clock

  constructor(rate: number, send: () => Promise<Outcome>, clock: Clock) {
    this.#rate = clamp(rate)
    this.#send = send
    this.#clock = clock
    this.#schedule()
  }

  /** Changes the rate at once; 0 pauses. Returns what it now is. */
  setRate(rate: number): number {
    this.#rate = clamp(rate)
    this.#schedule()
    return this.#rate
  }

  stats(): LoadStats {
    return {
      rate: this.#rate,
      total: this.#total,
      failed: this.#failed,
      warmUp: this.#warmUp,
      reached: Object.fromEntries([...this.#reached].sort(([a], [b]) => a.localeCompare(b))),
      lastFailures: this.#lastFailures,
    }
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  #schedule(): void {
    this.stop()
    if (this.#rate === 0) return
    const interval = 1_000 / (this.#warm ? this.#rate : Math.min(this.#rate, 4))
    this.#cancel = this.#clock.after(interval, () => {
      this.#schedule()
      if (this.#inFlight < (this.#warm ? MOST_IN_FLIGHT : 1)) void this.#once()
    })
  }

  async #once(): Promise<void> {
    this.#inFlight += 1
    const outcome = await this.#send()
    this.#inFlight -= 1
    if (!outcome.ok) this.#lastFailures = [...outcome.failures, ...this.#lastFailures].slice(0, KEPT_FAILURES)
    if (!this.#warm && !outcome.ok) {
      this.#warmUp += 1
      return
    }
    if (!this.#warm) {
      this.#warm = true
      this.#lastFailures = []
      this.#schedule()
    }
    this.#total += 1
    if (!outcome.ok) this.#failed += 1
    else
      for (const workload of outcome.servedBy)
        this.#reached.set(workload, (this.#reached.get(workload) ?? 0) + 1)
  }
}

function clamp(rate: number): number {
  return Math.min(Math.max(Number.isFinite(rate) ? rate : 0, 0), HIGHEST_RATE)
}
