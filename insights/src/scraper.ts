import { request } from 'node:http'
import type { Clock, Logger, Problem } from '@seine/kit'
import type { MeshSnapshot, Workload } from '@seine/model'
import type { Certificate } from './api-types.ts'
import { Crashes } from './crashes.ts'
import { parsePrometheus } from './prometheus-text.ts'
import type { TrafficStore } from './traffic-store.ts'

const METRICS_PORT = 15020
const TIMEOUT_MS = 3000
const MAX_BODY_BYTES = 32 << 20
const AT_ONCE = 8

const RESTARTS = 'seine_agent_envoy_restarts_total'

const WANTED = new Set([
  'istio_requests_total',
  'istio_request_duration_milliseconds_bucket',
  'istio_tcp_connections_opened_total',
  'seine_agent_certificate_not_after_seconds',
  RESTARTS,
])

/** What the scraper needs from outside. */
export interface ScraperOptions {
  readonly snapshot: () => MeshSnapshot
  readonly store: TrafficStore
  readonly clock: Clock
  readonly logger: Logger
  readonly intervalMs: number
}

/** Reads every sidecar's metrics at an interval, and remembers certificates and what could not be read. */
export class Scraper {
  readonly #options: ScraperOptions
  readonly #certificates = new Map<string, Certificate>()
  readonly #errors = new Map<string, string>()
  readonly #crashes = new Crashes()
  #cancel: (() => void) | undefined
  #closed = false

  constructor(options: ScraperOptions) {
    this.#options = options
  }

  start(): void {
    void this.#round()
  }

  close(): void {
    this.#closed = true
    this.#cancel?.()
  }

  /** The certificate that a pod's sidecar holds, by `namespace/pod`. */
  certificateOf(pod: string): Certificate | undefined {
    return this.#certificates.get(pod)
  }

  /** Envoys that crashed of late. */
  crashes(): Problem[] {
    return this.#crashes.problems(this.#options.clock.now())
  }

  /** Pods whose metrics could not be read, and why. */
  get errors(): { pod: string; message: string }[] {
    return [...this.#errors].map(([pod, message]) => ({ pod, message }))
  }

  async #round(): Promise<void> {
    const { snapshot, clock, intervalMs } = this.#options
    const targets = [...snapshot().workloads].filter(([, { meshed, ready }]) => meshed && ready)
    const known = new Set(targets.map(([pod]) => pod))
    for (const pod of [...this.#certificates.keys(), ...this.#errors.keys()]) {
      if (known.has(pod)) continue
      this.#certificates.delete(pod)
      this.#errors.delete(pod)
      this.#crashes.forget(pod)
      this.#options.store.forget(pod)
    }
    const queue = [...targets]
    await Promise.all(
      Array.from({ length: AT_ONCE }, async () => {
        for (let next = queue.pop(); next; next = queue.pop()) await this.#scrape(...next)
      }),
    )
    if (!this.#closed) this.#cancel = clock.after(intervalMs, () => void this.#round())
  }

  async #scrape(pod: string, workload: Workload): Promise<void> {
    const address = workload.addresses[0]
    if (!address) return
    try {
      const samples = parsePrometheus(await get(address), name => WANTED.has(name))
      this.#errors.delete(pod)
      const certificate = samples.find(({ name }) => name === 'seine_agent_certificate_not_after_seconds')
      if (certificate)
        this.#certificates.set(pod, {
          identity: certificate.labels['identity'] ?? '',
          serial: certificate.labels['serial'] ?? '',
          notAfter: certificate.value * 1000,
        })
      const now = this.#options.clock.now()
      const restarts = samples.filter(({ name }) => name === RESTARTS)
      this.#crashes.take(
        pod,
        new Map(restarts.map(({ labels, value }) => [labels['ending'] ?? '', value])),
        now,
      )
      this.#options.store.take(pod, samples, now)
    } catch (failure) {
      const message = failure instanceof Error ? failure.message : String(failure)
      if (this.#errors.get(pod) !== message)
        this.#options.logger.warn({ pod, reason: message }, 'metrics can not be read')
      this.#errors.set(pod, message)
    }
  }
}

function get(host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request(
      { host, port: METRICS_PORT, path: '/stats/prometheus', timeout: TIMEOUT_MS },
      response => {
        const chunks: Buffer[] = []
        let size = 0
        response.on('data', (chunk: Buffer) => {
          size += chunk.length
          if (size > MAX_BODY_BYTES) call.destroy(new Error('more than 32 MiB of metrics'))
          else chunks.push(chunk)
        })
        response.on('end', () =>
          response.statusCode === 200
            ? resolve(Buffer.concat(chunks).toString('utf8'))
            : reject(new Error(`status ${response.statusCode}`)),
        )
        response.on('error', reject)
      },
    )
    call.on('timeout', () => call.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)))
    call.on('error', reject)
    call.end()
  })
}
