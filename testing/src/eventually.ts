/** How long {@link eventually} tries, and how often. */
export interface Patience {
  readonly timeoutMs?: number
  readonly everyMs?: number
}

/**
 * Tries until `attempt` does not throw, and returns what it returned. When the time is over it throws what
 * the last attempt threw. For what becomes true by itself: put the assertions inside.
 */
export async function eventually<T>(
  attempt: () => T | Promise<T>,
  { timeoutMs = 20_000, everyMs = 100 }: Patience = {},
): Promise<T> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    try {
      return await attempt()
    } catch (failure) {
      if (Date.now() >= deadline) throw failure
    }
    await new Promise(resolve => setTimeout(resolve, everyMs))
  }
}
