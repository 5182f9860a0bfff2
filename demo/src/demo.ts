import type { MeshResource } from '@seine/api'
import { ensureEnvoy } from '@seine/envoy-binary'
import { injectionSettings } from '@seine/injector'
import { type Clock, closeAll, err, formatProblem, type Logger, ok, type Result } from '@seine/kit'
import { ControlPlane } from './control-plane.ts'
import {
  CONTROL_PLANE_ACCOUNT,
  citadelAddress,
  controlPlanePrograms,
  controlPlaneTokenFile,
} from './control-plane-programs.ts'
import { failureOf, measureWorkload, scrape } from './measure.ts'
import { ROOT } from './paths.ts'
import type { Progress } from './progress.ts'
import { judge, type Report } from './report.ts'
import { POD_NETWORK } from './runtime/addresses.ts'
import { readManifests } from './runtime/manifests.ts'
import { self } from './runtime/owner.ts'
import type { Machine, PodRunner } from './runtime/pod.ts'
import { LocalRuntime } from './runtime/runtime.ts'
import { makeSidecar, sidecarMachine } from './sidecar.ts'
import { askTraffic } from './traffic-control.ts'

const TRAFFIC = 'traffic'
/** Starting a pod is mostly CPU: a few at a time are done sooner than all at once. */
const PARALLEL_STARTS = 4
const CONTROL_PLANE_START_MS = 60_000
const POLL_MS = 500

export interface DemoOptions {
  readonly stateFolder: string
  /** Folders with the application and with the mesh's configuration. */
  readonly app: string
  readonly config: string
  /** The control plane's components as processes of their own. */
  readonly apart: boolean
  /** The longest life of workloads' certificates, such as `10m`. */
  readonly certTtl: string | undefined
  /** False in a user namespace that maps one user id only. */
  readonly changeUser: boolean
  readonly clock: Clock
  readonly log: Logger
  readonly progress: Progress
}

/** The whole demo: control plane, pods, and the judgement whether all is well. */
export class Demo {
  readonly #options: DemoOptions
  readonly #controlPlane: ControlPlane
  #runtime: LocalRuntime | undefined
  #starting: Promise<Result<void, string>> = Promise.resolve(ok(undefined))
  #stopping = false

  constructor(options: DemoOptions) {
    this.#options = options
    const { stateFolder, clock, log } = options
    this.#controlPlane = new ControlPlane({
      stateFolder,
      clock,
      log,
      programs: controlPlanePrograms(options),
    })
  }

  /** The folder of configuration that the mesh watches. */
  get config(): string {
    return this.#options.config
  }

  /**
   * Starts everything, up to all pods being ready. After `timeoutMs` it resolves although some are not:
   * {@link Demo.measure} says which, and the start goes on.
   */
  start(timeoutMs: number): Promise<Result<void, string>> {
    this.#starting = this.#start()
    const late = new Promise<Result<void, string>>(resolve =>
      this.#options.clock.after(timeoutMs, () => resolve(ok(undefined))),
    )
    return Promise.race([this.#starting, late])
  }

  /** Waits until all is well, or `timeoutMs` has passed since the demo's start. */
  async untilGreen(timeoutMs: number): Promise<Report> {
    const { clock, progress } = this.#options
    let said = ''
    for (;;) {
      const report = await this.measure()
      if (report.green || this.#stopping || progress.seconds() * 1_000 > timeoutMs) return report
      const first = report.reasons?.[0] ?? ''
      if (first !== said) progress.say(`waiting: ${first}`)
      said = first
      await new Promise<void>(resolve => clock.after(POLL_MS, resolve))
    }
  }

  /** Reads the proxies' metrics and the traffic generator's figures, and judges them. */
  async measure(): Promise<Report> {
    const pods = this.#runtime?.pods ?? []
    const inMesh = pods.filter(pod => pod.hasProxy)
    const scrapes = await Promise.all(inMesh.map(pod => scrape(pod.spec.ip)))
    const samples = scrapes.flatMap(one => one.samples)
    const traffic = await this.askTraffic('/stats')
    const refused = (await Promise.all(this.ingresses.map(one => failureOf(one)))).flatMap(one => one ?? [])
    const workloads = unique(inMesh.map(pod => pod.spec.pod)).map(pod =>
      measureWorkload(pod.workload, pod.metadata.namespace, samples),
    )
    const failures = scrapes.flatMap(one => one.failure ?? [])
    if (pods.length === 0) failures.push('no pod runs')
    if (!traffic.ok) failures.push(traffic.error)
    const unready = pods.filter(pod => !pod.state().ready).map(pod => `${pod.name} is not ready`)
    return judge({
      seconds: this.#options.progress.seconds(),
      stats: traffic.ok ? traffic.value : undefined,
      workloads,
      // Gateways pass on what applications answer, in whose answers they are not named.
      expected: unique(pods.filter(pod => !pod.isGateway).map(pod => pod.spec.pod))
        .map(pod => pod.workload)
        .filter(name => !name.startsWith(`${TRAFFIC}-`)),
      failures: [...unready, ...failures, ...refused],
    })
  }

  /** The addresses at which gateways take requests from outside, by plain HTTP. */
  get ingresses(): readonly string[] {
    const gateways = this.#runtime?.pods.filter(pod => pod.isGateway) ?? []
    return gateways.flatMap(({ spec }) =>
      spec.pod.spec.containers
        .flatMap(({ ports }) => ports ?? [])
        .flatMap(({ name, containerPort }) =>
          name === 'http' ? [`http://${spec.ip}:${containerPort}/`] : [],
        ),
    )
  }

  /** Whether the application brings a traffic generator, by whose calls all is judged. */
  get hasTraffic(): boolean {
    return this.#trafficPod() !== undefined
  }

  /** GETs the traffic generator's figures, or changes its rate. */
  async askTraffic(path: string, method: 'GET' | 'POST' = 'GET') {
    const pod = this.#trafficPod()
    return pod === undefined ? err('there is no traffic generator') : askTraffic(pod.spec.ip, path, method)
  }

  #trafficPod(): PodRunner | undefined {
    return this.#runtime?.pods.find(one => one.spec.pod.workload.startsWith(`${TRAFFIC}-`))
  }

  /** Stops everything, also in the middle of a start. Returns what could not be removed. */
  async stop(): Promise<readonly string[]> {
    this.#stopping = true
    const leftovers: string[] = []
    const runtime = {
      close: async () => {
        leftovers.push(...((await this.#runtime?.stop()) ?? []))
        // A start that was under way has seen that it is to stop; what it had made is removed now.
        await this.#starting
        leftovers.push(...((await this.#runtime?.stop()) ?? []))
      },
    }
    await closeAll([{ close: () => this.#controlPlane.stop() }, runtime])
    return leftovers
  }

  async #start(): Promise<Result<void, string>> {
    const { progress, stateFolder, changeUser, clock, log, app, config, apart } = this.#options
    const envoy = await ensureEnvoy(step => progress.say(step))
    if (!envoy.ok) return err(formatProblem(envoy.error))
    progress.say(`Envoy ${envoy.value.version} at ${envoy.value.path}`)
    const manifests = await readManifests(app)
    const broken = manifests.problems.filter(problem => problem.severity === 'error')
    if (broken.length > 0) return err(broken.map(formatProblem).join('\n'))
    // Settings of proxies hold for pods that start after they were written, as these do. What is wrong there the mesh tells.
    const { resources } = await readManifests(config)
    const settings = injectionSettings([...manifests.resources, ...resources])
    if (this.#stopping) return err('stopped')
    const machine: Machine = {
      owner: self(),
      stateFolder,
      root: ROOT,
      node: process.execPath,
      envoy: envoy.value.path,
      hostIp: POD_NETWORK.gateway,
      changeUser,
      clock,
      log,
      ...sidecarMachine(changeUser),
    }
    const runtime = new LocalRuntime({
      machine,
      inject: makeSidecar(changeUser, settings, citadelAddress(apart)),
      parallel: PARALLEL_STARTS,
    })
    this.#runtime = runtime
    const prepared = await runtime.prepare()
    if (!prepared.ok) return prepared
    if (apart) await runtime.keepToken(CONTROL_PLANE_ACCOUNT, controlPlaneTokenFile(stateFolder))
    if (prepared.value.length > 0)
      progress.say(`removed ${prepared.value.length} namespaces of an earlier run that was killed`)
    progress.say(`network ${POD_NETWORK.prefix}.0.0/${POD_NETWORK.bits} on bridge ${POD_NETWORK.bridge}`)
    return this.#startMesh(runtime, manifests.resources)
  }

  async #startMesh(runtime: LocalRuntime, resources: readonly MeshResource[]): Promise<Result<void, string>> {
    const { progress } = this.#options
    if (this.#stopping) return err('stopped')
    const rootCert = await this.#controlPlane.start(CONTROL_PLANE_START_MS)
    if (!rootCert.ok) return rootCert
    progress.say('control plane ready')
    let ready = 0
    return runtime.start(resources, rootCert.value, (pod: PodRunner) => {
      ready += 1
      progress.say(`${pod.spec.pod.workload} ready (${ready} of ${runtime.pods.length})`)
    })
  }
}

/** One pod a workload. */
function unique<T extends { readonly workload: string; readonly metadata: { readonly namespace: string } }>(
  pods: readonly T[],
): readonly T[] {
  return [...new Map(pods.map(pod => [`${pod.metadata.namespace}/${pod.workload}`, pod])).values()]
}
