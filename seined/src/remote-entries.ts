import { keyOf, refOf, type WorkloadEntry } from '@seine/api'
import { type Clock, type Closable, errorMessage, type Logger } from '@seine/kit'
import { isRegistered, type MeshModel } from '@seine/model'

const EVERY_MS = 2000

/** What following the entries of a pilot elsewhere needs. */
export interface RemoteEntriesOptions {
  /** Where they are put, beside what a source tells. */
  readonly model: MeshModel
  /** Asks pilot for the entries of all workloads that have registered. */
  readonly read: () => Promise<readonly WorkloadEntry[]>
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Follows the WorkloadEntries that a pilot in another process makes for workloads that register: a hub by itself reads
 * them there, as they are in no file. While pilot does not answer, those that it told last stand. What people wrote
 * under the same name counts.
 */
export class RemoteEntries implements Closable {
  readonly #options: RemoteEntriesOptions
  /** By key, with what they were made of. */
  #known = new Map<string, { readonly entry: WorkloadEntry; readonly text: string }>()
  #cancel: (() => void) | undefined
  #closed = false
  #isAway = false

  constructor(options: RemoteEntriesOptions) {
    this.#options = options
  }

  /** Reads them once, and from then on every two seconds. */
  async start(): Promise<void> {
    await this.#follow()
    if (!this.#closed) this.#cancel = this.#options.clock.after(EVERY_MS, () => void this.start())
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#cancel?.()
  }

  async #follow(): Promise<void> {
    const { read, logger } = this.#options
    try {
      this.#take(await read())
      this.#isAway = false
    } catch (failure) {
      if (!this.#isAway)
        logger.warn({ reason: errorMessage(failure) }, 'which workloads have registered can not be read')
      this.#isAway = true
    }
  }

  #take(entries: readonly WorkloadEntry[]): void {
    const { model } = this.#options
    const next = new Map<string, { readonly entry: WorkloadEntry; readonly text: string }>()
    for (const entry of entries) {
      const key = keyOf(refOf(entry))
      const text = JSON.stringify(entry)
      const known = this.#known.get(key)
      next.set(key, known?.text === text ? known : { entry, text })
    }
    const isWritten = (key: string) => {
      const held = model.resources.get(key)
      return held?.kind === 'WorkloadEntry' && !isRegistered(held)
    }
    const upserts = [...next].filter(
      ([key, { entry }]) => !isWritten(key) && model.resources.get(key) !== entry,
    )
    const gone = [...this.#known].filter(([key]) => !next.has(key) && !isWritten(key))
    this.#known = next
    if (upserts.length + gone.length === 0) return
    model.apply({
      upserts: upserts.map(([, { entry }]) => entry),
      deletes: gone.map(([, { entry }]) => refOf(entry)),
    })
  }
}
