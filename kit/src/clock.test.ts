import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { systemClock } from './clock.ts'

const DAY_MS = 24 * 3_600_000

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

it('waits for longer than a timer of Node holds', () => {
  const run = vi.fn()
  systemClock.after(60 * DAY_MS, run)
  vi.advanceTimersByTime(60 * DAY_MS - 1)
  expect(run).not.toHaveBeenCalled()
  vi.advanceTimersByTime(1)
  expect(run).toHaveBeenCalledOnce()
})

it('can be told not to, also in the middle of a long wait', () => {
  const run = vi.fn()
  const cancel = systemClock.after(60 * DAY_MS, run)
  vi.advanceTimersByTime(40 * DAY_MS)
  cancel()
  vi.advanceTimersByTime(60 * DAY_MS)
  expect(run).not.toHaveBeenCalled()
})
