/** Calls over some time. */
export interface Calls {
  /** Requests; where there are none, TCP connections. */
  readonly count: number
  readonly failed: number
}

/** What decides about a canary. */
export interface Limits {
  readonly durationMs: number
  /** By how much the share of failed calls may grow, 0 to 1. */
  readonly maxMoreErrors: number
  /** Fewer calls than this tell nothing. */
  readonly minCalls: number
}

/** What is known of a canary at a moment. */
export interface Observation {
  /** Since the change is in force; undefined while it is not yet. */
  readonly inForceMs: number | undefined
  /** Since it was begun. */
  readonly elapsedMs: number
  /** What Envoys rejected of it, in words. */
  readonly rejections: readonly string[]
  /** What the mesh says is wrong with it. */
  readonly problems: readonly string[]
  /** Calls that the workloads made and got, in the minute before, and since it is in force. */
  readonly before: Calls
  readonly during: Calls
}

/** What to do about a canary. */
export type Verdict =
  | { readonly action: 'wait' }
  | { readonly action: 'promote' | 'take-back'; readonly why: string }

/** How long proxies may take to have a change in force, ms. */
export const IN_FORCE_WITHIN_MS = 30_000

/** Decides about a canary: bad news at once, good news when the time is over. */
export function verdictOf(seen: Observation, limits: Limits): Verdict {
  const takeBack = (why: string): Verdict => ({ action: 'take-back', why })
  const [problem] = seen.problems
  if (problem !== undefined) return takeBack(problem)
  const [rejection] = seen.rejections
  if (rejection !== undefined) return takeBack(rejection)
  if (seen.inForceMs === undefined)
    return seen.elapsedMs > IN_FORCE_WITHIN_MS
      ? takeBack(`it is not in force at the named proxies after ${IN_FORCE_WITHIN_MS / 1000}s`)
      : { action: 'wait' }
  const { before, during } = seen
  const isEnough = during.count >= limits.minCalls
  if (isEnough && shareOf(during) > shareOf(before) + limits.maxMoreErrors)
    return takeBack(
      `${percentOf(during)} of ${Math.round(during.count)} calls failed, before ${percentOf(before)}`,
    )
  if (seen.inForceMs < limits.durationMs) return { action: 'wait' }
  if (!isEnough)
    return takeBack(
      `only ${Math.round(during.count)} calls in ${limits.durationMs / 1000}s tell nothing: let it last longer with --canary-duration, or ask for fewer with --canary-min-requests`,
    )
  return {
    action: 'promote',
    why: `${percentOf(during)} of ${Math.round(during.count)} calls failed, before ${percentOf(before)}`,
  }
}

/** The share of calls that failed, 0 to 1. */
export function shareOf({ count, failed }: Calls): number {
  return count > 0 ? failed / count : 0
}

/** The same for people. */
export function percentOf(calls: Calls): string {
  return `${Math.round(shareOf(calls) * 1000) / 10}%`
}
