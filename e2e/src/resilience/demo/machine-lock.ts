import { spawn } from 'node:child_process'
import type { TestProject } from 'vitest/node'
import { LOCK_FILE, whyNoMesh } from '../../harness/machine.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Whether this machine can run the demo as the tests need it. */
    canRunDemo: boolean
  }
}

/** Keeps the machine's lock while the tests run: what they compare would change with a mesh of somebody else. */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const reason = await whyNoMesh()
  project.provide('canRunDemo', reason === undefined)
  if (reason !== undefined) {
    console.log(`the tests of the demo are skipped: ${reason}`)
    return undefined
  }
  console.log('waiting until no mesh runs on this machine')
  const holder = spawn(
    'setpriv',
    [
      '--pdeathsig',
      'KILL',
      '--',
      'flock',
      '--no-fork',
      LOCK_FILE,
      'sh',
      '-c',
      'echo held; exec sleep infinity',
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const ended = new Promise<void>(resolve => holder.once('exit', () => resolve()))
  await new Promise<void>((resolve, reject) => {
    holder.stdout.once('data', () => resolve())
    holder.once('error', reject)
    holder.once('exit', code => reject(new Error(`the lock could not be taken: exit ${code}`)))
  })
  return async () => {
    holder.kill()
    await ended
  }
}
