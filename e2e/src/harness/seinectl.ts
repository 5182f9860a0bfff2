import { join } from 'node:path'
import { type Ran, run } from './command.ts'
import { ROOT } from './demo-process.ts'

/** The beginning of the command lines that run this build's `seinectl`, wherever they are run. */
export const SEINECTL: readonly string[] = [process.execPath, join(ROOT, 'seinectl', 'bin', 'seinectl.js')]

/** Runs `seinectl` to its end, with `input` on its stdin; in the root of the repository unless told otherwise. */
export function seinectl(args: readonly string[], input = '', cwd: string = ROOT): Promise<Ran> {
  return run([...SEINECTL, ...args], input, cwd)
}
