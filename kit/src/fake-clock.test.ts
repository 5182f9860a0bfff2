import { describe, expect, it } from 'vitest'
import { FakeClock } from './fake-clock.ts'

describe('FakeClock', () => {
  it('runs what falls due in order, each at its own time', () => {
    const clock = new FakeClock(1000)
    const ran: string[] = []
    clock.after(20, () => ran.push(`late ${clock.now()}`))
    clock.after(10, () => {
      ran.push(`early ${clock.now()}`)
      clock.after(5, () => ran.push(`nested ${clock.now()}`))
    })
    clock.after(30, () => ran.push('not yet'))
    clock.advance(25)
    expect(ran).toEqual(['early 1010', 'nested 1015', 'late 1020'])
    expect(clock.now()).toBe(1025)
    expect(clock.pending).toEqual([5])
  })

  it('forgets a timer that was cancelled', () => {
    const clock = new FakeClock()
    let ran = false
    clock.after(10, () => {
      ran = true
    })()
    clock.advance(100)
    expect(ran).toBe(false)
  })
})
