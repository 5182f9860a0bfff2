import { closeSync, mkdirSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, err, type Logger, ok, type Result } from '@seine/kit'
import { POD_NETWORK } from './runtime/addresses.ts'
import { answers200 } from './runtime/pod.ts'
import { type Child, endChild, launch } from './runtime/process.ts'

const READY_PORT = 15014
const STOP_PATIENCE_MS = 5_000
const BACKOFF_MS = 1_000
const ANNOUNCE_PID = 'echo $$ >&3; exec 3>&-; exec "$@"'

export interface ControlPlaneOptions {
  readonly command: readonly string[]
  readonly stateFolder: string
  readonly clock: Clock
  readonly log: Logger
}

/** Its own port may be on loopback or on the address the pods see. */
async function isReady(): Promise<boolean> {
  for (const host of ['127.0.0.1', POD_NETWORK.gateway])
    if (await answers200(host, READY_PORT, '/readyz')) return true
  return false
}

/** `seined` as a child process, started again when it ends: the proxies keep working meanwhile. */
export class ControlPlane {
  readonly #options: ControlPlaneOptions
  #child: Child | undefined
  #ending: string | undefined
  #stopping = false

  constructor(options: ControlPlaneOptions) {
    this.#options = options
  }

  get logFile(): string {
    return join(this.#options.stateFolder, 'logs', 'seined.log')
  }

  /** Starts it and waits until it says it is ready; then returns the mesh's root certificate. */
  async start(timeoutMs: number): Promise<Result<string, string>> {
    const { clock, stateFolder } = this.#options
    const started = await this.#launch()
    if (!started.ok) return started
    const deadline = clock.now() + timeoutMs
    while (!(await isReady())) {
      if (this.#ending !== undefined) return err(`seined ended (${this.#ending}); see ${this.logFile}`)
      if (this.#stopping) return err('stopped')
      if (clock.now() > deadline)
        return err(`seined was not ready within ${timeoutMs / 1_000} s; see ${this.logFile}`)
      await new Promise<void>(resolve => clock.after(50, resolve))
    }
    this.#superviseFrom(started.value)
    return ok(await readFile(join(stateFolder, 'citadel', 'root-cert.pem'), 'utf8'))
  }

  async stop(): Promise<void> {
    this.#stopping = true
    if (this.#child && this.#ending === undefined) await endChild(this.#child, STOP_PATIENCE_MS)
  }

  async #launch(): Promise<Result<Child, string>> {
    mkdirSync(join(this.#options.stateFolder, 'logs'), { recursive: true })
    const output = openSync(this.logFile, 'a')
    const env = Object.fromEntries(
      Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
    )
    const command = ['sh', '-c', ANNOUNCE_PID, 'seine-control-plane', ...this.#options.command]
    const started = await launch({ command, env, output })
    closeSync(output)
    if (!started.ok) return err(`seined: ${started.error}; see ${this.logFile}`)
    this.#child = started.value
    this.#ending = undefined
    void started.value.ended.then(how => {
      if (this.#child === started.value) this.#ending = how
    })
    return started
  }

  #superviseFrom(child: Child): void {
    const { clock, log } = this.#options
    void child.ended.then(how => {
      if (this.#stopping) return
      log.warn({ ending: how, log: this.logFile }, 'seined ended, starting it again')
      clock.after(BACKOFF_MS, () => void this.#relaunch())
    })
  }

  async #relaunch(): Promise<void> {
    if (this.#stopping) return
    const started = await this.#launch()
    if (started.ok) return this.#superviseFrom(started.value)
    this.#options.log.error({ reason: started.error }, 'could not start seined again')
    this.#options.clock.after(BACKOFF_MS * 5, () => void this.#relaunch())
  }
}
