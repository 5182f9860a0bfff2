import type { Problem } from '@seine/kit'

/** How long a crash is shown as a problem. */
const SHOWN_MS = 15 * 60_000

interface Crash {
  readonly at: number
  readonly ending: string
  readonly times: number
}

/** Envoys that ended unexpectedly, as the counters of their agents tell. */
export class Crashes {
  /** `namespace/pod` → ending → the counter at the last scrape. */
  readonly #last = new Map<string, ReadonlyMap<string, number>>()
  readonly #crashes = new Map<string, Crash[]>()

  /** Takes the counters of one agent, by how Envoy ended. What was counted before the first scrape is seen then. */
  take(pod: string, restarts: ReadonlyMap<string, number>, at: number): void {
    const before = this.#last.get(pod)
    this.#last.set(pod, restarts)
    for (const [ending, count] of restarts) {
      const old = before?.get(ending) ?? 0
      // A counter that fell is that of an agent which was started again itself.
      const times = count >= old ? count - old : count
      if (times > 0) this.#crashes.set(pod, [...(this.#crashes.get(pod) ?? []), { at, ending, times }])
    }
  }

  /** The pod is gone. */
  forget(pod: string): void {
    this.#last.delete(pod)
    this.#crashes.delete(pod)
  }

  /** A problem for each pod whose Envoy crashed in the last quarter of an hour. */
  problems(now: number): Problem[] {
    return [...this.#crashes].flatMap(([pod, crashes]) => {
      const recent = crashes.filter(({ at }) => at > now - SHOWN_MS)
      const last = recent.at(-1)
      return last ? [problem(pod, recent, last)] : []
    })
  }
}

function problem(pod: string, recent: readonly Crash[], last: Crash): Problem {
  const [namespace = '', name = ''] = pod.split('/')
  const times = recent.reduce((sum, crash) => sum + crash.times, 0)
  const often = times === 1 ? '' : ` (${times} times in a quarter of an hour)`
  return {
    severity: 'warning',
    code: 'envoy-crashed',
    message: `Envoy ended unexpectedly with ${last.ending} and was started again${often}, last seen at ${new Date(last.at).toISOString()}; the agent's log says more`,
    resource: { kind: 'Pod', namespace, name },
  }
}
