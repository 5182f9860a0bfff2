import type { Clock } from '@seine/kit'

/** How long a file that looks half-written, and a path that is gone, have to stay so before they are believed. */
const PATIENCE_MS = { unfinished: 50, missing: 10 } as const

/** Why a reading is not believed at once. */
export type Doubt = keyof typeof PATIENCE_MS

interface Waiting {
  readonly signature: string
  readonly cancel: () => void
  ripe: boolean
}

/**
 * Tells states that a file is only passing through (truncated and not yet written, moved away by an editor
 * that is about to put a new one in place) from those it stays in. Only such states wait; all else is
 * taken at once.
 */
export class Settling {
  readonly #waiting = new Map<string, Waiting>()
  readonly #clock: Clock
  readonly #lookAgain: (path: string) => void

  constructor(clock: Clock, lookAgain: (path: string) => void) {
    this.#clock = clock
    this.#lookAgain = lookAgain
  }

  /** Whether a doubtful state has lasted; else the path is looked at again later. */
  lasted(path: string, doubt: Doubt, signature: string): boolean {
    const known = this.#waiting.get(path)
    if (known?.signature === signature) {
      if (known.ripe) this.#waiting.delete(path)
      return known.ripe
    }
    known?.cancel()
    const cancel = this.#clock.after(PATIENCE_MS[doubt], () => {
      waiting.ripe = true
      this.#lookAgain(path)
    })
    const waiting: Waiting = { signature, cancel, ripe: false }
    this.#waiting.set(path, waiting)
    return false
  }

  /** The path is in a state that is beyond doubt. */
  clear(path: string): void {
    this.#waiting.get(path)?.cancel()
    this.#waiting.delete(path)
  }

  close(): void {
    for (const { cancel } of this.#waiting.values()) cancel()
    this.#waiting.clear()
  }
}

/** Whether a text may be the beginning of a longer one: empty, or ending within a line of YAML. */
export function looksUnfinished(text: string): boolean {
  if (text.trim() === '') return true
  return !text.endsWith('\n') && !isJson(text)
}

function isJson(text: string): boolean {
  if (!text.trimStart().startsWith('{')) return false
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
