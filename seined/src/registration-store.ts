import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { canonicalIp } from '@seine/api'
import { type Clock, type Closable, errorMessage, isRecord, type Logger } from '@seine/kit'
import type { Health, RegisteringWorkload } from '@seine/model'

/** What is written down of a workload that has registered. */
export interface StoredRegistration {
  readonly workload: RegisteringWorkload
  readonly health: Health | undefined
}

/** What does not fit is not kept: those workloads are unknown after a start, until they are back. */
export const MOST_STORED = 10_000
const MOST_BYTES = 8 * 1024 * 1024
/** Changes that come together are written together. */
const WRITE_AFTER_MS = 50
const FILE = 'registrations.json'

/** What a store needs from outside. */
export interface RegistrationStoreOptions {
  /** Of pilot's own state; made when it is first written to. */
  readonly folder: string
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * The workloads that have registered, in a file of pilot's state: `{"workloads": [{"workload": {…}, "health": {…}}]}`.
 * It is written whole, of mode 0600, and read once, at the start. What can't be read or written is told in the log, and
 * costs what it held.
 */
export class RegistrationStore implements Closable {
  readonly #options: RegistrationStoreOptions
  #latest: readonly StoredRegistration[] | undefined
  #cancel: (() => void) | undefined
  #written: Promise<void> = Promise.resolve()

  constructor(options: RegistrationStoreOptions) {
    this.#options = options
  }

  /** What was written last; nothing where there is no file, or none of ours. */
  async read(): Promise<readonly StoredRegistration[]> {
    const { logger } = this.#options
    try {
      const { size } = await stat(this.#path)
      if (size > MOST_BYTES) throw new Error(`it has ${size} bytes, and ${MOST_BYTES} are read at most`)
      const { workloads } = JSON.parse(await readFile(this.#path, 'utf8')) as { workloads?: unknown }
      if (!Array.isArray(workloads)) throw new Error('it holds no list of workloads')
      const read = workloads.slice(0, MOST_STORED).map(storedOf)
      const known = read.filter(one => one !== undefined)
      if (known.length < workloads.length)
        logger.warn(
          { file: this.#path, left: workloads.length - known.length },
          'registrations that are not as pilot writes them, or too many, are left out',
        )
      return known
    } catch (failure) {
      if ((failure as NodeJS.ErrnoException).code === 'ENOENT') return []
      const reason = errorMessage(failure)
      logger.warn({ file: this.#path, reason }, 'the registrations of before can not be read')
      return []
    }
  }

  /** Writes what there is now, soon. */
  save(all: readonly StoredRegistration[]): void {
    this.#latest = all
    this.#cancel ??= this.#options.clock.after(WRITE_AFTER_MS, () => this.#write())
  }

  /** Writes what is still to be written. */
  async close(): Promise<void> {
    if (this.#cancel) this.#write()
    await this.#written
  }

  get #path(): string {
    return join(this.#options.folder, FILE)
  }

  #write(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#written = this.#written.then(() => this.#writeNow())
  }

  async #writeNow(): Promise<void> {
    const { folder, logger } = this.#options
    const workloads = this.#latest?.slice(0, MOST_STORED)
    const path = this.#path
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      await writeFile(`${path}.new`, JSON.stringify({ workloads }), { mode: 0o600 })
      await rename(`${path}.new`, path)
    } catch (failure) {
      const reason = errorMessage(failure)
      logger.error({ file: path, reason }, 'registrations can not be written: a start of pilot forgets them')
    }
  }
}

function storedOf(value: unknown): StoredRegistration | undefined {
  const { workload, health } = recordOf(value) ?? {}
  const { group, namespace, address, network, labels } = recordOf(workload) ?? {}
  const own = recordOf(labels)
  const valid =
    isText(group) &&
    isText(namespace) &&
    isText(address) &&
    canonicalIp(address) === address &&
    (network === undefined || isText(network)) &&
    own !== undefined &&
    Object.values(own).every(isText)
  if (!valid || (health !== undefined && !isHealth(health))) return undefined
  return {
    workload: { group, namespace, address, network, labels: own as Record<string, string> },
    health,
  }
}

function isHealth(value: unknown): value is Health {
  const { healthy, message, since } = recordOf(value) ?? {}
  // A time that no date can be made of would end whoever reads it.
  return typeof healthy === 'boolean' && isText(message) && Math.abs(Number(since)) <= 8.64e15
}

function recordOf(value: unknown): Record<string, unknown> | undefined {
  return isRecord(value) ? value : undefined
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}
