import { type Clock, errorMessage, type Logger } from '@seine/kit'
import type { HubEvent } from './api-types.ts'
import type { HubInputs } from './hub-inputs.ts'

/** How often is looked. */
const LOOK_MS = 1000

/** What the watch needs from outside. */
export interface ChangeWatchOptions {
  readonly inputs: Pick<HubInputs, 'snapshot' | 'problems' | 'findings' | 'proxies'>
  readonly clock: Clock
  readonly logger: Logger
  /** Whether anyone wants to know: without listeners nothing is looked at. */
  readonly isHeard: () => boolean
  readonly tell: (type: HubEvent['type']) => void
}

/**
 * Tells when the configuration or the state of proxies is another than a second ago. It looks instead of being told,
 * for the control plane may be another process.
 */
export class ChangeWatch {
  readonly #options: ChangeWatchOptions
  #seen: { readonly config: string; readonly proxies: string } | undefined
  #cancel: (() => void) | undefined
  #closed = false
  #isAway = false

  constructor(options: ChangeWatchOptions) {
    this.#options = options
  }

  start(): void {
    this.#cancel = this.#options.clock.after(LOOK_MS, () => void this.#look())
  }

  close(): void {
    this.#closed = true
    this.#cancel?.()
  }

  async #look(): Promise<void> {
    const { isHeard, logger } = this.#options
    try {
      if (isHeard()) await this.#compare()
      else this.#seen = undefined
      this.#isAway = false
    } catch (failure) {
      if (!this.#isAway) logger.warn({ reason: errorMessage(failure) }, 'changes can not be seen')
      this.#isAway = true
    }
    if (!this.#closed) this.start()
  }

  async #compare(): Promise<void> {
    const { inputs, tell } = this.#options
    const [problems, findings, proxies] = await Promise.all([
      inputs.problems(),
      inputs.findings(),
      inputs.proxies(),
    ])
    const config = `${inputs.snapshot().version} ${JSON.stringify([problems, findings])}`
    const now = { config, proxies: JSON.stringify(proxies) }
    const before = this.#seen
    this.#seen = now
    if (!before || this.#closed) return
    if (before.config !== now.config) tell('config')
    if (before.proxies !== now.proxies) tell('proxies')
  }
}
