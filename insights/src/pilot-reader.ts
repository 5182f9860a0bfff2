import { errorMessage, type Problem } from '@seine/kit'
import type { HubInputs, HubProxy } from './hub-inputs.ts'

/** What pilot knows. */
export interface PilotState {
  readonly proxies: readonly HubProxy[]
  readonly problems: readonly Problem[]
  readonly findings: readonly Problem[]
  /** Why this is what pilot told last and not what is now; undefined while it answers. */
  readonly away: string | undefined
}

/** Reads what pilot knows. It may be another process: while that is away, what it told last stands, and is said to. */
export class PilotReader {
  readonly #inputs: Pick<HubInputs, 'proxies' | 'problems' | 'findings'>
  #last: Omit<PilotState, 'away'> = { proxies: [], problems: [], findings: [] }

  constructor(inputs: Pick<HubInputs, 'proxies' | 'problems' | 'findings'>) {
    this.#inputs = inputs
  }

  async read(): Promise<PilotState> {
    try {
      const [proxies, problems, findings] = await Promise.all([
        this.#inputs.proxies(),
        this.#inputs.problems(),
        this.#inputs.findings(),
      ])
      this.#last = { proxies, problems, findings }
      return { ...this.#last, away: undefined }
    } catch (failure) {
      return { ...this.#last, away: errorMessage(failure) }
    }
  }
}
