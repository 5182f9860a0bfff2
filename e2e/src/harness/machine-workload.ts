import { randomUUID } from 'node:crypto'
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { OwnProcess } from '../resilience/own-process.ts'
import { TokenIssuer } from '../resilience/token-issuer.ts'
import { run } from './command.ts'
import { ROOT } from './demo-process.ts'
import type { Mesh } from './mesh.ts'
import { SEINECTL } from './seinectl.ts'

/** The bridge of the demo's pods, its gateway, and an address that no pod gets. */
const BRIDGE = 'seine0'
const GATEWAY = '10.77.0.1'
const ADDRESS = '10.77.200.5'
const APP_UID = 1000
/** The agent runs as root: a machine of its own would have a user for it. */
const PROXY_UID = 0

/** Answers on a socket, and on 8080: with what reached it, with what `/call?url=` answers, and on `/healthz` by how it feels, which SIGUSR2 turns. */
const APP = `
let sick = false
process.on('SIGUSR2', () => { sick = !sick })
const serve = async (request, response) => {
  const { pathname, searchParams } = new URL('http://app' + request.url)
  if (pathname === '/healthz') return response.writeHead(sick ? 500 : 200).end()
  if (pathname !== '/call') return response.end(JSON.stringify(request.headers))
  const answer = await fetch(searchParams.get('url')).catch(failure => ({ status: 599, text: async () => String(failure.cause) }))
  response.writeHead(answer.status).end(await answer.text())
}
const { createServer } = require('node:http')
createServer(serve).listen(8080)
createServer((request, response) => response.end('by the socket')).listen(process.argv[1])
`

/** A machine that is no pod: its own network on the bridge, an application, and an agent that nobody injected. */
export class MachineWorkload {
  readonly address = ADDRESS
  readonly #folder: string
  readonly #netns = `seine-machine-${process.pid}`
  #app: OwnProcess | undefined
  #agent: OwnProcess | undefined

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** Makes the machine with what `seinectl` writes for it, and starts its application. Its agent is not started. */
  static async make(mesh: Mesh, group: string, namespace: string, account: string): Promise<MachineWorkload> {
    const machine = new MachineWorkload(await mkdtemp(join(tmpdir(), 'seine-machine-')))
    await machine.#connect()
    await chmod(machine.#folder, 0o711)
    await mkdir(dirname(machine.socket))
    await chown(dirname(machine.socket), APP_UID, APP_UID)
    await machine.#configure(group, namespace)
    await machine.#trust(mesh, namespace, account)
    machine.#app = machine.#start(
      [
        'setpriv',
        `--reuid=${APP_UID}`,
        `--regid=${APP_UID}`,
        '--clear-groups',
        '--',
        process.execPath,
        '-e',
        APP,
        machine.socket,
      ],
      {},
      'app',
    )
    return machine
  }

  /** The path of the Unix domain socket on which its application listens as well. */
  get socket(): string {
    return join(this.#folder, 'app', 'app.sock')
  }

  startAgent(): void {
    this.#agent = this.#start(
      [process.execPath, join(ROOT, 'agent', 'bin', 'seine-agent.js'), 'proxy'],
      this.#environment,
      'agent',
    )
  }

  /** Stops the agent and its Envoy as a shutdown would. */
  async stopAgent(): Promise<void> {
    await this.#agent?.stop()
  }

  /** Keeps its agent from doing anything until {@link resumeAgent}; its Envoy and its application go on. */
  pauseAgent(): void {
    process.kill(this.#agent?.pid ?? Number.NaN, 'SIGSTOP')
  }

  resumeAgent(): void {
    process.kill(this.#agent?.pid ?? Number.NaN, 'SIGCONT')
  }

  /** Makes its application feel otherwise than before. */
  turnHealth(): void {
    process.kill(this.#app?.pid ?? Number.NaN, 'SIGUSR2')
  }

  /** What its agent and application have written. */
  async log(): Promise<string> {
    const parts = await Promise.all([this.#app, this.#agent].map(one => one?.output()))
    return parts.join('\n')
  }

  /** Stops everything, and removes every trace. */
  async close(): Promise<void> {
    await Promise.all([this.#agent?.stop(), this.#app?.stop()])
    await run(['ip', 'netns', 'del', this.#netns])
    await rm(this.#folder, { recursive: true, force: true })
  }

  async #connect(): Promise<void> {
    const inside = ['ip', '-n', this.#netns]
    const veth = `sm${process.pid}`
    await must(['ip', 'netns', 'add', this.#netns])
    await must([...inside, 'link', 'set', 'lo', 'up'])
    await must(['ip', 'link', 'add', veth, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', this.#netns])
    await must(['ip', 'link', 'set', veth, 'master', BRIDGE, 'up'])
    await must([...inside, 'addr', 'add', `${ADDRESS}/16`, 'dev', 'eth0'])
    await must([...inside, 'link', 'set', 'eth0', 'up'])
    await must([...inside, 'route', 'add', 'default', 'via', GATEWAY])
  }

  #environment: Record<string, string> = {}

  async #configure(group: string, namespace: string): Promise<void> {
    const flags = [
      '--address',
      ADDRESS,
      '--control-plane',
      `${GATEWAY}:15012`,
      '--proxy-uid',
      String(PROXY_UID),
    ]
    await must([
      ...SEINECTL,
      'workload-configure',
      group,
      '-n',
      namespace,
      ...flags,
      '--output-dir',
      this.#folder,
    ])
    const rules = await readFile(join(this.#folder, 'capture.rules'), 'utf8')
    await must(['ip', 'netns', 'exec', this.#netns, 'iptables-restore', '--wait', '10'], rules)
    const lines = (await readFile(join(this.#folder, 'agent.env'), 'utf8')).trim().split('\n')
    this.#environment = Object.fromEntries(
      lines.map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 2, -1)]),
    )
  }

  /** Has the mesh trust an issuer of its own, as one of the machines' platform would be, and gives it a token. */
  async #trust({ place }: Mesh, namespace: string, account: string): Promise<void> {
    // Files of tests that run in one process trust one issuer each.
    const issuer = new TokenIssuer(`machine-${randomUUID()}`)
    const file = join(place.stateFolder, 'citadel', 'token-issuers.json')
    const { keys } = JSON.parse(await readFile(file, 'utf8')) as { keys: unknown[] }
    const own = (JSON.parse(issuer.jwks) as { keys: unknown[] }).keys
    await writeFile(file, JSON.stringify({ keys: [...keys, ...own] }))
    const token = join(this.#folder, 'token')
    await writeFile(token, issuer.token({ namespace, serviceAccount: account }), { mode: 0o400 })
    Object.assign(this.#environment, {
      TOKEN_FILE: token,
      ROOT_CERT_FILE: join(place.stateFolder, 'citadel', 'root-cert.pem'),
      RUN_DIR: join(this.#folder, 'run'),
      DRAIN_MS: '0',
    })
  }

  #start(command: readonly string[], env: Readonly<Record<string, string>>, name: string): OwnProcess {
    return new OwnProcess(
      ['ip', 'netns', 'exec', this.#netns, ...command],
      join(this.#folder, `${name}.log`),
      env,
    )
  }
}

async function must(command: readonly string[], input = ''): Promise<void> {
  const { code, stderr } = await run(command, input)
  if (code !== 0) throw new Error(`${command.join(' ')}: ${stderr}`)
}
