import type { ObjectMeta } from '@seine/api'

/** Anything with Kubernetes' metadata. */
export interface Aged {
  readonly metadata: ObjectMeta
}

/**
 * Puts the oldest first, as Istio does where resources collide. What stands in a file has no age: it comes
 * first, in the order of its name.
 */
export function byAge(a: Aged, b: Aged): number {
  const difference = createdAt(a) - createdAt(b)
  if (difference !== 0) return difference
  const [left, right] = [nameOf(a), nameOf(b)]
  return left < right ? -1 : left > right ? 1 : 0
}

/** Milliseconds since the Unix epoch; 0 without a date. */
function createdAt({ metadata }: Aged): number {
  return metadata.creationTimestamp ? Date.parse(metadata.creationTimestamp) || 0 : 0
}

function nameOf({ metadata }: Aged): string {
  return `${metadata.namespace}/${metadata.name}`
}
