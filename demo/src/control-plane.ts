import { closeSync, mkdirSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, closeAll, err, type Logger, ok, type Result } from '@seine/kit'
import type { ControlPlaneProgram } from './control-plane-programs.ts'
import { answers200 } from './runtime/pod.ts'
import { type Child, endChild, launch } from './runtime/process.ts'

const STOP_PATIENCE_MS = 5_000
const BACKOFF_MS = 1_000
const ANNOUNCE_PID = 'echo $$ >&3; exec 3>&-; exec "$@"'

export interface ControlPlaneOptions {
  /** In the order in which they start. */
  readonly programs: readonly ControlPlaneProgram[]
  readonly stateFolder: string
  readonly clock: Clock
  readonly log: Logger
}

/** The control plane's processes. One that ends is started again: the proxies keep working meanwhile. */
export class ControlPlane {
  readonly #stateFolder: string
  readonly #programs: readonly Supervised[]

  constructor({ programs, ...options }: ControlPlaneOptions) {
    this.#stateFolder = options.stateFolder
    this.#programs = programs.map(program => new Supervised(program, options))
  }

  /** Starts each process and waits until it says it is ready; then returns the mesh's root certificate. */
  async start(timeoutMs: number): Promise<Result<string, string>> {
    for (const program of this.#programs) {
      const started = await program.start(timeoutMs)
      if (!started.ok) return started
    }
    return ok(await readFile(join(this.#stateFolder, 'citadel', 'root-cert.pem'), 'utf8'))
  }

  async stop(): Promise<void> {
    await closeAll(this.#programs.map(program => ({ close: () => program.stop() })))
  }
}

/** One process, kept running. */
class Supervised {
  readonly #program: ControlPlaneProgram
  readonly #options: Omit<ControlPlaneOptions, 'programs'>
  #child: Child | undefined
  #ending: string | undefined
  #stopping = false

  constructor(program: ControlPlaneProgram, options: Omit<ControlPlaneOptions, 'programs'>) {
    this.#program = program
    this.#options = options
  }

  async start(timeoutMs: number): Promise<Result<void, string>> {
    const { clock } = this.#options
    const { name, httpPort } = this.#program
    if (this.#stopping) return err('stopped')
    const started = await this.#launch()
    if (!started.ok) return started
    const deadline = clock.now() + timeoutMs
    while (!(await answers200('127.0.0.1', httpPort, '/readyz')) || this.#ending !== undefined) {
      if (this.#stopping) return err('stopped')
      if (this.#ending !== undefined) return err(await this.#explainEnding(this.#ending))
      if (clock.now() > deadline)
        return err(`${name} was not ready within ${timeoutMs / 1_000} s; see ${this.#logFile}`)
      await new Promise<void>(resolve => clock.after(50, resolve))
    }
    this.#superviseFrom(started.value)
    return ok(undefined)
  }

  async stop(): Promise<void> {
    this.#stopping = true
    if (this.#child && this.#ending === undefined) await endChild(this.#child, STOP_PATIENCE_MS)
  }

  get #logFile(): string {
    return join(this.#options.stateFolder, 'logs', `${this.#program.name}.log`)
  }

  async #launch(): Promise<Result<Child, string>> {
    mkdirSync(join(this.#options.stateFolder, 'logs'), { recursive: true })
    const output = openSync(this.#logFile, 'a')
    const env = Object.fromEntries(
      Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    )
    const command = ['sh', '-c', ANNOUNCE_PID, 'seine-control-plane', ...this.#program.command]
    const started = await launch({ command, env, output })
    closeSync(output)
    if (!started.ok) return err(`${this.#program.name}: ${started.error}; see ${this.#logFile}`)
    this.#child = started.value
    this.#ending = undefined
    void started.value.ended.then(how => {
      if (this.#child === started.value) this.#ending = how
    })
    return started
  }

  /** In the program's own words, where its log has some. */
  async #explainEnding(how: string): Promise<string> {
    const log = await readFile(this.#logFile, 'utf8').catch(() => '') // Nothing was written: there is nothing to add.
    const reason = lastReason(log)
    const { name } = this.#program
    return reason === undefined ? `${name} ended (${how}); see ${this.#logFile}` : `${name}: ${reason}`
  }

  #superviseFrom(child: Child): void {
    const { clock, log } = this.#options
    void child.ended.then(how => {
      if (this.#stopping) return
      log.warn({ ending: how, log: this.#logFile }, `${this.#program.name} ended, starting it again`)
      clock.after(BACKOFF_MS, () => void this.#relaunch())
    })
  }

  async #relaunch(): Promise<void> {
    if (this.#stopping) return
    const started = await this.#launch()
    if (started.ok) return this.#superviseFrom(started.value)
    this.#options.log.error({ reason: started.error }, `could not start ${this.#program.name} again`)
    this.#options.clock.after(BACKOFF_MS * 5, () => void this.#relaunch())
  }
}

/** The reason in the last fatal line of a log in JSON. */
export function lastReason(log: string): string | undefined {
  const line = log.split('\n').findLast(one => one.startsWith('{"level":60,'))
  if (line === undefined) return undefined
  const { reason } = JSON.parse(line) as { readonly reason?: unknown }
  return typeof reason === 'string' ? reason : undefined
}
