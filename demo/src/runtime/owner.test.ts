import { expect, it } from 'vitest'
import { listeningPorts } from './listening.ts'
import { formatOwner, isAlive, parseOwner, self } from './owner.ts'

it('recognises this process, and not another with the same pid', () => {
  expect(isAlive(self())).toBe(true)
  expect(isAlive({ pid: process.pid, started: '1' })).toBe(false)
  expect(isAlive({ pid: 0x7fffffff, started: '1' })).toBe(false)
})

it('reads back what it writes, and refuses the mark of strangers', () => {
  expect(parseOwner(formatOwner({ pid: 4711, started: '99' }))).toEqual({
    ok: true,
    value: { pid: 4711, started: '99' },
  })
  for (const text of [undefined, '', 'docker', 'seine-demo x 1', 'seine-demo 1 2 3'])
    expect(parseOwner(text).ok).toBe(false)
})

it("reads listening ports out of the kernel's table, not connected ones", () => {
  const table = `  sl  local_address rem_address   st
   0: 00000000:2378 00000000:0000 0A 00000000:00000000
   1: 0100007F:3A98 00000000:0000 0A 00000000:00000000
   2: 0A004D0A:D2F0 01004D0A:3AA4 01 00000000:00000000
`
  expect([...listeningPorts(table)]).toEqual([9080, 15000])
})
