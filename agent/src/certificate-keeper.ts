import { createPrivateKey, X509Certificate } from 'node:crypto'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type { Client, Metadata, ServiceError } from '@grpc/grpc-js'
import {
  IstioCertificateRequestSchema,
  IstioCertificateResponseSchema,
} from '@seine/envoy/istio/security/v1alpha1/ca'
import { type Clock, errorMessage, Gauge, type Logger, type Registry, type Secret } from '@seine/kit'
import { newKeyAndCsr, workloadIdentity } from './csr.ts'
import type { AgentSettings } from './settings.ts'
import { same } from './upstream.ts'

const METHOD = '/istio.v1.auth.IstioCertificateService/CreateCertificate'
const CALL_TIMEOUT_MS = 10_000
const MIN_RETRY_MS = 200
const MAX_RETRY_MS = 15_000
/** A certificate is renewed when this share of its life is over. */
const RENEW_AT = 2 / 3
/** The shortest wait between two certificates, should clocks disagree. */
const MIN_RENEW_MS = 1000

/** The workload's identity as Envoy is given it. PEM throughout. */
export interface WorkloadCertificate {
  readonly chain: string
  readonly key: Secret
  /** What is trusted: the mesh's root, and the authorities that the settings name beside it. */
  readonly root: string
  readonly identity: string
  readonly serial: string
  /** ms since the epoch. */
  readonly notAfter: number
}

/** What the keeper needs from outside. */
export interface KeeperOptions {
  readonly settings: AgentSettings
  readonly client: Client
  readonly authorize: () => Promise<Metadata>
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Registry
  /** 0 to 1: spreads renewals of workloads that started together. */
  readonly random: () => number
}

/**
 * Gets the workload's certificate and renews it before it ends. While citadel can't be reached the last one
 * stays in use, and it asks again with growing pauses.
 */
export class CertificateKeeper {
  readonly #options: KeeperOptions
  readonly #listeners = new Set<(certificate: WorkloadCertificate) => void>()
  readonly #expiry: Gauge
  #current: WorkloadCertificate | undefined
  #cancel: (() => void) | undefined
  #failures = 0
  #failure: string | undefined
  #closed = false

  constructor(options: KeeperOptions) {
    this.#options = options
    this.#expiry = new Gauge({
      name: 'seine_agent_certificate_not_after_seconds',
      help: "When the workload's certificate ends, seconds since the epoch",
      labelNames: ['identity', 'serial'],
      registers: [options.metrics],
    })
  }

  get current(): WorkloadCertificate | undefined {
    return this.#current
  }

  /** Why the last try to get one failed; undefined when it did not. */
  get failure(): string | undefined {
    return this.#failure
  }

  /** Calls back with the current certificate, if there is one, and with each new one. */
  subscribe(listener: (certificate: WorkloadCertificate) => void): () => void {
    this.#listeners.add(listener)
    if (this.#current) listener(this.#current)
    return () => this.#listeners.delete(listener)
  }

  start(): void {
    void this.#renew()
  }

  close(): void {
    this.#closed = true
    this.#cancel?.()
  }

  async #renew(): Promise<void> {
    const { logger, clock } = this.#options
    try {
      const certificate = await this.#request()
      if (this.#closed) return
      this.#failures = 0
      this.#failure = undefined
      this.#current = certificate
      this.#expiry.reset()
      this.#expiry.set(
        { identity: certificate.identity, serial: certificate.serial },
        certificate.notAfter / 1000,
      )
      logger.info(
        {
          identity: certificate.identity,
          serial: certificate.serial,
          notAfter: new Date(certificate.notAfter).toISOString(),
        },
        'certificate received',
      )
      for (const listener of this.#listeners) listener(certificate)
      const left = certificate.notAfter - clock.now()
      const wait = left * RENEW_AT * (0.9 + 0.1 * this.#options.random())
      this.#next(Math.max(wait, MIN_RENEW_MS))
    } catch (failure) {
      if (this.#closed) return
      // Spread, for all workloads lose citadel at the same time.
      const longest = Math.min(MAX_RETRY_MS, MIN_RETRY_MS * 2 ** this.#failures++)
      const pause = Math.round(longest * (0.5 + 0.5 * this.#options.random()))
      this.#failure = errorMessage(failure)
      logger.warn(
        { reason: this.#failure, retryInMs: pause, holdsOne: this.#current !== undefined },
        'no certificate from citadel',
      )
      this.#next(pause)
    }
  }

  #next(ms: number): void {
    if (!this.#closed) this.#cancel = this.#options.clock.after(ms, () => void this.#renew())
  }

  async #request(): Promise<WorkloadCertificate> {
    const { settings } = this.#options
    const { key, csr } = await newKeyAndCsr(settings)
    const request = create(IstioCertificateRequestSchema, {
      csr,
      validityDuration: BigInt(Math.round(settings.certificateTtlMs / 1000)),
    })
    const answer = await this.#call(Buffer.from(toBinary(IstioCertificateRequestSchema, request)))
    const { certChain } = fromBinary(IstioCertificateResponseSchema, answer)
    const certificate = readChain(certChain, key, workloadIdentity(settings))
    const { trustedRoots } = settings
    return trustedRoots === ''
      ? certificate
      : { ...certificate, root: `${certificate.root.trimEnd()}\n${trustedRoots}\n` }
  }

  async #call(request: Buffer): Promise<Buffer> {
    const { client, authorize, clock } = this.#options
    const metadata = await authorize()
    return new Promise((resolve, reject) => {
      const deadline = clock.now() + CALL_TIMEOUT_MS
      client.makeUnaryRequest(
        METHOD,
        same,
        same,
        request,
        metadata,
        { deadline },
        (failure: ServiceError | null, answer?: Buffer) => {
          if (failure || !answer) reject(new Error(failure?.details ?? 'no answer'))
          else resolve(answer)
        },
      )
    })
  }
}

/** The certificate of an answer, leaf first and root last. Throws when it is none that this workload can use. */
function readChain(chain: readonly string[], key: Secret, expected: string): WorkloadCertificate {
  const [leaf] = chain
  const root = chain.at(-1)
  if (!leaf || !root || chain.length < 2)
    throw new Error("citadel's answer holds no certificate and its root")
  const parsed = new X509Certificate(leaf)
  if (!parsed.checkPrivateKey(createPrivateKey(key.reveal())))
    throw new Error("citadel's certificate is for another key than the one that was sent")
  const identity = /URI:([^,]+)/.exec(parsed.subjectAltName ?? '')?.[1] ?? 'nobody'
  if (identity !== expected) throw new Error(`citadel's certificate is for ${identity}, not for ${expected}`)
  return {
    chain: chain.slice(0, -1).join(''),
    key,
    root,
    identity,
    serial: parsed.serialNumber,
    notAfter: Date.parse(parsed.validTo),
  }
}
