import type { Certificate } from './api-types.ts'
import type { Sample } from './prometheus-text.ts'

/** The agent's metric that tells when the workload's certificate ends, in seconds since the epoch. */
export const NOT_AFTER = 'seine_agent_certificate_not_after_seconds'

/** Agents renew when two thirds of a certificate's life are over: with this share left one is late. */
const OVERDUE_SHARE = 0.2

interface Held {
  readonly identity: string
  readonly serial: string
  readonly notAfter: number
  /** How much of its life was left when it was first seen, ms: no more than its whole life. */
  readonly leftAtFirst: number
}

/** The certificates that sidecars hold, by `namespace/pod`. */
export class Certificates {
  readonly #held = new Map<string, Held>()

  /** Takes what an agent says. Without a certificate in it the agent has none. */
  take(pod: string, samples: readonly Sample[], now: number): void {
    const sample = samples.find(({ name }) => name === NOT_AFTER)
    if (!sample) return void this.#held.delete(pod)
    const { identity = '', serial = '' } = sample.labels
    const notAfter = sample.value * 1000
    const known = this.#held.get(pod)
    const leftAtFirst = known?.serial === serial ? known.leftAtFirst : notAfter - now
    this.#held.set(pod, { identity, serial, notAfter, leftAtFirst })
  }

  of(pod: string, now: number): Certificate | undefined {
    const held = this.#held.get(pod)
    if (!held) return undefined
    const { identity, serial, notAfter, leftAtFirst } = held
    const left = notAfter - now
    const state = left <= 0 ? 'expired' : left < leftAtFirst * OVERDUE_SHARE ? 'overdue' : 'valid'
    return { identity, serial, notAfter, state }
  }

  forget(pod: string): void {
    this.#held.delete(pod)
  }
}
