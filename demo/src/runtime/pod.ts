import { chownSync, closeSync, mkdirSync, openSync } from 'node:fs'
import { chmod, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { get } from 'node:http'
import { join } from 'node:path'
import type { Container } from '@seine/api'
import { type CapturedRules, PROXY_CONTAINER, PROXY_UID } from '@seine/injector'
import { type Clock, err, type Logger, ok, type Result, type Secret } from '@seine/kit'
import { ipv6Of } from './addresses.ts'
import { containerEnv, expandReferences } from './environment.ts'
import type { PlannedPod } from './expand.ts'
import { portsListeningBeside } from './listening.ts'
import { createPodNetwork, loadRules, removePodNetwork } from './network.ts'
import type { Owner } from './owner.ts'
import { type Child, endChild } from './process.ts'
import { INSIDE, startContainer, startSandbox } from './sandbox.ts'
import type { PodState } from './status.ts'

const APP_UID = 1000
const READY_PORT = 15021
const STOP_PATIENCE_MS = 2_000
const FIRST_BACKOFF_MS = 250
const LONGEST_BACKOFF_MS = 10_000
/** A container that ran this long had started well: its next failure counts as the first. */
const STEADY_MS = 30_000

/** What a pod needs from the machine it runs on. */
export interface Machine {
  readonly owner: Owner
  readonly stateFolder: string
  readonly root: string
  readonly node: string
  readonly envoy: string
  readonly hostIp: string
  /** Programs of the mesh's own images, by command: `seine-agent` → `node /mnt/seine/agent/…`. */
  readonly programs: Readonly<Record<string, readonly string[]>>
  /** Environment that the local machine sets over what the injector wrote into the proxy's container. */
  readonly proxyEnv: Readonly<Record<string, string>>
  readonly changeUser: boolean
  readonly clock: Clock
  readonly log: Logger
}

/** A pod as it is to run: after injection. */
export interface RunnablePod {
  readonly pod: PlannedPod
  readonly ip: string
  /** Whether it has an IPv6 address, too. */
  readonly isDual: boolean
  /** For a pod with a sidecar. */
  readonly rules?: CapturedRules
}

/** One pod: its namespaces, its processes, and how they are doing. */
export class PodRunner {
  readonly spec: RunnablePod
  readonly #machine: Machine
  readonly #folder: string
  readonly #children = new Map<string, Child>()
  readonly #restarts: Record<string, number> = {}
  readonly #cancels = new Set<() => void>()
  #sandbox: Child | undefined
  #hasNetwork = false
  #stopping = false
  #starting: Promise<Result<void, string>> = Promise.resolve(ok(undefined))
  #projecting: Promise<void> = Promise.resolve()
  #since: string
  #ready = false
  #changed: () => void = () => undefined

  constructor(spec: RunnablePod, machine: Machine) {
    this.spec = spec
    this.#machine = machine
    this.#folder = join(machine.stateFolder, 'run', spec.pod.metadata.name)
    this.#since = new Date(machine.clock.now()).toISOString()
  }

  get name(): string {
    return this.spec.pod.metadata.name
  }

  /** The proxy is all there is: a gateway. */
  get isGateway(): boolean {
    return this.spec.pod.spec.containers.every(({ name }) => name === PROXY_CONTAINER)
  }

  get hasProxy(): boolean {
    return this.spec.pod.spec.containers.some(({ name }) => name === PROXY_CONTAINER)
  }

  state(): PodState {
    return {
      ips: this.#ips,
      phase: this.#sandbox === undefined ? 'Pending' : 'Running',
      ready: this.#ready,
      restarts: this.#restarts,
      since: this.#since,
    }
  }

  get #ips(): readonly string[] {
    const { ip, isDual } = this.spec
    return isDual ? [ip, ipv6Of(ip).ip] : [ip]
  }

  /** Called whenever {@link state} may have changed. */
  onChange(changed: () => void): void {
    this.#changed = changed
  }

  /** Writes the secrets a kubelet would project into the pod. */
  project(token: Secret, rootCert: string | undefined): Promise<void> {
    if (this.#stopping) return Promise.resolve()
    this.#projecting = this.#project(token, rootCert)
    return this.#projecting
  }

  async #project(token: Secret, rootCert: string | undefined): Promise<void> {
    const secrets = join(this.#folder, 'secrets')
    await mkdir(secrets, { recursive: true })
    await this.#place(join(secrets, 'token'), token.reveal(), 0o400)
    if (rootCert !== undefined) await this.#place(join(secrets, 'root-cert.pem'), rootCert, 0o444)
  }

  /** Network, capture rules, sandbox, proxy, and, once the proxy is ready, the application's containers. */
  start(): Promise<Result<void, string>> {
    this.#starting = this.#start()
    return this.#starting
  }

  async #start(): Promise<Result<void, string>> {
    const prepared = await this.#prepare()
    if (!prepared.ok) return err(`${this.name}: ${prepared.error}`)
    const { containers } = this.spec.pod.spec
    const proxies = containers.filter(container => container.name === PROXY_CONTAINER)
    for (const proxy of proxies) await this.#startContainer(proxy)
    if (this.hasProxy) await this.#until(() => this.#proxyReady())
    for (const container of containers)
      if (!proxies.includes(container)) await this.#startContainer(container)
    await this.#until(() => this.#check())
    this.#watch()
    return ok(undefined)
  }

  /** Sends a signal to a container's program, the application's by default. */
  signal(
    signal: NodeJS.Signals,
    container = this.spec.pod.spec.containers.find(one => one.name !== PROXY_CONTAINER)?.name,
  ): void {
    this.#children.get(container ?? '')?.signal(signal)
  }

  /** Ends everything and removes every trace. Returns what could not be removed. */
  async stop(): Promise<readonly string[]> {
    this.#stopping = true
    for (const cancel of this.#cancels) cancel()
    await this.#starting
    // Whoever asked for them is told of a failure; here it matters that nothing is written any more.
    await Promise.allSettled([this.#projecting])
    await Promise.all([...this.#children.values()].map(child => endChild(child, STOP_PATIENCE_MS)))
    if (this.#sandbox) {
      this.#sandbox.signal('SIGKILL')
      await this.#sandbox.ended
      this.#sandbox = undefined
    }
    await rm(this.#folder, { recursive: true, force: true })
    if (!this.#hasNetwork) return []
    this.#hasNetwork = false
    return removePodNetwork(this.name)
  }

  async #prepare(): Promise<Result<void, string>> {
    if (this.#stopping) return err('stopped')
    const { machine, rules, ip, isDual } = { machine: this.#machine, ...this.spec }
    mkdirSync(join(this.#folder, 'proxy'), { recursive: true, mode: 0o700 })
    if (machine.changeUser) chownSync(join(this.#folder, 'proxy'), PROXY_UID, PROXY_UID)
    await mkdir(this.#logFolder(), { recursive: true })
    this.#hasNetwork = true
    const network = await createPodNetwork(this.name, ip, machine.owner, isDual)
    if (!network.ok) return network
    if (rules !== undefined) {
      const loaded = await loadRules(this.name, rules, isDual)
      if (!loaded.ok) return loaded
    }
    const sandbox = await startSandbox({
      pod: this.name,
      namespace: this.spec.pod.metadata.namespace,
      root: machine.root,
      node: machine.node,
      envoy: machine.envoy,
      folder: this.#folder,
      upstreamNameServer: machine.hostIp,
    })
    if (!sandbox.ok) return err(`sandbox: ${sandbox.error}; see ${join(this.#folder, 'sandbox.log')}`)
    this.#sandbox = sandbox.value
    this.#changed()
    return ok(undefined)
  }

  async #startContainer(container: Container, backoffMs = FIRST_BACKOFF_MS): Promise<void> {
    const sandbox = this.#sandbox
    if (this.#stopping || sandbox === undefined) return
    const startedAt = this.#machine.clock.now()
    const log = this.#openLog(container)
    const started = await startContainer(sandbox, { ...this.#launchOf(container), log })
    closeSync(log)
    if (started.ok) this.#children.set(container.name, started.value)
    if (this.#stopping && started.ok) return endChild(started.value, STOP_PATIENCE_MS)
    const ending = started.ok ? started.value.ended : Promise.resolve(started.error)
    void ending.then(how => this.#restart(container, how, startedAt, backoffMs))
  }

  #restart(container: Container, how: string, startedAt: number, backoffMs: number): void {
    this.#children.delete(container.name)
    if (this.#stopping) return
    const { clock, log } = this.#machine
    log.warn(
      { pod: this.name, container: container.name, ending: how, backoffMs },
      'container ended, restarting it',
    )
    this.#restarts[container.name] = (this.#restarts[container.name] ?? 0) + 1
    this.#setReady(false)
    const steady = clock.now() - startedAt >= STEADY_MS
    const next = steady ? FIRST_BACKOFF_MS : Math.min(backoffMs * 2, LONGEST_BACKOFF_MS)
    this.#later(steady ? FIRST_BACKOFF_MS : backoffMs, () => void this.#startContainer(container, next))
  }

  #launchOf(container: Container) {
    const { machine, pod } = { machine: this.#machine, pod: this.spec.pod }
    const isProxy = container.name === PROXY_CONTAINER
    const env = {
      ...containerEnv(container, { pod, ips: this.#ips, hostIp: machine.hostIp }),
      ...(isProxy ? machine.proxyEnv : {}),
    }
    const [program = '', ...args] = [...(container.command ?? []), ...(container.args ?? [])].map(word =>
      expandReferences(word, env),
    )
    return {
      command: [...(machine.programs[program] ?? [program]), ...args],
      env: { PATH: `${INSIDE.bin}:/usr/local/bin:/usr/bin:/bin`, HOME: '/tmp', HOSTNAME: this.name, ...env },
      workingDir: typeof container['workingDir'] === 'string' ? container['workingDir'] : INSIDE.root,
      uid: runAsUser(container) ?? (isProxy ? PROXY_UID : APP_UID),
      isProxy,
      changeUser: machine.changeUser,
    }
  }

  /** The log belongs to the container's user: a program may reopen it as /dev/stdout. */
  #openLog(container: Container): number {
    const log = openSync(join(this.#logFolder(), `${container.name}.log`), 'a')
    if (this.#machine.changeUser) {
      const { uid } = this.#launchOf(container)
      chownSync(join(this.#logFolder(), `${container.name}.log`), uid, uid)
    }
    return log
  }

  #logFolder(): string {
    return join(this.#machine.stateFolder, 'logs', this.name)
  }

  async #place(file: string, text: string, mode: number): Promise<void> {
    await writeFile(`${file}.new`, text)
    await chmod(`${file}.new`, mode)
    if (this.#machine.changeUser) chownSync(`${file}.new`, PROXY_UID, PROXY_UID)
    await rename(`${file}.new`, file)
  }

  async #check(): Promise<boolean> {
    const ready = (await this.#containersListen()) && (!this.hasProxy || (await this.#proxyReady()))
    this.#setReady(ready)
    return ready
  }

  async #containersListen(): Promise<boolean> {
    const { containers } = this.spec.pod.spec
    if (this.#sandbox === undefined || containers.some(container => !this.#children.has(container.name)))
      return false
    const wanted = containers
      .filter(container => container.name !== PROXY_CONTAINER)
      .flatMap(container =>
        (container.ports ?? []).filter(port => port.protocol !== 'UDP').map(port => port.containerPort),
      )
    const listening = await portsListeningBeside(this.#sandbox.pid)
    return wanted.every(port => port !== undefined && listening.has(port))
  }

  #proxyReady(): Promise<boolean> {
    return answers200(this.spec.ip, READY_PORT, '/healthz/ready')
  }

  #setReady(ready: boolean): void {
    if (ready === this.#ready) return
    this.#ready = ready
    this.#since = new Date(this.#machine.clock.now()).toISOString()
    this.#changed()
  }

  /** Asks a condition again and again, until it holds or the pod is stopped. */
  #until(condition: () => Promise<boolean>): Promise<void> {
    return new Promise(resolve => {
      const step = async () => {
        if (this.#stopping || (await condition())) resolve()
        else this.#later(50, () => void step())
      }
      this.#cancels.add(resolve)
      void step()
    })
  }

  #watch(): void {
    this.#later(1_000, () => void this.#check().then(() => this.#watch()))
  }

  #later(ms: number, act: () => void): void {
    if (this.#stopping) return
    const cancel = this.#machine.clock.after(ms, () => {
      this.#cancels.delete(cancel)
      act()
    })
    this.#cancels.add(cancel)
  }
}

function runAsUser(container: Container): number | undefined {
  const context = container['securityContext']
  if (typeof context !== 'object' || context === null || !('runAsUser' in context)) return undefined
  return typeof context.runAsUser === 'number' ? context.runAsUser : undefined
}

/** Whether a GET answers 200. */
export function answers200(host: string, port: number, path: string): Promise<boolean> {
  return new Promise(resolve => {
    const request = get({ host, port, path, timeout: 1_000, agent: false }, response => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    // Nobody listens yet, or not in time: not ready.
    request.on('timeout', () => request.destroy())
    request.on('error', () => resolve(false))
  })
}
