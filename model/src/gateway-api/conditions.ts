/** A condition as Kubernetes has it. Whoever writes it into a cluster adds the time of its last transition. */
export interface Condition {
  readonly type: string
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason: string
  readonly message: string
  readonly observedGeneration: number
}

/** What came out of looking at an aspect of an object; a `path` leads to the field that is to blame. */
export interface Verdict {
  readonly ok: boolean
  readonly reason: string
  readonly message: string
  readonly path?: string | undefined
}

/** The aspect is as it should be. */
export function good(reason: string, message: string): Verdict {
  return { ok: true, reason, message }
}

/** The aspect is not: what failed, for which field, and what to do. */
export function bad(reason: string, message: string, path?: string): Verdict {
  return { ok: false, reason, message, ...(path === undefined ? {} : { path }) }
}

/** A verdict as a condition of an object. */
export function condition(type: string, verdict: Verdict, generation: number | undefined): Condition {
  return {
    type,
    status: verdict.ok ? 'True' : 'False',
    reason: verdict.reason,
    message: verdict.message,
    observedGeneration: generation ?? 0,
  }
}

/** Several messages as one. */
export function together(verdicts: readonly Verdict[]): string {
  return [...new Set(verdicts.map(({ message }) => message))].join('; ')
}
