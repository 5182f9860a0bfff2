import { describe, expect, it } from 'vitest'
import { formatProblem } from './problem.ts'

describe('formatProblem', () => {
  it('leads with the position so that terminals make a link of it', () => {
    const line = formatProblem({
      severity: 'error',
      code: 'IST0101',
      message: 'no such host',
      resource: { kind: 'VirtualService', namespace: 'default', name: 'reviews' },
      path: 'spec.hosts[0]',
      position: { file: 'a.yaml', line: 3, column: 7 },
    })
    expect(line).toBe(
      'a.yaml:3:7: error: VirtualService default/reviews: spec.hosts[0]: no such host [IST0101]',
    )
  })
})
