import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { err, ok, type Result } from '@seine/kit'
import { TOOL_PATH } from './command.ts'

/** How a child ended: `exit 1`, `SIGKILL`. */
export type Ending = string

/** A child process of ours. It dies with this process, however that ends. */
export interface Child {
  /** The pid, on the host, of the program itself (not of the tools that start it). */
  readonly pid: number
  readonly ended: Promise<Ending>
  signal(signal: NodeJS.Signals): void
}

/** What to start. */
export interface Launch {
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** File descriptors for stdout and stderr. */
  readonly output: number
}

const START_LIMIT_MS = 20_000

/**
 * Starts a command that, once set up, writes its pid to descriptor 3 and execs the program. The tools
 * in front (nsenter, unshare) get SIGKILL from the kernel when this process dies, and pass it on.
 */
export async function launch(what: Launch): Promise<Result<Child, string>> {
  // A session of its own: a terminal's Ctrl-C is for this process, which stops the others in order.
  const stdio: StdioOptions = ['ignore', what.output, what.output, 'pipe']
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...what.command], {
    stdio,
    env: { PATH: TOOL_PATH, ...what.env },
    detached: true,
  })
  const ended = endOf(child)
  const pid = await pidFrom(child, ended)
  if (!pid.ok) {
    child.kill('SIGKILL')
    return pid
  }
  return ok({ pid: pid.value, ended, signal: signal => signalProcess(pid.value, signal) })
}

/** Sends a signal; a process that is gone already needs none. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (failure) {
    if (!(failure instanceof Error && 'code' in failure && failure.code === 'ESRCH')) throw failure
  }
}

/** Asks a child to end, and after `patienceMs` makes it. Resolves when it has. */
export async function endChild(child: Child, patienceMs: number): Promise<void> {
  child.signal('SIGTERM')
  const timer = setTimeout(() => child.signal('SIGKILL'), patienceMs)
  await child.ended
  clearTimeout(timer)
}

function endOf(child: ChildProcess): Promise<Ending> {
  return new Promise(resolve => {
    child.on('error', failure => resolve(failure.message))
    child.on('exit', (code, signal) => resolve(signal ?? `exit ${code}`))
  })
}

function pidFrom(child: ChildProcess, ended: Promise<Ending>): Promise<Result<number, string>> {
  return new Promise(resolve => {
    const settle = (result: Result<number, string>) => {
      clearTimeout(timer)
      resolve(result)
    }
    const timer = setTimeout(() => settle(err(`did not start within ${START_LIMIT_MS} ms`)), START_LIMIT_MS)
    void ended.then(ending => settle(err(`ended while starting: ${ending}`)))
    let text = ''
    const pipe = child.stdio[3]
    if (!pipe || !('setEncoding' in pipe)) return settle(err('no pipe for the pid'))
    pipe.setEncoding('utf8')
    pipe.on('error', failure => settle(err(failure.message)))
    pipe.on('data', (chunk: string) => {
      text += chunk
      const match = /^(\d+)\n/.exec(text)
      if (match) settle(ok(Number(match[1])))
    })
  })
}
