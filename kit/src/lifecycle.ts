/** A long-lived part of a process. `close` is idempotent and resolves when nothing of it is left. */
export interface Closable {
  close(): Promise<void>
}

/**
 * Closes the parts in reverse order of starting and waits for each; one part's failure does not keep
 * the others from closing. Rejects with an AggregateError of what failed.
 */
export async function closeAll(parts: readonly Closable[]): Promise<void> {
  const failures: unknown[] = []
  for (const part of [...parts].reverse()) {
    try {
      await part.close()
    } catch (failure) {
      failures.push(failure)
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'some parts did not close')
}

/** Resolves with the name of the first SIGINT or SIGTERM this process receives. */
export function shutdownSignal(): Promise<NodeJS.Signals> {
  return new Promise(resolve => {
    process.once('SIGINT', resolve)
    process.once('SIGTERM', resolve)
  })
}
