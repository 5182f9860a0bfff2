import { readFileSync } from 'node:fs'
import { err, ok, type Result } from '@seine/kit'

/**
 * A process, named so that a later one with the same pid is not mistaken for it: pid and the kernel's
 * start time. The runtime writes it beside everything it makes in the kernel and on disk.
 */
export interface Owner {
  readonly pid: number
  readonly started: string
}

const MARK = 'seine-demo'

/** A process's owner record, if it is alive. */
export function ownerOf(pid: number): Owner | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The command name in parentheses may hold anything; fields count from the last parenthesis.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const started = fields[19]
    return started === undefined || fields[0] === 'Z' ? undefined : { pid, started }
  } catch {
    // No such process: that is the answer.
    return undefined
  }
}

/** This process. */
export function self(): Owner {
  return ownerOf(process.pid) ?? { pid: process.pid, started: '0' }
}

/** Whether the very process that an owner record names still runs. */
export function isAlive(owner: Owner): boolean {
  return ownerOf(owner.pid)?.started === owner.started
}

/** `seine-demo 4711 123456`: fits an interface's alias. */
export function formatOwner(owner: Owner): string {
  return `${MARK} ${owner.pid} ${owner.started}`
}

/** Reads what {@link formatOwner} wrote; anything else is somebody else's. */
export function parseOwner(text: string | undefined): Result<Owner, string> {
  const match = /^seine-demo (\d+) (\d+)$/.exec(text ?? '')
  if (match === null) return err('not made by the demo')
  return ok({ pid: Number(match[1]), started: match[2] ?? '' })
}
