import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FakeClock, type Logger, silentLogger } from '@seine/kit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MOST_STORED, RegistrationStore, type StoredRegistration } from './registration-store.ts'

const machine = (address: string): StoredRegistration => ({
  workload: { group: 'vms', namespace: 'default', address, network: undefined, labels: { app: 'web' } },
  health: { healthy: false, message: 'no answer', since: 1_700_000_000_000 },
})

describe('the registrations that are written down', () => {
  let folder: string
  let clock: FakeClock
  let warnings: unknown[]
  let store: RegistrationStore

  beforeEach(async () => {
    folder = join(await mkdtemp(join(tmpdir(), 'seine-registrations-')), 'pilot')
    clock = new FakeClock()
    warnings = []
    const note = (fields: unknown) => void warnings.push(fields)
    const logger: Logger = { ...silentLogger, warn: note, error: note } as Logger
    store = new RegistrationStore({ folder, clock, logger })
  })

  afterEach(() => rm(join(folder, '..'), { recursive: true }))

  const file = () => join(folder, 'registrations.json')

  it('are read as they were written, in a file for its owner only', async () => {
    expect(await store.read()).toEqual([])
    const all = [machine('10.9.0.1'), { ...machine('fd00::1'), health: undefined }]
    store.save(all)
    await store.close()
    expect(await store.read()).toEqual(all)
    expect((await stat(file())).mode & 0o777).toBe(0o600)
    expect(await readdir(folder)).toEqual(['registrations.json'])
    expect(warnings).toEqual([])
  })

  it('are written once for changes that come together, the last of them', async () => {
    store.save([machine('10.9.0.1')])
    store.save([machine('10.9.0.2')])
    expect(await store.read()).toEqual([])
    clock.advance(1000)
    await store.close()
    expect(await store.read()).toEqual([machine('10.9.0.2')])
  })

  it.each([
    ['no JSON', '{"workloads": [', []],
    ['no list', '{"workloads": {}}', []],
    [
      'some that are none of ours',
      JSON.stringify({
        workloads: [
          null,
          machine('10.9.0.1'),
          { workload: { ...machine('x').workload, address: 'vm.example' } },
          { workload: { ...machine('10.9.0.3').workload, labels: { app: 1 } } },
          { ...machine('10.9.0.4'), health: { healthy: true, message: '', since: 1e300 } },
        ],
      }),
      [machine('10.9.0.1')],
    ],
  ])('are what can be read of %s, which the log says', async (_what, text, expected) => {
    store.save([])
    await store.close()
    await writeFile(file(), text)
    expect(await store.read()).toEqual(expected)
    expect(warnings).toHaveLength(1)
  })

  it('are bounded', async () => {
    store.save(Array.from({ length: MOST_STORED + 5 }, (_, at) => machine(`10.9.${at >> 8}.${at & 255}`)))
    await store.close()
    expect(JSON.parse(await readFile(file(), 'utf8')).workloads).toHaveLength(MOST_STORED)
    await writeFile(file(), 'x'.repeat(9 * 1024 * 1024))
    expect(await store.read()).toEqual([])
    expect(JSON.stringify(warnings)).toContain('bytes')
  })
})
