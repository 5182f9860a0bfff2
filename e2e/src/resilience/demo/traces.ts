import { readdir } from 'node:fs/promises'
import { run } from '../../harness/index.ts'
import { processesOf } from '../processes.ts'
import type { DemoFolder } from './own-demo.ts'

/** What a mesh makes on a machine, in a form that can be compared. */
export interface Traces {
  readonly iptables: readonly string[]
  readonly links: readonly string[]
  readonly namespaces: readonly string[]
  readonly mounts: readonly string[]
  readonly processes: readonly string[]
  readonly leftInState: readonly string[]
}

/** What there is now. Processes are those that have to do with the folder. */
export async function tracesOf(folder: DemoFolder): Promise<Traces> {
  const [iptables, links, namespaces, mounts] = await Promise.all([
    lines(['iptables-save']),
    lines(['ip', '-o', 'link']),
    lines(['ip', 'netns', 'list']),
    lines(['cat', '/proc/mounts']),
  ])
  const ours = await processesOf(command => command.some(word => word.includes(folder.path)))
  const state = await readdir(folder.state).catch(() => [])
  return {
    // Comments hold the time, brackets count packets.
    iptables: iptables.filter(line => !line.startsWith('#')).map(line => line.replace(/\[\d+:\d+\]/, '')),
    links: links.map(line => line.replace(/^\d+: /, '')),
    namespaces,
    mounts,
    processes: ours.map(({ pid, command }) => `${pid} ${command.join(' ')}`),
    leftInState: state.filter(name => !['citadel', 'logs', 'control-plane'].includes(name)),
  }
}

async function lines(command: readonly string[]): Promise<readonly string[]> {
  const { code, stdout, stderr } = await run(command)
  if (code !== 0) throw new Error(`${command.join(' ')}: ${stderr}`)
  return stdout.split('\n').filter(Boolean)
}
