import { describe, expect, it } from 'vitest'
import { Certificates, NOT_AFTER } from './certificates.ts'
import type { Sample } from './prometheus-text.ts'

const HOUR = 3_600_000
const held = (serial: string, notAfter: number): Sample[] => [
  { name: NOT_AFTER, labels: { identity: 'spiffe://x', serial }, le: undefined, value: notAfter / 1000 },
]

describe('certificates', () => {
  it('are overdue when little is left of what was at first, and expired when nothing is', () => {
    const certificates = new Certificates()
    certificates.take('default/web', held('A', 24 * HOUR), 0)
    certificates.take('default/web', held('A', 24 * HOUR), 10 * HOUR)
    const state = (now: number) => certificates.of('default/web', now)?.state
    expect([0, 10 * HOUR, 19 * HOUR, 20 * HOUR, 24 * HOUR].map(state)).toEqual([
      'valid',
      'valid',
      'valid',
      'overdue',
      'expired',
    ])
    certificates.take('default/web', held('B', 44 * HOUR), 20 * HOUR)
    expect(certificates.of('default/web', 21 * HOUR)).toEqual({
      identity: 'spiffe://x',
      serial: 'B',
      notAfter: 44 * HOUR,
      state: 'valid',
    })
  })

  it('are none where the agent has none, or is gone', () => {
    const certificates = new Certificates()
    certificates.take('default/web', held('A', HOUR), 0)
    certificates.take('default/other', held('A', HOUR), 0)
    certificates.take('default/web', [], 0)
    certificates.forget('default/other')
    expect(certificates.of('default/web', 0)).toBeUndefined()
    expect(certificates.of('default/other', 0)).toBeUndefined()
  })
})
