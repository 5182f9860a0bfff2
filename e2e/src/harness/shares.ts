import { expect } from 'vitest'

/** How often each value occurs. */
export function countBy<T>(
  items: readonly T[],
  keyOf: (item: T) => string | undefined,
): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const item of items) {
    const key = keyOf(item) ?? 'none'
    counts[key] = (counts[key] ?? 0) + 1
  }
  return counts
}

/**
 * Asserts that `count` of `total` independent draws is what a probability leads one to expect: within five
 * standard deviations, which chance leaves once in two million runs.
 */
export function expectShare(count: number, total: number, probability: number): void {
  const mean = total * probability
  const slack = 5 * Math.sqrt(total * probability * (1 - probability))
  expect(count).toBeGreaterThanOrEqual(mean - slack)
  expect(count).toBeLessThanOrEqual(mean + slack)
}
