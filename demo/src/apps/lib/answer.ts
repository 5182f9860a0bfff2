/** What every service of the application answers: its own part, and who took part in making it. */
export interface Answer<T> {
  readonly ok: boolean
  readonly data: T
  /** Workloads that answered successfully, this one included, in the order they were asked. */
  readonly servedBy: readonly string[]
  /** What went wrong underneath, empty when `ok`. */
  readonly failures: readonly string[]
}

/** The outcome of one call to another service. */
export type Part<T> =
  | Answer<T>
  | { readonly ok: false; readonly servedBy: readonly string[]; readonly failures: readonly string[] }

/** Joins a service's own data with the parts it asked for. It is `ok` only if each part is. */
export function compose<T>(self: string, data: T, parts: readonly Part<unknown>[]): Answer<T> {
  const failures = parts.flatMap(part => part.failures)
  return {
    ok: parts.every(part => part.ok),
    data,
    servedBy: [self, ...parts.flatMap(part => part.servedBy)],
    failures,
  }
}

/** The data of a part that succeeded. */
export function dataOf<T>(part: Part<T>): T | undefined {
  return 'data' in part ? part.data : undefined
}
