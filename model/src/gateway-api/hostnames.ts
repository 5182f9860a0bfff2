/** The host that stands for all: a listener or a route that names none. */
export const ANY_HOST = '*'

/**
 * Whether `wide` (a host, `*.suffix` or `*`) covers every host that `narrow` does. A wildcard takes in any number of
 * parts, and not its own suffix.
 */
export function covers(wide: string, narrow: string): boolean {
  if (wide === narrow || wide === ANY_HOST) return true
  if (!wide.startsWith('*.') || narrow === ANY_HOST) return false
  const suffix = wide.slice(1)
  return narrow.length > suffix.length && narrow.endsWith(suffix)
}

/** The hosts that both cover; undefined when there are none. */
export function intersection(a: string, b: string): string | undefined {
  if (covers(a, b)) return b
  return covers(b, a) ? a : undefined
}

/** The hosts of a route that a listener serves: all of the listener's where the route names none. */
export function servedHosts(listener: string, route: readonly string[]): string[] {
  if (route.length === 0) return [listener]
  return [...new Set(route.flatMap(host => intersection(listener, host) ?? []))]
}
