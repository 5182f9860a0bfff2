import type { Misbehaviour } from './protocol.ts'

/** What the program remembers between requests: the tests read and set it through the control port. */
export class PeerState {
  misbehaviour: Misbehaviour = {}
  readonly #seen = new Map<string, number>()

  /** Counts a request of the id. @returns how many there were, this one included. */
  count(id: string): number {
    const count = this.seen(id) + 1
    this.#seen.set(id, count)
    return count
  }

  /** How many requests of the id have come. */
  seen(id: string): number {
    return this.#seen.get(id) ?? 0
  }
}
