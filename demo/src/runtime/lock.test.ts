import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { takeLock } from './lock.ts'
import { self } from './owner.ts'

const holder = { ...self(), dashboard: 'http://127.0.0.1:15080' }

async function lockFile(): Promise<string> {
  return join(await mkdtemp(join(tmpdir(), 'seine-lock-')), 'deeper', 'demo.lock')
}

it('names the live process that holds it, and can be taken again once released', async () => {
  const file = await lockFile()
  const first = await takeLock(file, holder)
  expect(first.ok).toBe(true)
  expect(await takeLock(file, holder)).toEqual({ ok: false, error: holder })
  if (first.ok) await first.value()
  expect((await takeLock(file, holder)).ok).toBe(true)
})

it.each([
  '{"pid":2147483647,"started":"1","dashboard":""}',
  'cut off',
])('takes over a dead lock: %s', async content => {
  const file = await lockFile()
  const first = await takeLock(file, holder)
  if (first.ok) await writeFile(file, content)
  expect((await takeLock(file, holder)).ok).toBe(true)
  expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(holder)
})
