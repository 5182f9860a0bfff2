import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from './command.ts'

/** One mesh at a time on a machine: bridge and ports have fixed names. Others wait for this file's lock. */
export const LOCK_FILE = join(tmpdir(), 'seine-mesh.lock')

/** Why no mesh can run on this machine for the tests, or undefined. */
export async function whyNoMesh(): Promise<string | undefined> {
  if (process.getuid?.() !== 0)
    return 'they look into network namespaces from outside, which takes root; the demo itself does without'
  const namespaces = await run(['unshare', '--net', 'true'])
  return namespaces.code === 0
    ? undefined
    : `no network namespace can be made here: ${namespaces.stderr.trim()}`
}
