import type { experimental } from '@grpc/grpc-js'
import { type Clock, type Closable, errorMessage, type Logger } from '@seine/kit'

/** Key and certificate of a server, PEM. */
export interface ServerCertificate {
  readonly certificate: string
  readonly key: string
  readonly notAfter: Date
}

/** What the keeper needs from outside. */
export interface ServerIdentityOptions {
  readonly request: () => Promise<ServerCertificate>
  readonly clock: Clock
  readonly logger: Logger
}

type Listener = experimental.IdentityCertificateUpdateListener

/** A certificate is renewed when this share of its life is over. */
const RENEW_AT = 2 / 3
const RETRY_MS = 5000

/**
 * A server's certificate, renewed before it ends. While none can be had the last one stays in use. Servers take
 * each new one for their next connections.
 */
export class ServerIdentity implements Closable, experimental.CertificateProvider {
  readonly #options: ServerIdentityOptions
  readonly #listeners = new Set<Listener>()
  #current: ServerCertificate
  #cancel: () => void = () => {}
  #closed = false

  private constructor(options: ServerIdentityOptions, first: ServerCertificate) {
    this.#options = options
    this.#current = first
    this.#scheduleRenewal()
  }

  /** Rejects when the first certificate can't be had. */
  static async obtain(options: ServerIdentityOptions): Promise<ServerIdentity> {
    return new ServerIdentity(options, await options.request())
  }

  addIdentityCertificateListener(listener: Listener): void {
    this.#listeners.add(listener)
    // The server is not ready to be told before it is done with adding.
    queueMicrotask(() => this.#tell(listener))
  }

  removeIdentityCertificateListener(listener: Listener): void {
    this.#listeners.delete(listener)
  }

  /** Clients prove themselves by tokens: the server needs no root to check them by. */
  addCaCertificateListener(): void {}
  removeCaCertificateListener(): void {}

  async close(): Promise<void> {
    this.#closed = true
    this.#cancel()
  }

  #tell(listener: Listener): void {
    const { certificate, key } = this.#current
    listener({ certificate: Buffer.from(certificate), privateKey: Buffer.from(key) })
  }

  #scheduleRenewal(): void {
    const left = this.#current.notAfter.getTime() - this.#options.clock.now()
    this.#later(left * RENEW_AT)
  }

  #later(ms: number): void {
    if (!this.#closed) this.#cancel = this.#options.clock.after(ms, () => void this.#renew())
  }

  async #renew(): Promise<void> {
    const { request, logger } = this.#options
    try {
      this.#current = await request()
      for (const listener of this.#listeners) this.#tell(listener)
      logger.info({ notAfter: this.#current.notAfter.toISOString() }, "the server's certificate was renewed")
      this.#scheduleRenewal()
    } catch (failure) {
      logger.error(
        {
          reason: errorMessage(failure),
          notAfter: this.#current.notAfter.toISOString(),
          retryInMs: RETRY_MS,
        },
        "the server's certificate can not be renewed",
      )
      this.#later(RETRY_MS)
    }
  }
}
