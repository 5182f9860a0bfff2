import { expect, it, vi } from 'vitest'
import { Load, type Outcome } from './load.ts'

/** A clock moved by hand. */
function manualClock() {
  let now = 0
  const timers = new Set<{ at: number; run: () => void }>()
  return {
    now: () => now,
    after(ms: number, run: () => void) {
      const timer = { at: now + ms, run }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    async pass(ms: number) {
      const end = now + ms
      for (;;) {
        const [next] = [...timers].sort((a, b) => a.at - b.at)
        if (next === undefined || next.at > end) break
        timers.delete(next)
        now = next.at
        next.run()
        await Promise.resolve()
        await Promise.resolve()
      }
      now = end
    },
  }
}

const good: Outcome = { ok: true, servedBy: ['page', 'reviews'], failures: [] }
const bad: Outcome = { ok: false, servedBy: [], failures: ['reviews: refused'] }

it('sends at its rate and counts successes by workload', async () => {
  const clock = manualClock()
  const load = new Load(10, async () => good, clock)
  await clock.pass(2_050)
  expect(load.stats()).toMatchObject({ rate: 10, failed: 0, reached: { page: 19, reviews: 19 }, total: 19 })
  load.setRate(0)
  await clock.pass(1_000)
  expect(load.stats().total).toBe(19)
  load.stop()
})

it('does not count what fails before the application first answers, and everything after', async () => {
  const clock = manualClock()
  const outcomes = [bad, bad, good, bad, good]
  const load = new Load(4, async () => outcomes.shift() ?? good, clock)
  await clock.pass(1_250)
  expect(load.stats()).toMatchObject({ warmUp: 2, total: 3, failed: 1, lastFailures: ['reviews: refused'] })
  load.stop()
})

it('does not pile requests up on an application that hangs', async () => {
  const clock = manualClock()
  const send = vi
    .fn<() => Promise<Outcome>>()
    .mockResolvedValueOnce(good)
    .mockReturnValue(new Promise(() => undefined))
  const load = new Load(500, send, clock)
  await clock.pass(10_000)
  expect(send).toHaveBeenCalledTimes(1 + 64)
  load.stop()
})
