/** Calls over some time. */
export interface Calls {
  /** Requests; where there are none, TCP connections. */
  readonly count: number
  readonly failed: number
  /** The time that all but one in a hundred took at most, ms; undefined for TCP connections, and without calls. */
  readonly p99?: number | undefined
}

/** What decides about a canary. */
export interface Limits {
  readonly durationMs: number
  /** By how much the share of failed calls may grow, 0 to 1. */
  readonly maxMoreErrors: number
  /** By what share of before the slowest may get slower, 1 for twice as slow; undefined for however slow. */
  readonly maxSlower: number | undefined
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

/** How many calls, before and since, it takes to tell how long all but one in a hundred take. */
export const CALLS_FOR_P99 = 100
/** What is slower by less, ms, may be so by the width of the buckets in which times are counted. */
export const LEAST_SLOWER_MS = 25

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
  const slower = isEnough ? slowness(before, during, limits.maxSlower) : undefined
  if (slower !== undefined) return takeBack(slower)
  if (seen.inForceMs < limits.durationMs) return { action: 'wait' }
  if (!isEnough)
    return takeBack(
      `only ${Math.round(during.count)} calls in ${limits.durationMs / 1000}s tell nothing: let it last longer with --canary-duration, or ask for fewer with --canary-min-requests`,
    )
  return {
    action: 'promote',
    why: `${percentOf(during)} of ${Math.round(during.count)} calls failed, before ${percentOf(before)}${latencyOf(before, during)}`,
  }
}

/** Why calls are too slow; undefined where they are not, or there were too few to tell. */
function slowness(before: Calls, during: Calls, maxSlower: number | undefined): string | undefined {
  const [was, is] = [p99Of(before), p99Of(during)]
  if (maxSlower === undefined || was === undefined || is === undefined) return undefined
  if (is <= was * (1 + maxSlower) || is - was < LEAST_SLOWER_MS) return undefined
  return `99% of ${Math.round(during.count)} calls took up to ${milliseconds(is)}, before ${milliseconds(was)}`
}

function latencyOf(before: Calls, during: Calls): string {
  const [was, is] = [p99Of(before), p99Of(during)]
  return was === undefined || is === undefined
    ? ''
    : `; 99% took up to ${milliseconds(is)}, before ${milliseconds(was)}`
}

function p99Of({ count, p99 }: Calls): number | undefined {
  return count >= CALLS_FOR_P99 ? p99 : undefined
}

function milliseconds(ms: number): string {
  return `${ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms)}ms`
}

/** The share of calls that failed, 0 to 1. */
export function shareOf({ count, failed }: Calls): number {
  return count > 0 ? failed / count : 0
}

/** The same for people. */
export function percentOf(calls: Calls): string {
  return `${Math.round(shareOf(calls) * 1000) / 10}%`
}
