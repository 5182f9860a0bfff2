import type { ReadinessProbe } from '@seine/api'
import type { DeltaDiscoveryResponse } from '@seine/envoy/envoy/service/discovery/v3/discovery'
import type { Clock, Logger } from '@seine/kit'
import type { Subscription, WorkloadHealth } from './pilot-stream.ts'

/** What Istio's agent takes where a probe does not say it, seconds and answers. */
const DEFAULTS = { periodSeconds: 10, successThreshold: 1, failureThreshold: 3 } as const

/** What the prober needs from outside. */
export interface HealthProberOptions {
  readonly clock: Clock
  readonly logger: Logger
  /** Asks once. @returns why the workload can't take requests, or undefined when it can. */
  readonly ask: (probe: ReadinessProbe) => Promise<string | undefined>
  /** Told of each change, and of the first thing that is known; undefined when nobody asks any more. */
  readonly onHealth: (health: WorkloadHealth | undefined) => void
}

/**
 * Asks the workload again and again whether it can take requests, as the probe of its WorkloadGroup says, which pilot
 * tells. A probe that changes begins anew, without its initial delay: the workload has started long ago.
 */
export class HealthProber implements Subscription {
  /** One resource or none, its bytes the probe as JSON. */
  readonly type = 'type.googleapis.com/seine.health.v1.ReadinessProbe'
  readonly #options: HealthProberOptions
  readonly #versions = new Map<string, string>()
  #health: WorkloadHealth | undefined
  #hasBegun = false
  /** Ends the probing that is under way. */
  #stop: () => void = () => undefined

  constructor(options: HealthProberOptions) {
    this.#options = options
  }

  versions(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#versions)
  }

  take({ resources, removedResources }: DeltaDiscoveryResponse): void {
    const [learned] = resources.flatMap(({ name, version, resource }) =>
      resource ? [{ name, version, probe: readProbe(resource.value) }] : [],
    )
    for (const name of removedResources) if (this.#versions.delete(name)) this.#end()
    if (!learned) return
    this.#versions.set(learned.name, learned.version)
    this.#begin(learned.probe)
  }

  close(): void {
    this.#stop()
  }

  #end(): void {
    this.#stop()
    this.#options.logger.info('the workload is not probed any more')
    this.#health = undefined
    this.#options.onHealth(undefined)
  }

  #begin(probe: ReadinessProbe): void {
    this.#stop()
    const { clock, logger } = this.#options
    logger.info({ probe }, 'the workload is probed')
    let over = false
    let cancel: () => void = () => undefined
    const counts = { good: 0, bad: 0 }
    const step = async () => {
      const began = clock.now()
      const reason = await this.#options.ask(probe)
      if (over) return
      this.#count(reason, counts, probe)
      const period = (probe.periodSeconds || DEFAULTS.periodSeconds) * 1000
      // An answer that takes longer than the period delays the next question, and only that.
      cancel = clock.after(Math.max(period - (clock.now() - began), 0), () => void step())
    }
    this.#stop = () => {
      over = true
      cancel()
    }
    const delay = this.#hasBegun ? 0 : (probe.initialDelaySeconds ?? 0) * 1000
    this.#hasBegun = true
    if (delay > 0) cancel = clock.after(delay, () => void step())
    else void step()
  }

  #count(reason: string | undefined, counts: { good: number; bad: number }, probe: ReadinessProbe): void {
    if (reason === undefined) {
      counts.good++
      counts.bad = 0
      if (counts.good >= (probe.successThreshold || DEFAULTS.successThreshold))
        this.#tell({ healthy: true, reason: '' })
      return
    }
    counts.bad++
    counts.good = 0
    if (counts.bad >= (probe.failureThreshold || DEFAULTS.failureThreshold))
      this.#tell({ healthy: false, reason })
  }

  #tell(health: WorkloadHealth): void {
    if (this.#health?.healthy === health.healthy) return
    this.#options.logger.info(health, 'the health of the workload has changed')
    this.#health = health
    this.#options.onHealth(health)
  }
}

/** Throws when the bytes hold no probe. */
function readProbe(bytes: Uint8Array): ReadinessProbe {
  const probe: unknown = JSON.parse(new TextDecoder().decode(bytes))
  if (typeof probe !== 'object' || probe === null || Array.isArray(probe))
    throw new Error('a probe must be an object')
  return probe as ReadinessProbe
}
