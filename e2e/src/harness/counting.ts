import { randomUUID } from 'node:crypto'
import type { Pod } from './pod.ts'

/** An id that no other test uses: for `Ask.id`, paths and names. */
export function freshId(): string {
  return randomUUID()
}

/** How many requests with this id have reached the programs of these pods, all together. */
export async function seenBy(pods: readonly Pod[], id: string): Promise<number> {
  const counts = await Promise.all(pods.map(pod => pod.seen(id)))
  return counts.reduce((sum, count) => sum + count, 0)
}

/** By how much a pod's metric has grown since this was called. */
export async function growthOf(
  pod: Pod,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<() => Promise<number>> {
  const before = await pod.metric(name, labels)
  return async () => (await pod.metric(name, labels)) - before
}
