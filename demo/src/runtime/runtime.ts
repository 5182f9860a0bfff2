import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { MeshResource } from '@seine/api'
import type { CapturedRules } from '@seine/injector'
import { err, ok, type Result } from '@seine/kit'
import { AddressPool, POD_NETWORK } from './addresses.ts'
import { expandDeployment, type PlannedPod } from './expand.ts'
import { closeFirewall, openFirewall } from './firewall.ts'
import { deploymentsOf, namespaceLabels } from './manifests.ts'
import { createBridge, findLeftovers, hasIpv6, removeBridge, removeLeftovers } from './network.ts'
import { type Machine, PodRunner } from './pod.ts'
import { PodFolder } from './status.ts'
import { createTokenIssuer, TOKEN_LIFETIME_S, type TokenIssuer, type TokenSubject } from './tokens.ts'

/** A pod with the value `dual` here has an IPv6 address beside its other one, where the machine has IPv6. */
export const FAMILIES_ANNOTATION = 'demo.seine.dev/ip-families'
/** A pod that asks for a fixed address, as an external service with a known one would have. */
export const IP_ANNOTATION = 'demo.seine.dev/ip'
/** Pods with a higher wave start when all of lower waves are ready: load generators. */
export const WAVE_ANNOTATION = 'demo.seine.dev/wave'

/** Adds the sidecar to a pod that wants one: the injector, seen from here. Without a sidecar there are no rules. */
export type Inject = (
  pod: PlannedPod,
  namespaceLabels: Readonly<Record<string, string>>,
) => Result<{ readonly pod: PlannedPod; readonly rules?: CapturedRules }, string>

export interface RuntimeOptions {
  readonly machine: Machine
  readonly inject: Inject
  /** How many pods start at the same time. */
  readonly parallel: number
}

/**
 * A kubelet in small: turns Deployments into pods with namespaces of their own, gives them tokens and
 * addresses, keeps them running and reports them into the folder that the control plane watches.
 */
export class LocalRuntime {
  readonly #options: RuntimeOptions
  readonly #folder: PodFolder
  readonly #pods: PodRunner[] = []
  /** File → whose token it holds. */
  readonly #kept = new Map<string, TokenSubject>()
  #issuer: TokenIssuer | undefined
  #rootCert: string | undefined
  #hasBridge = false
  #cancelRenewal: () => void = () => undefined
  #writes: Promise<void> = Promise.resolve()

  constructor(options: RuntimeOptions) {
    this.#options = options
    this.#folder = new PodFolder(options.machine.stateFolder)
  }

  get pods(): readonly PodRunner[] {
    return this.#pods
  }

  get podFolder(): string {
    return this.#folder.path
  }

  /** Clears what dead runs left, makes the bridge, and writes the token issuer's public key for the CA. */
  async prepare(): Promise<Result<readonly string[], string>> {
    const { machine } = this.#options
    const leftovers = await findLeftovers()
    if (leftovers.heldBy !== undefined) {
      const who = leftovers.heldBy === 'unknown' ? 'something else' : `process ${leftovers.heldBy.pid}`
      return err(`the bridge ${POD_NETWORK.bridge} exists already and belongs to ${who}`)
    }
    const failures = [...(await removeLeftovers(leftovers)), ...(await closeFirewall())]
    if (failures.length > 0) return err(`could not clear what an earlier run left: ${failures.join('; ')}`)
    await rm(join(machine.stateFolder, 'run'), { recursive: true, force: true })
    await rm(join(machine.stateFolder, 'logs'), { recursive: true, force: true })
    await this.#folder.reset()
    this.#issuer = await createTokenIssuer(machine.clock)
    const citadel = join(machine.stateFolder, 'citadel')
    await mkdir(citadel, { recursive: true, mode: 0o700 })
    await writeFile(join(citadel, 'token-issuers.json'), `${JSON.stringify(this.#issuer.jwks, null, 2)}\n`)
    const bridge = await createBridge(machine.owner)
    if (!bridge.ok) return err(`could not make the bridge ${POD_NETWORK.bridge}: ${bridge.error}`)
    this.#hasBridge = true
    const opened = await openFirewall()
    if (!opened.ok) return err(`could not let the pods through the firewall: ${opened.error}`)
    if (opened.value.length > 0)
      machine.log.info({ chains: opened.value }, 'let the pods through the firewall until the demo stops')
    return ok(leftovers.namespaces)
  }

  /** Writes a token for something that runs beside the pods into a file, and renews it there. */
  async keepToken(subject: TokenSubject, file: string): Promise<void> {
    this.#kept.set(file, subject)
    await this.#writeTokens()
  }

  /** Starts every Deployment's pods, wave by wave. `onReady` is told of each pod. */
  async start(
    resources: readonly MeshResource[],
    rootCert: string | undefined,
    onReady: (pod: PodRunner) => void,
  ): Promise<Result<void, string>> {
    this.#rootCert = rootCert
    const planned = this.#plan(resources)
    if (!planned.ok) return planned
    this.#scheduleRenewal()
    const waves = new Map<number, PodRunner[]>()
    for (const pod of this.#pods) {
      const wave = Number(pod.spec.pod.metadata.annotations[WAVE_ANNOTATION] ?? 0)
      waves.set(wave, [...(waves.get(wave) ?? []), pod])
    }
    for (const [, pods] of [...waves].sort(([a], [b]) => a - b)) {
      const started = await inParallel(pods, this.#options.parallel, pod => this.#startPod(pod, onReady))
      const failed = started.find(result => !result.ok)
      if (failed) return failed
    }
    return ok(undefined)
  }

  /** Stops the pods and removes all that {@link prepare} and {@link start} made. Returns what resisted. */
  async stop(): Promise<readonly string[]> {
    this.#cancelRenewal()
    const failures = (await Promise.all(this.#pods.map(pod => pod.stop()))).flat()
    await this.#writes
    await this.#folder.clear()
    for (const file of this.#kept.keys()) await rm(file, { force: true })
    this.#kept.clear()
    await rm(join(this.#options.machine.stateFolder, 'run'), { recursive: true, force: true })
    if (this.#hasBridge) {
      failures.push(...(await closeFirewall()))
      const removed = await removeBridge()
      if (!removed.ok) failures.push(removed.error)
    }
    this.#hasBridge = false
    return failures
  }

  #plan(resources: readonly MeshResource[]): Result<void, string> {
    const labels = namespaceLabels(resources)
    const planned = deploymentsOf(resources).flatMap(expandDeployment)
    const fixed = planned.flatMap(pod => pod.metadata.annotations[IP_ANNOTATION] ?? [])
    const addresses = new AddressPool(fixed)
    for (const pod of planned) {
      const ip = addresses.allocate(pod.metadata.annotations[IP_ANNOTATION])
      if (!ip.ok) return err(`${pod.metadata.name}: ${ip.error}`)
      const injected = this.#options.inject(pod, labels.get(pod.metadata.namespace) ?? {})
      if (!injected.ok) return err(`${pod.metadata.name}: ${injected.error}`)
      const isDual = pod.metadata.annotations[FAMILIES_ANNOTATION] === 'dual' && hasIpv6()
      this.#pods.push(new PodRunner({ ...injected.value, ip: ip.value, isDual }, this.#options.machine))
    }
    return ok(undefined)
  }

  async #startPod(pod: PodRunner, onReady: (pod: PodRunner) => void): Promise<Result<void, string>> {
    pod.onChange(() => this.#report(pod))
    this.#report(pod)
    await this.#projectInto(pod)
    const started = await pod.start()
    if (started.ok && pod.state().ready) onReady(pod)
    return started
  }

  async #projectInto(pod: PodRunner): Promise<void> {
    if (this.#issuer === undefined) return
    const { metadata, spec } = pod.spec.pod
    const subject = {
      namespace: metadata.namespace,
      serviceAccount: spec.serviceAccountName ?? 'default',
      pod: metadata.name,
    }
    await pod.project(await this.#issuer.mint(subject), this.#rootCert)
  }

  /** Writes are in a row, so that the newest state is the one that stays. */
  #report(pod: PodRunner): void {
    const { log } = this.#options.machine
    this.#writes = this.#writes
      .then(() => this.#folder.write(pod.spec.pod, pod.state()))
      .catch((failure: unknown) =>
        log.error({ pod: pod.name, failure }, 'could not write the status of a pod'),
      )
  }

  async #writeTokens(): Promise<void> {
    const issuer = this.#issuer
    if (issuer === undefined) return
    for (const [file, subject] of this.#kept) {
      await mkdir(dirname(file), { recursive: true, mode: 0o700 })
      await writeFile(`${file}.new`, (await issuer.mint(subject)).reveal(), { mode: 0o400 })
      await rename(`${file}.new`, file)
    }
  }

  #scheduleRenewal(): void {
    const { clock, log } = this.#options.machine
    this.#cancelRenewal = clock.after((TOKEN_LIFETIME_S * 1_000) / 2, () => {
      void Promise.all([this.#writeTokens(), ...this.#pods.map(pod => this.#projectInto(pod))]).catch(
        (failure: unknown) => log.error({ failure }, 'could not renew the tokens of pods'),
      )
      this.#scheduleRenewal()
    })
  }
}

/** Runs `act` on every item, at most `parallel` at a time, in order. */
export async function inParallel<T, R>(
  items: readonly T[],
  parallel: number,
  act: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results: R[] = []
  let next = 0
  const worker = async () => {
    for (;;) {
      const index = next
      next += 1
      const item = items[index]
      if (index >= items.length || item === undefined) return
      results[index] = await act(item)
    }
  }
  await Promise.all(Array.from({ length: Math.min(parallel, items.length) }, worker))
  return results
}
