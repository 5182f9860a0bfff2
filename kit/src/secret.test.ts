import { inspect } from 'node:util'
import { expect, it } from 'vitest'
import { Secret } from './secret.ts'

it('never prints its value', () => {
  const secret = new Secret('hunter2')
  const printed = [String(secret), `${secret}`, JSON.stringify({ secret }), inspect({ secret })].join()
  expect(printed).not.toContain('hunter2')
  expect(secret.reveal()).toBe('hunter2')
})
