import { describe, expect, it } from 'vitest'
import { type Limits, type Observation, verdictOf } from './verdict.ts'

const LIMITS: Limits = { durationMs: 60_000, maxMoreErrors: 0.05, maxSlower: 1, minCalls: 10 }
const FINE: Observation = {
  inForceMs: 30_000,
  elapsedMs: 31_000,
  problems: [],
  rejections: [],
  before: { count: 100, failed: 1 },
  during: { count: 100, failed: 2 },
}
const decide = (changes: Partial<Observation>) => verdictOf({ ...FINE, ...changes }, LIMITS)

describe('the verdict on a canary', () => {
  it('waits as long as nothing is wrong, and promotes when the time is over', () => {
    expect(decide({})).toEqual({ action: 'wait' })
    expect(decide({ inForceMs: 60_000 })).toEqual({
      action: 'promote',
      why: '2% of 100 calls failed, before 1%',
    })
  })

  it('takes back at once what fails more than before', () => {
    expect(decide({ inForceMs: 1, during: { count: 50, failed: 5 } })).toEqual({
      action: 'take-back',
      why: '10% of 50 calls failed, before 1%',
    })
  })

  it('does not blame a change for what failed before, nor judge by a handful of calls', () => {
    expect(decide({ before: { count: 10, failed: 5 }, during: { count: 100, failed: 52 } }).action).toBe(
      'wait',
    )
    expect(decide({ during: { count: 9, failed: 9 } }).action).toBe('wait')
  })

  it('takes back what nobody called, for it says nothing', () => {
    const verdict = decide({ inForceMs: 60_000, during: { count: 3, failed: 0 } })
    expect(verdict).toMatchObject({
      action: 'take-back',
      why: expect.stringContaining('only 3 calls in 60s'),
    })
    const idle = { ...FINE, inForceMs: 60_000, during: { count: 0, failed: 0 } }
    expect(verdictOf(idle, { ...LIMITS, minCalls: 0 }).action).toBe('promote')
  })

  it('takes back at once what is slower than before, if there were enough calls to tell', () => {
    const took = (before: number, during: number, count = 100) =>
      decide({
        before: { count: 100, failed: 0, p99: before },
        during: { count, failed: 0, p99: during },
      })
    expect(took(40, 90)).toEqual({
      action: 'take-back',
      why: '99% of 100 calls took up to 90ms, before 40ms',
    })
    // Twice as slow is allowed.
    expect(took(40, 80).action).toBe('wait')
    // Of few calls the slowest in a hundred is any.
    expect(took(40, 900, 99).action).toBe('wait')
    // Within the width of a bucket.
    expect(took(1, 20).action).toBe('wait')
    expect(took(1, 27).action).toBe('take-back')
    const slow = { before: { count: 200, failed: 0, p99: 2 }, during: { count: 200, failed: 0, p99: 900 } }
    expect(verdictOf({ ...FINE, ...slow }, { ...LIMITS, maxSlower: undefined }).action).toBe('wait')
    expect(decide({ ...slow, during: { count: 200, failed: 0 } }).action).toBe('wait')
  })

  it('says how long calls took when it promotes', () => {
    const calls = { count: 200, failed: 0, p99: 4.56 }
    expect(decide({ inForceMs: 60_000, before: calls, during: { ...calls, p99: 12 } })).toEqual({
      action: 'promote',
      why: '0% of 200 calls failed, before 0%; 99% took up to 12ms, before 4.6ms',
    })
  })

  it('takes back what an Envoy rejects, what is wrong, and what does not come into force', () => {
    expect(decide({ rejections: ['Envoy of web rejected CDS x: no'] })).toEqual({
      action: 'take-back',
      why: 'Envoy of web rejected CDS x: no',
    })
    expect(decide({ problems: ['no such host [IST0101]'] }).action).toBe('take-back')
    expect(decide({ inForceMs: undefined, elapsedMs: 29_000 }).action).toBe('wait')
    expect(decide({ inForceMs: undefined, elapsedMs: 31_000 }).action).toBe('take-back')
  })
})
