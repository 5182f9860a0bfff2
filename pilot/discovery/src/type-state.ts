import { type EncodedResource, TypeUrl } from '@seine/envoy'
import type { ProxyView } from './config-source.ts'
import type { TypeStatus } from './proxy-status.ts'
import { frameSize } from './wire.ts'

/** A response is cut here and goes on when its first part is acknowledged: one message stays well below gRPC's limits. */
const MAX_RESPONSE_BYTES = 2 << 20

/** What goes into the next response of a type. */
export interface Batch {
  readonly resources: readonly EncodedResource[]
  readonly removed: readonly string[]
  /** Names asked for on demand that do not exist: answered with an empty resource, which ends the client's wait. */
  readonly absent: readonly string[]
}

interface Flight {
  readonly nonce: string
  readonly names: readonly string[]
}

/** One resource type of one delta stream: what the client asked for, has, and is still to get. */
export class TypeState {
  readonly type: string
  wildcard = false
  readonly #view: ProxyView
  readonly #subscribed = new Set<string>()
  /** Route configurations whose virtual hosts are all wanted. */
  readonly #tables = new Set<string>()
  readonly #sent = new Map<string, string>()
  readonly #pending = new Set<string>()
  /** Groups of a rejected response that are tried apart from each other, to find the one at fault. */
  readonly #isolated: string[][] = []
  readonly #rejected = new Map<string, string>()
  #flight: Flight | undefined
  #ackedAt: number | undefined
  #nackedAt = 0

  constructor(type: string, view: ProxyView) {
    this.type = type
    this.#view = view
  }

  get inFlight(): boolean {
    return this.#flight !== undefined
  }

  get flightNonce(): string | undefined {
    return this.#flight?.nonce
  }

  has(name: string): boolean {
    return this.#sent.has(name)
  }

  wants(name: string): boolean {
    if (this.#subscribed.has(name)) return true
    if (this.type === TypeUrl.virtualHost && this.#tables.has(name.slice(0, name.indexOf('/')))) return true
    return this.wildcard
  }

  /** Takes what a reconnecting client says it still holds. */
  adopt(versions: Readonly<Record<string, string>>): void {
    for (const [name, version] of Object.entries(versions)) this.#sent.set(name, version)
    for (const name of this.#sent.keys()) this.#pending.add(name)
  }

  subscribe(names: readonly string[]): void {
    for (const name of names) {
      if (name === '*') this.becomeWildcard()
      else if (this.type === TypeUrl.virtualHost && !name.includes('/')) {
        this.#tables.add(name)
        for (const host of this.#view.names(this.type, name)) this.#pending.add(host)
      } else {
        this.#subscribed.add(name)
        // Asked for again means wanted again, whatever was sent before.
        this.#sent.delete(name)
        this.#pending.add(name)
      }
    }
  }

  becomeWildcard(): void {
    this.wildcard = true
    for (const name of this.#view.names(this.type)) this.#pending.add(name)
  }

  unsubscribe(names: readonly string[]): void {
    for (const name of names) {
      if (name === '*') this.wildcard = false
      this.#subscribed.delete(name)
      this.#tables.delete(name)
      if (!this.wants(name)) {
        this.#sent.delete(name)
        this.#pending.delete(name)
      }
    }
  }

  /** Notes that these may differ from what the client has. */
  touch(names: ReadonlySet<string> | 'all'): void {
    if (names !== 'all') {
      for (const name of names) if (this.#sent.has(name) || this.wants(name)) this.#pending.add(name)
      return
    }
    for (const name of this.#sent.keys()) this.#pending.add(name)
    for (const name of this.#subscribed) this.#pending.add(name)
    for (const table of this.#tables)
      for (const name of this.#view.names(this.type, table)) this.#pending.add(name)
    if (this.wildcard) for (const name of this.#view.names(this.type)) this.#pending.add(name)
  }

  /** Sends these again although their versions are the same. */
  resend(names: Iterable<string>): void {
    for (const name of names) {
      if (!this.wants(name)) continue
      this.#sent.delete(name)
      this.#pending.add(name)
    }
  }

  /** Takes the next batch of additions and changes, or undefined when there are none. */
  nextBatch(): Batch | undefined {
    const group = this.#isolated.shift()
    if (group) {
      const resources = group.flatMap(name => this.#view.get(this.type, name) ?? [])
      if (resources.length > 0) return { resources, removed: [], absent: [] }
    }
    const resources: EncodedResource[] = []
    const absent: string[] = []
    let bytes = 0
    for (const name of this.#pending) {
      if (bytes > MAX_RESPONSE_BYTES) break
      const resource = this.#view.get(this.type, name)
      if (!resource) {
        if (this.#answersAbsence(name)) absent.push(name)
        else if (this.#sent.has(name) || this.#subscribed.has(name)) continue
        this.#pending.delete(name)
        continue
      }
      this.#pending.delete(name)
      if (this.#sent.get(name) === resource.version) continue
      resources.push(resource)
      bytes += frameSize(resource, this.type)
    }
    return resources.length > 0 || absent.length > 0 ? { resources, removed: [], absent } : undefined
  }

  /** A virtual host that a request waits for: saying nothing would leave the request waiting. */
  #answersAbsence(name: string): boolean {
    return this.type === TypeUrl.virtualHost && this.#subscribed.has(name) && !this.#sent.has(name)
  }

  /** Takes what is gone. Call it when nothing that is being sent can refer to it any more. */
  removals(): Batch | undefined {
    const removed: string[] = []
    for (const name of this.#pending) {
      if (this.#view.get(this.type, name)) continue
      this.#pending.delete(name)
      removed.push(name)
    }
    return removed.length > 0 ? { resources: [], removed, absent: [] } : undefined
  }

  /** Whether only removals are left to send. */
  get onlyRemovalsLeft(): boolean {
    if (this.#isolated.length > 0) return false
    for (const name of this.#pending)
      if (this.#view.get(this.type, name) || this.#answersAbsence(name)) return false
    return true
  }

  /** Notes that a batch is on its way. @returns the names that the client did not have before. */
  launched(batch: Batch, nonce: string): string[] {
    const fresh: string[] = []
    for (const resource of batch.resources) {
      if (!this.#sent.has(resource.name)) fresh.push(resource.name)
      this.#sent.set(resource.name, resource.version)
    }
    for (const name of batch.absent) this.#sent.set(name, '')
    for (const name of batch.removed) {
      this.#sent.delete(name)
      this.#rejected.delete(name)
    }
    this.#flight = { nonce, names: batch.resources.map(({ name }) => name) }
    return fresh
  }

  /** Takes an acknowledgement. @returns the names it acknowledged, or undefined when the nonce is not the one in flight. */
  acknowledged(nonce: string, at: number): readonly string[] | undefined {
    const flight = this.#flight
    if (flight?.nonce !== nonce) return undefined
    this.#flight = undefined
    this.#ackedAt = at
    for (const name of flight.names) this.#rejected.delete(name)
    return flight.names
  }

  /**
   * Takes a rejection. A response of several resources is tried again in halves, so that the good ones
   * arrive and the bad one is found. @returns the names at fault once they are found.
   */
  rejected(nonce: string, message: string, at: number): readonly string[] | undefined {
    const flight = this.#flight
    if (flight?.nonce !== nonce) return undefined
    this.#flight = undefined
    this.#nackedAt = at
    const { names } = flight
    if (names.length > 1) {
      const half = Math.ceil(names.length / 2)
      this.#isolated.push(names.slice(0, half), names.slice(half))
      return []
    }
    for (const name of names) this.#rejected.set(name, message)
    return names
  }

  status(): TypeStatus {
    const [first] = this.#rejected
    const base = {
      resources: this.#sent.size,
      ...(this.#ackedAt === undefined ? {} : { ackedAt: this.#ackedAt }),
    }
    if (first)
      return {
        ...base,
        state: 'NACKED',
        nack: { at: this.#nackedAt, message: first[1], resources: [...this.#rejected.keys()] },
      }
    if (this.inFlight || this.#pending.size > 0) return { ...base, state: 'STALE' }
    return { ...base, state: this.#ackedAt === undefined ? 'NOT SENT' : 'SYNCED' }
  }
}
