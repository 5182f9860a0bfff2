import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { err, ok, type Result } from '@seine/kit'
import { isAlive, type Owner } from './owner.ts'

/** What a running demo says of itself. */
export interface LockHolder extends Owner {
  readonly dashboard: string
}

/** Takes the lock, or returns the live process that holds it. A dead holder's lock is taken over. */
export async function takeLock(
  file: string,
  holder: LockHolder,
): Promise<Result<() => Promise<void>, LockHolder>> {
  await mkdir(dirname(file), { recursive: true })
  for (;;) {
    try {
      await writeFile(file, JSON.stringify(holder), { flag: 'wx' })
      return ok(() => rm(file, { force: true }))
    } catch (failure) {
      if (!(failure instanceof Error && 'code' in failure && failure.code === 'EEXIST')) throw failure
    }
    const other = await readHolder(file)
    if (other !== undefined && isAlive(other)) return err(other)
    await rm(file, { force: true })
  }
}

async function readHolder(file: string): Promise<LockHolder | undefined> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as LockHolder
  } catch {
    // Gone in the meantime, or cut off by a crash while it was written: nobody holds it.
    return undefined
  }
}
