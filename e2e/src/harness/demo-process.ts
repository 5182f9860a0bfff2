import { type ChildProcess, spawn } from 'node:child_process'
import { cp, mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LOCK_FILE } from './machine.ts'

/** The checkout. */
export const ROOT = fileURLToPath(new URL('../../..', import.meta.url)).replace(/\/$/, '')

/** A file to show when the demo fails: its last lines. */
const SHOWN_CHARACTERS = 4_000

/** Where a running mesh's parts lie. All of it can be written as JSON. */
export interface MeshPlace {
  /** Of the demo's own process. */
  readonly pid: number
  /** The folder that holds all the others. */
  readonly folder: string
  readonly stateFolder: string
  /** Watched by the control plane. */
  readonly configFolder: string
  readonly appFolder: string
  /** The demo's stdout and stderr. */
  readonly logFile: string
}

/** What to start. */
export interface DemoOptions {
  /** Manifests of the application; a copy of it is run. */
  readonly app: string
  /** Configuration the mesh starts with; a copy is watched. Without it the mesh starts with none. */
  readonly config?: string
}

/** The real demo as a process of its own: control plane, pods, sidecars. */
export class DemoProcess {
  readonly place: MeshPlace
  readonly #child: ChildProcess
  readonly #ended: Promise<string>

  private constructor(place: MeshPlace, child: ChildProcess) {
    this.place = place
    this.#child = child
    this.#ended = new Promise(resolve => {
      child.on('error', failure => resolve(failure.message))
      child.on('exit', (code, signal) => resolve(signal ?? `exit ${code}`))
    })
  }

  /**
   * Launches the demo on copies of the given folders, once no other mesh runs on this machine. It is not ready
   * when this resolves: wait for what its hub says.
   */
  static async launch({ app, config }: DemoOptions): Promise<DemoProcess> {
    const folder = await mkdtemp(join(tmpdir(), 'seine-e2e-'))
    const [appFolder, configFolder, stateFolder] = ['app', 'config', 'state'].map(name =>
      join(folder, name),
    ) as [string, string, string]
    await cp(app, appFolder, { recursive: true })
    if (config === undefined) await mkdir(configFolder)
    else await cp(config, configFolder, { recursive: true })
    const logFile = join(folder, 'demo.log')
    const demo = join(ROOT, 'demo', 'dist', 'main.js')
    const command = [
      process.execPath,
      demo,
      '--app',
      appFolder,
      '--config',
      configFolder,
      '--state',
      stateFolder,
    ]
    // The demo ends with whoever started it, however that ends.
    const guarded = ['--pdeathsig', 'TERM', '--', 'flock', '--no-fork', LOCK_FILE, ...command]
    const log = await open(logFile, 'a')
    const child = spawn('setpriv', guarded, {
      cwd: ROOT,
      stdio: ['ignore', log.fd, log.fd],
      // A terminal's Ctrl-C is for the tests, which stop the demo in order.
      detached: true,
    })
    await log.close()
    const place = { pid: child.pid ?? 0, folder, appFolder, configFolder, stateFolder, logFile }
    return new DemoProcess(place, child)
  }

  /** Resolves when the process has ended, with how: `exit 0`. */
  get ended(): Promise<string> {
    return this.#ended
  }

  /** The end of what the demo wrote. */
  async output(): Promise<string> {
    return (await readFile(this.place.logFile, 'utf8')).slice(-SHOWN_CHARACTERS)
  }

  /** Asks the demo to stop and waits until it has. @returns how it ended: `exit 0` when it left nothing behind. */
  async stop(): Promise<string> {
    this.#child.kill('SIGTERM')
    return this.#ended
  }

  /** Removes the folders, with logs. */
  async clear(): Promise<void> {
    await rm(this.place.folder, { recursive: true, force: true })
  }
}
