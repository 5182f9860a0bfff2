import { PassThrough, type Readable } from 'node:stream'
import type { Clock } from '@seine/kit'
import type { HubEvent } from './api-types.ts'

/** A comment this often tells both sides, and what is between them, that the connection is alive. */
const HEARTBEAT_MS = 15_000
/** A browser keeps a connection for each open page. */
const MAX_CLIENTS = 64
/** A client that does not read is dropped; it comes back by itself and then reads anew. */
const MAX_WAITING_BYTES = 64 << 10
/** How long a browser waits before it connects again, ms. */
const RETRY_MS = 2000

/** Server-sent events to a bounded number of clients. */
export class EventStreams {
  readonly #clock: Clock
  readonly #clients = new Set<PassThrough>()
  #cancel: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get clients(): number {
    return this.#clients.size
  }

  /** A stream for one more client, or undefined when there are too many. */
  open(): Readable | undefined {
    if (this.#clients.size >= MAX_CLIENTS) return undefined
    const client = new PassThrough()
    this.#clients.add(client)
    client.on('close', () => this.#drop(client))
    // A client that goes away in the middle of a message is no failure.
    client.on('error', () => this.#drop(client))
    client.write(`retry: ${RETRY_MS}\n\n`)
    this.#cancel ??= this.#clock.after(HEARTBEAT_MS, () => this.#beat())
    return client
  }

  /** Tells all clients. */
  send(event: HubEvent): void {
    this.#write(`data: ${JSON.stringify(event)}\n\n`)
  }

  close(): void {
    this.#cancel?.()
    for (const client of this.#clients) client.end()
    this.#clients.clear()
  }

  #beat(): void {
    this.#write(': alive\n\n')
    this.#cancel = this.#clients.size > 0 ? this.#clock.after(HEARTBEAT_MS, () => this.#beat()) : undefined
  }

  #write(text: string): void {
    for (const client of this.#clients) {
      if (client.writableLength + client.readableLength > MAX_WAITING_BYTES) client.destroy()
      else client.write(text)
    }
  }

  #drop(client: PassThrough): void {
    this.#clients.delete(client)
  }
}
