import { expect, it } from 'vitest'
import { Crashes } from './crashes.ts'

const MINUTE = 60_000
const counters = (count: number) => new Map([['SIGKILL', count]])

it('shows what was counted between two scrapes, for a quarter of an hour', () => {
  const crashes = new Crashes()
  crashes.take('default/web', new Map(), 0)
  expect(crashes.problems(0)).toEqual([])
  crashes.take('default/web', counters(1), MINUTE)
  crashes.take('default/web', counters(3), 2 * MINUTE)
  expect(crashes.problems(3 * MINUTE)).toEqual([
    {
      severity: 'warning',
      code: 'envoy-crashed',
      message:
        "Envoy ended unexpectedly with SIGKILL and was started again (3 times in a quarter of an hour), last seen at 1970-01-01T00:02:00.000Z; the agent's log says more",
      resource: { kind: 'Pod', namespace: 'default', name: 'web' },
    },
  ])
  expect(crashes.problems(18 * MINUTE)).toEqual([])
})

it('counts from zero when the agent was started again, and forgets pods that are gone', () => {
  const crashes = new Crashes()
  crashes.take('default/web', counters(5), 0)
  expect(crashes.problems(0)[0]?.message).toContain('(5 times in a quarter of an hour)')
  crashes.take('default/web', counters(1), 20 * MINUTE)
  expect(crashes.problems(20 * MINUTE)[0]?.message).toContain('with SIGKILL and was started again, last')
  crashes.forget('default/web')
  expect(crashes.problems(MINUTE)).toEqual([])
})
