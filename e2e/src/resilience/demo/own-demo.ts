import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, Hub, Mesh, ROOT } from '../../harness/index.ts'
import { OwnProcess } from '../own-process.ts'

const APP = join(ROOT, 'e2e', 'app')
const START = { timeoutMs: 90_000 }

/** A small application: a client, two servers, and their namespaces. */
const FILES = ['00-namespaces.yaml', 'client.yaml', 'front.yaml', 'middle.yaml'] as const
export const WORKLOADS = ['client-v1', 'front-v1', 'middle-v1'] as const

/** Folders for demos that a test starts, one after the other or at once. */
export class DemoFolder {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  static async make(): Promise<DemoFolder> {
    const folder = new DemoFolder(await mkdtemp(join(tmpdir(), 'seine-demo-')))
    await mkdir(folder.config)
    await mkdir(folder.app)
    for (const file of FILES) await cp(join(APP, file), join(folder.app, file))
    return folder
  }

  get app(): string {
    return join(this.path, 'app')
  }

  get config(): string {
    return join(this.path, 'config')
  }

  get state(): string {
    return join(this.path, 'state')
  }

  /** Starts a demo on the folders, with more flags. */
  start(...flags: readonly string[]): OwnDemo {
    return new OwnDemo(this, flags)
  }

  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true })
  }
}

let started = 0

/** A demo that a test has started. */
export class OwnDemo extends OwnProcess {
  readonly #folder: DemoFolder

  constructor(folder: DemoFolder, flags: readonly string[]) {
    started += 1
    const own = ['--app', folder.app, '--config', folder.config, '--state', folder.state]
    const program = [process.execPath, join(ROOT, 'demo', 'dist', 'main.js')]
    super([...program, ...own, ...flags], join(folder.path, `demo-${started}.log`))
    this.#folder = folder
  }

  /** Resolves when it has written this. */
  async says(text: string | RegExp): Promise<void> {
    await eventually(
      async () => {
        const output = await this.output()
        if (typeof text === 'string' ? !output.includes(text) : !text.test(output))
          throw new Error(`the demo has not said ${text}:\n${output}`)
      },
      { ...START, everyMs: 20 },
    )
  }

  /** Waits until its pods are ready and have all of their configuration. */
  async mesh(): Promise<Mesh> {
    await eventually(async () => {
      const workloads = await new Hub().workloads()
      const waiting = WORKLOADS.filter(name => !workloads.some(one => one.name === name && one.ready))
      if (waiting.length > 0) throw new Error(`not ready: ${waiting.join(', ')}\n${await this.output()}`)
    }, START)
    const mesh = await Mesh.at({
      pid: this.pid,
      folder: this.#folder.path,
      stateFolder: this.#folder.state,
      configFolder: this.#folder.config,
      appFolder: this.#folder.app,
      logFile: this.logFile,
    })
    await mesh.settled()
    return mesh
  }
}
