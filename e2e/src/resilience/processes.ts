import { readdir, readFile } from 'node:fs/promises'
import { run } from '../harness/index.ts'

/** A process of this machine. */
export interface Found {
  readonly pid: number
  readonly parent: number
  readonly command: readonly string[]
}

/** The processes whose command line `wanted` takes. */
export async function processesOf(
  wanted: (command: readonly string[]) => boolean,
): Promise<readonly Found[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name)).map(Number)
  const all = await Promise.all(
    pids.map(async pid => ({ pid, parent: await parentOf(pid), command: await commandOf(pid) })),
  )
  return all.filter(({ command }) => command.length > 0 && wanted(command))
}

/** The one process in a network namespace whose command line `wanted` takes. */
export async function processIn(
  netns: string,
  wanted: (command: readonly string[]) => boolean,
): Promise<number> {
  const { stdout } = await run(['ip', 'netns', 'pids', netns])
  const pids = new Set(stdout.split('\n').filter(Boolean).map(Number))
  const [found, ...others] = (await processesOf(wanted)).filter(({ pid }) => pids.has(pid))
  if (found === undefined || others.length > 0)
    throw new Error(`one process expected in ${netns}, found ${others.length + (found ? 1 : 0)}`)
  return found.pid
}

/** Takes an Envoy's command line. */
export const isEnvoy = (command: readonly string[]): boolean => command[0]?.endsWith('/envoy') === true

/** Takes an agent's. */
export const isAgent = (command: readonly string[]): boolean =>
  command[1]?.endsWith('/seine-agent.js') === true

/** Whether a process is there and has not ended. */
export async function isAlive(pid: number): Promise<boolean> {
  return (await commandOf(pid)).length > 0
}

/** 0 for a process that is gone. */
async function parentOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The program's name in parentheses may hold anything; fields count from the last parenthesis.
  return Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1] ?? 0)
}

/** Empty for a process that is gone, or that has ended and was not waited for. */
async function commandOf(pid: number): Promise<readonly string[]> {
  // It may end while it is looked at: then it is gone.
  const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return text.split('\0').filter(Boolean)
}
