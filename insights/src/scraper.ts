import { setMaxListeners } from 'node:events'
import type { Clock, Logger } from '@seine/kit'
import { errorMessage } from '@seine/kit'
import { hasProxy, type MeshSnapshot, type Workload } from '@seine/model'
import type { Certificate } from './api-types.ts'
import { Certificates, NOT_AFTER } from './certificates.ts'
import { Crashes } from './crashes.ts'
import { httpGet } from './http-get.ts'
import { obtain } from './maps.ts'
import { MetricsReader, type Sample } from './prometheus-text.ts'
import { TRAFFIC_FAMILIES } from './target-counters.ts'
import type { TrafficStore } from './traffic-store.ts'

/** Where agents serve metrics and readiness. */
const AGENT_PORT = 15020
const RESTARTS = 'seine_agent_envoy_restarts_total'
const WANTED: ReadonlySet<string> = new Set([...TRAFFIC_FAMILIES, NOT_AFTER, RESTARTS])

/** What of Envoy's own is asked for: its names of the wanted families. The rest is most of what it has. */
const FILTER = String.raw`^(istio\.(requests_total|request_duration_milliseconds|tcp_)|server\.uptime$)`
const METRICS_PATH = `/stats/prometheus?filter=${encodeURIComponent(FILTER)}`

/** One sidecar has this long, from the call to the last byte. */
const TARGET_DEADLINE_MS = 3000
const MAX_METRICS_BYTES = 16 << 20
const MAX_REASON_BYTES = 4096
const AT_ONCE = 16
/** A sidecar that rounds do not come to for so long is a problem. */
const OVERDUE_MS = 60_000
/** Between two rounds, however long one takes: the control plane has other work. */
const MIN_PAUSE_MS = 1000

/** What the scraper needs from outside. */
export interface ScraperOptions {
  readonly snapshot: () => MeshSnapshot
  readonly store: TrafficStore
  readonly clock: Clock
  readonly logger: Logger
  /** From the start of a round to that of the next. A round ends before the next begins, whoever has not answered. */
  readonly intervalMs: number
  /** Called at the end of each round. */
  readonly onRound?: (at: number) => void
  readonly port?: number
}

/** What is known of a sidecar besides its traffic. */
export interface SidecarState {
  readonly certificate: Certificate | undefined
  /** Whether its agent has ever been read. */
  readonly isRead: boolean
  /** Why it can't be read. */
  readonly error: string | undefined
  /** What it waits for, in its own words. */
  readonly waitsFor: string | undefined
}

interface Known {
  /** How soon it is read in the next round: first whom the last one did not come to, last who failed. */
  rank: 0 | 1 | 2
  isRead: boolean
  /** The time of the round in which it was read last, or first seen. */
  readAt: number
  error: string | undefined
  waitsFor: string | undefined
}

type Target = readonly [pod: string, workload: Workload, address: string]

/**
 * Reads every sidecar's metrics in rounds, a bounded number at once. Whoever failed last time comes last, so that
 * sidecars that hang hold up nobody but each other.
 */
export class Scraper {
  readonly #options: ScraperOptions
  readonly #known = new Map<string, Known>()
  readonly #certificates = new Certificates()
  readonly #crashes = new Crashes()
  #cancel: (() => void) | undefined
  #round = new AbortController()
  #lastRoundAt: number | undefined
  #roundBegunAt: number | undefined
  #closed = false

  constructor(options: ScraperOptions) {
    this.#options = options
  }

  start(): void {
    void this.#run()
  }

  close(): void {
    this.#closed = true
    this.#cancel?.()
    this.#round.abort(new Error('the hub stops'))
  }

  /** When the last round was read. */
  get lastRoundAt(): number | undefined {
    return this.#lastRoundAt
  }

  /** When the newest round began, which may still be under way. */
  get roundBegunAt(): number | undefined {
    return this.#roundBegunAt
  }

  /** Envoys that crashed of late. */
  get crashes(): Crashes {
    return this.#crashes
  }

  /** What is known of a sidecar, by `namespace/pod`. */
  stateOf(pod: string): SidecarState | undefined {
    const known = this.#known.get(pod)
    if (!known) return undefined
    const { isRead, error, waitsFor } = known
    return { isRead, error, waitsFor, certificate: this.#certificates.of(pod, this.#options.clock.now()) }
  }

  /** Sidecars that could not be read, and why. */
  get errors(): { pod: string; message: string }[] {
    return [...this.#known].flatMap(([pod, { error }]) =>
      error === undefined ? [] : [{ pod, message: error }],
    )
  }

  async #run(): Promise<void> {
    const { clock, logger, intervalMs, onRound } = this.#options
    const at = clock.now()
    this.#roundBegunAt = at
    try {
      await this.#scrapeAll(at)
      if (this.#closed) return
      this.#options.store.endRound(at)
      this.#lastRoundAt = at
      onRound?.(at)
    } catch (failure) {
      logger.error({ reason: errorMessage(failure) }, 'a round of scrapes failed')
    }
    if (this.#closed) return
    const took = clock.now() - at
    this.#cancel = clock.after(Math.max(intervalMs - took, MIN_PAUSE_MS), () => void this.#run())
  }

  async #scrapeAll(at: number): Promise<void> {
    const { clock, intervalMs } = this.#options
    const queue = this.#targets()
    const round = new AbortController()
    setMaxListeners(2 * AT_ONCE, round.signal)
    this.#round = round
    const cancel = clock.after(intervalMs, () => round.abort(new Error('the time of the round was over')))
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (let next = queue.shift(); next; next = queue.shift()) await this.#scrape(next, at, round.signal)
      }),
    )
    cancel()
  }

  #targets(): Target[] {
    const targets: Target[] = []
    for (const [pod, workload] of this.#options.snapshot().workloads) {
      const address = workload.addresses[0]
      // A WorkloadEntry may name a Unix socket.
      if (hasProxy(workload) && address && !address.includes('/')) targets.push([pod, workload, address])
    }
    const pods = new Set(targets.map(([pod]) => pod))
    for (const pod of this.#known.keys()) if (!pods.has(pod)) this.#forget(pod)
    const rank = (pod: string) => this.#known.get(pod)?.rank ?? 1
    return targets.sort(([a], [b]) => rank(a) - rank(b))
  }

  #forget(pod: string): void {
    this.#known.delete(pod)
    this.#certificates.forget(pod)
    this.#crashes.forget(pod)
    this.#options.store.forget(pod)
  }

  async #scrape([pod, workload, address]: Target, at: number, signal: AbortSignal): Promise<void> {
    const fresh: Known = { rank: 1, isRead: false, readAt: at, error: undefined, waitsFor: undefined }
    const known = obtain(this.#known, pod, () => fresh)
    try {
      signal.throwIfAborted()
      const samples = await this.#metrics(address, signal)
      this.#certificates.take(pod, samples, at)
      this.#crashes.take(pod, restartsIn(samples), at)
      this.#options.store.take(pod, samples, at)
      known.waitsFor = workload.ready ? undefined : await this.#waitsFor(address, signal)
      Object.assign(known, { rank: 1, isRead: true, readAt: at, error: undefined })
    } catch (failure) {
      const reason = failure === signal.reason ? undefined : errorMessage(failure)
      if (!this.#closed) this.#failed(pod, workload, known, at, reason)
    }
  }

  /** Notes why a sidecar was not read: for the reason given, or because the round's time was over, which may pass. */
  #failed(pod: string, { ready }: Workload, known: Known, at: number, reason: string | undefined): void {
    known.rank = reason === undefined ? 0 : 2
    if (reason === undefined && at - known.readAt < OVERDUE_MS) return
    const error = reason ?? 'it was not read for a minute: there are more sidecars than can be read in time'
    // A pod that is not ready yet may have no agent yet: its state says enough.
    if (ready && known.error !== error)
      this.#options.logger.warn({ pod, reason: error }, 'metrics can not be read')
    known.error = error
  }

  async #metrics(host: string, signal: AbortSignal): Promise<readonly Sample[]> {
    const reader = new MetricsReader(WANTED)
    const status = await this.#get(host, METRICS_PATH, MAX_METRICS_BYTES, signal, chunk => reader.push(chunk))
    if (status !== 200) throw new Error(`the agent answered ${status}`)
    reader.end()
    return reader.samples
  }

  async #waitsFor(host: string, signal: AbortSignal): Promise<string | undefined> {
    const chunks: Buffer[] = []
    const status = await this.#get(host, '/healthz/ready', MAX_REASON_BYTES, signal, chunk =>
      chunks.push(chunk),
    )
    return status === 200 ? undefined : Buffer.concat(chunks).toString('utf8')
  }

  #get(
    host: string,
    path: string,
    maxBytes: number,
    signal: AbortSignal,
    onData: (chunk: Buffer) => void,
  ): Promise<number> {
    const { clock, port = AGENT_PORT } = this.#options
    return httpGet({ host, port, path, clock, deadlineMs: TARGET_DEADLINE_MS, maxBytes, signal, onData })
  }
}

function restartsIn(samples: readonly Sample[]): Map<string, number> {
  return new Map(
    samples
      .filter(({ name }) => name === RESTARTS)
      .map(({ labels, value }) => [labels['ending'] ?? '', value]),
  )
}
