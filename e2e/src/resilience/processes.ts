import { readdir, readFile } from 'node:fs/promises'
import { run } from '../harness/index.ts'

/** A process of this machine. */
export interface Found {
  readonly pid: number
  readonly command: readonly string[]
}

/** The processes whose command line `wanted` takes. */
export async function processesOf(
  wanted: (command: readonly string[]) => boolean,
): Promise<readonly Found[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number)
  const all = await Promise.all(pids.map(async pid => ({ pid, command: await commandOf(pid) })))
  return all.filter(({ command }) => command.length > 0 && wanted(command))
}

/** The processes in a network namespace that run this program. */
export async function processesIn(netns: string, program: string): Promise<readonly number[]> {
  const { stdout } = await run(['ip', 'netns', 'pids', netns])
  const pids = stdout.split('\n').filter(Boolean).map(Number)
  const commands = await Promise.all(pids.map(commandOf))
  return pids.filter((_, index) => commands[index]?.[0]?.endsWith(`/${program}`))
}

/** Whether a process is there and has not ended. */
export async function isAlive(pid: number): Promise<boolean> {
  return (await commandOf(pid)).length > 0
}

/** Empty for a process that is gone, or that has ended and was not waited for. */
async function commandOf(pid: number): Promise<readonly string[]> {
  // It may end while it is looked at: then it is gone.
  const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return text.split('\0').filter(Boolean)
}
