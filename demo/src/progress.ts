import type { Clock } from '@seine/kit'

/** Tells a person what goes on: a line a step, with the seconds since the start. */
export class Progress {
  readonly #clock: Clock
  readonly #write: (line: string) => void
  readonly #startedAt: number

  constructor(clock: Clock, write: (line: string) => void) {
    this.#clock = clock
    this.#write = write
    this.#startedAt = clock.now()
  }

  /** Seconds since the start, to a tenth. */
  seconds(): number {
    return Math.round((this.#clock.now() - this.#startedAt) / 100) / 10
  }

  say(message: string): void {
    this.#write(`[${this.seconds().toFixed(1).padStart(5)} s] ${message}\n`)
  }
}
