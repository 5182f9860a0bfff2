/** Either a value or the reasons there is none. Expected failures are results; exceptions are bugs. */
export type Result<T, E> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: E }

/** A success. */
export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value }
}

/** A failure. */
export function err<E>(error: E): { readonly ok: false; readonly error: E } {
  return { ok: false, error }
}

/** The message of anything that was thrown, with the messages of its causes and of the errors that it gathers. */
export function errorMessage(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown)
  const gathered: readonly unknown[] = thrown instanceof AggregateError ? thrown.errors : []
  const causes = thrown.cause === undefined ? gathered : [thrown.cause, ...gathered]
  return causes.length === 0 ? thrown.message : `${thrown.message}: ${causes.map(errorMessage).join('; ')}`
}
