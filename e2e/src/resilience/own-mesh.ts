import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, type Ran, ROOT, run, SEINECTL } from '../harness/index.ts'
import { OwnProcess } from './own-process.ts'
import { type Claims, TokenIssuer } from './token-issuer.ts'

const WAIT = { timeoutMs: 30_000 }
let made = 0

/**
 * A network namespace of its own for real control planes and agents, without pods: all ports are free there, and
 * a mesh outside is not disturbed.
 */
export class OwnMesh {
  readonly issuer = new TokenIssuer()
  readonly folder: string
  readonly #netns: string
  readonly #processes: OwnProcess[] = []

  private constructor(folder: string, netns: string) {
    this.folder = folder
    this.#netns = netns
  }

  static async make(): Promise<OwnMesh> {
    made += 1
    const mesh = new OwnMesh(await mkdtemp(join(tmpdir(), 'seine-own-')), `seine-e2e-${process.pid}-${made}`)
    for (const step of [
      ['ip', 'netns', 'add', mesh.#netns],
      ['ip', '-n', mesh.#netns, 'link', 'set', 'lo', 'up'],
    ]) {
      const { code, stderr } = await run(step)
      if (code !== 0) throw new Error(`${step.join(' ')}: ${stderr}`)
    }
    await mkdir(join(mesh.folder, 'state', 'citadel'), { recursive: true })
    await mkdir(mesh.configFolder)
    await writeFile(join(mesh.folder, 'state', 'citadel', 'token-issuers.json'), mesh.issuer.jwks)
    return mesh
  }

  get configFolder(): string {
    return join(this.folder, 'config')
  }

  /** Stops all that was started, and removes every trace. */
  async close(): Promise<void> {
    await Promise.all(this.#processes.map(process => process.stop()))
    await run(['ip', 'netns', 'del', this.#netns])
    await rm(this.folder, { recursive: true, force: true })
  }

  /** Starts the whole control plane; it may not be ready yet, or end. */
  startSeined(...flags: readonly string[]): OwnProcess {
    const program = [process.execPath, join(ROOT, 'seined', 'bin', 'seined.js'), 'all']
    const folders = ['--config', this.configFolder, '--state', join(this.folder, 'state')]
    return this.start([...program, ...folders, ...flags])
  }

  /** Starts the whole control plane and waits until it is ready. */
  async seined(...flags: readonly string[]): Promise<OwnProcess> {
    const seined = this.startSeined(...flags)
    await eventually(async () => {
      const answer = await this.get(15014, '/readyz')
      if (answer !== '200 ready') throw new Error(`seined: ${answer}\n${await seined.output()}`)
    }, WAIT)
    return seined
  }

  /** Starts an agent, with its Envoy, of workload `web` of namespace `shop`, as account `alice`. */
  async agent(token: string): Promise<OwnProcess> {
    const own = await mkdtemp(join(this.folder, 'agent-'))
    await writeFile(join(own, 'token'), token)
    return this.start([process.execPath, join(ROOT, 'agent', 'bin', 'seine-agent.js'), 'proxy'], {
      POD_NAME: 'web-1',
      POD_NAMESPACE: 'shop',
      SERVICE_ACCOUNT: 'alice',
      WORKLOAD_NAME: 'web',
      INSTANCE_IP: '127.0.0.1',
      CA_ADDR: '127.0.0.1:15012',
      XDS_ADDR: '127.0.0.1:15012',
      TOKEN_FILE: join(own, 'token'),
      ROOT_CERT_FILE: join(this.folder, 'state', 'citadel', 'root-cert.pem'),
      RUN_DIR: own,
      DRAIN_MS: '0',
    })
  }

  /** A token of the mesh's issuer for that workload, or with other claims. */
  token(claims: Partial<Claims> = {}): string {
    return this.issuer.token({ serviceAccount: 'alice', pod: 'web-1', ...claims })
  }

  /** Starts a program in the namespace. */
  start(command: readonly string[], env: Readonly<Record<string, string>> = {}): OwnProcess {
    const logFile = join(this.folder, `${this.#processes.length}.log`)
    const process = new OwnProcess(['ip', 'netns', 'exec', this.#netns, ...command], logFile, env)
    this.#processes.push(process)
    return process
  }

  /** Runs a program in the namespace to its end. */
  run(...command: readonly string[]): Promise<Ran> {
    return run(['ip', 'netns', 'exec', this.#netns, ...command])
  }

  /** Runs `seinectl` in the namespace. */
  seinectl(...args: readonly string[]): Promise<Ran> {
    return this.run(...SEINECTL, ...args)
  }

  /** `<status> <body>` of a GET on a port in the namespace. */
  async get(port: number, path: string): Promise<string> {
    const script = `fetch('http://127.0.0.1:${port}${path}').then(async answer => console.log(answer.status, await answer.text()), failure => console.log('failed', failure.cause?.code))`
    return (await this.run(process.execPath, '-e', script)).stdout.trim()
  }

  /** Has a program of no business here listen on a port, until it is stopped. */
  async occupy(port: number): Promise<OwnProcess> {
    const script = `require('node:net').createServer().listen(${port}, '0.0.0.0', () => console.log('listening'))`
    const squatter = this.start([process.execPath, '-e', script])
    await eventually(async () => {
      if (!(await squatter.output()).includes('listening')) throw new Error(`port ${port} is not taken yet`)
    })
    return squatter
  }
}
