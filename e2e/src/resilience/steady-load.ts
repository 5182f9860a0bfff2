import type { Outcome } from '../apps/protocol.ts'

/** What came of a steady load. */
export interface LoadResult {
  readonly total: number
  /** The calls that failed, with what they were. */
  readonly failures: readonly string[]
}

/** Calls without pause, from when it is made until it is stopped, and counts what fails. */
export class SteadyLoad {
  readonly #name: string
  readonly #batch: () => Promise<readonly Outcome[]>
  readonly #failures: string[] = []
  readonly #done: Promise<void>
  #total = 0
  #stopping = false

  /** `batch` makes some calls; `name` says in failures what they were. */
  constructor(name: string, batch: () => Promise<readonly Outcome[]>) {
    this.#name = name
    this.#batch = batch
    this.#done = this.#run()
  }

  /** How many calls have been made, whatever came of them. */
  get total(): number {
    return this.#total
  }

  /** The calls that have failed so far. */
  get failures(): readonly string[] {
    return this.#failures
  }

  async stop(): Promise<LoadResult> {
    this.#stopping = true
    await this.#done
    return { total: this.#total, failures: this.#failures }
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      const outcomes = await this.#batch()
      this.#total += outcomes.length
      for (const outcome of outcomes) {
        const failure = failureOf(outcome)
        if (failure !== undefined)
          this.#failures.push(`${new Date().toISOString()} ${this.#name}: ${failure}`)
      }
    }
  }
}

function failureOf({ error, status, headers, body, trailers }: Outcome): string | undefined {
  if (error !== undefined) return error
  const grpcStatus = trailers?.['grpc-status'] ?? headers['grpc-status']
  if (grpcStatus !== undefined && grpcStatus !== '0')
    return `grpc-status ${grpcStatus} ${trailers?.['grpc-message'] ?? headers['grpc-message'] ?? ''}`
  return status === 200 || status === 0 ? undefined : `status ${status}: ${body.slice(0, 120)}`
}
