import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { type LogLine, readLog } from './logs.ts'

/** How long a process may take to end when it is asked to. */
const PATIENCE_MS = 15_000

/** A process that a test starts, with its output in a file. It ends with the test at the latest. */
export class OwnProcess {
  readonly logFile: string
  /** How it ended: `exit 0`, `SIGKILL`. */
  readonly ended: Promise<string>
  readonly #child: ChildProcess

  constructor(command: readonly string[], logFile: string, env: Readonly<Record<string, string>> = {}) {
    this.logFile = logFile
    const output = openSync(logFile, 'a')
    const [program = '', ...args] = ['setpriv', '--pdeathsig', 'KILL', '--', ...command]
    this.#child = spawn(program, args, {
      stdio: ['ignore', output, output],
      env: { ...process.env, ...env },
      detached: true,
    })
    closeSync(output)
    this.ended = new Promise(resolve => {
      this.#child.on('error', failure => resolve(failure.message))
      this.#child.on('exit', (code, signal) => resolve(signal ?? `exit ${code}`))
    })
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error('it did not start')
    return this.#child.pid
  }

  /** Everything it wrote. */
  output(): Promise<string> {
    return readFile(this.logFile, 'utf8')
  }

  /** The lines it wrote in JSON. */
  log(): Promise<readonly LogLine[]> {
    return readLog(this.logFile)
  }

  /** Sends a signal and waits until it has ended. @returns how. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<string> {
    this.#child.kill(signal)
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), PATIENCE_MS)
    const how = await this.ended
    clearTimeout(timer)
    return how
  }
}
