import { type EncodedResource, TypeUrl } from '@seine/envoy'
import type { ProxyView } from './config-source.ts'
import { Holdings, type NameNumbers } from './holdings.ts'
import type { TypeStatus } from './proxy-status.ts'
import { frameSize } from './wire.ts'

/**
 * A response is cut here and goes on when its first part is acknowledged: what is under way to many clients that
 * connect at once is in memory for each of them.
 */
const MAX_RESPONSE_BYTES = 1 << 16
/** Types that a first request without names asks nothing of, as xDS has it; of the others it asks everything. */
const NAMED_ONLY: ReadonlySet<string> = new Set([TypeUrl.endpoint, TypeUrl.route, TypeUrl.secret])

const NEVER = Number.POSITIVE_INFINITY
/** The version of a resource of which the client may hold an older one: it was in a response that was rejected. */
const UNCERTAIN = ''

/** What goes into the next response of a type. */
export interface Batch {
  readonly resources: readonly EncodedResource[]
  readonly removed: readonly string[]
  /** Names asked for on demand that do not exist: answered with an empty resource, which ends the client's wait. */
  readonly absent: readonly string[]
  /** The epoch of the oldest change in it. */
  readonly since: number
}

interface Flight extends Batch {
  readonly nonce: string
}

/** Part of a rejected response, tried apart from the rest to find what is at fault. */
interface Suspects {
  readonly names: readonly string[]
  readonly since: number
}

/**
 * One resource type of one delta stream: what the client asked for, has, and is still to get. Changes carry the
 * epoch, a count of pushes, in which they were made, so that a type which refers to others can wait for what
 * changed no later than itself, and only for that.
 */
export class TypeState {
  readonly type: string
  wildcard = false
  readonly #view: ProxyView
  readonly #subscribed: Holdings<true>
  /** Route configurations whose virtual hosts are all wanted. */
  readonly #tables = new Set<string>()
  /** Name → the version that was sent last. */
  readonly #sent: Holdings<string>
  /** What may differ from what the client has, and the epoch of its latest change. */
  readonly #pending = new Map<string, number>()
  /** No addition or change among the pending is older. */
  #oldestChange = NEVER
  /** Nothing among the pending is older. */
  #oldestPending = NEVER
  /** Names by which the client waits for a resource that is called differently. */
  readonly #aliases = new Map<string, Set<string>>()
  readonly #suspects: Suspects[] = []
  readonly #rejected = new Map<string, string>()
  #flight: Flight | undefined
  #ackedAt: number | undefined
  #nackedAt = 0
  /** The client has asked for everything and heard nothing yet. */
  #awaitsAnswer = false

  constructor(type: string, view: ProxyView, numbers: NameNumbers) {
    this.type = type
    this.#view = view
    this.#subscribed = new Holdings(numbers)
    this.#sent = new Holdings(numbers)
  }

  /** The client is gone. */
  close(): void {
    this.#subscribed.clear()
    this.#sent.clear()
  }

  get inFlight(): boolean {
    return this.#flight !== undefined
  }

  /** Whether something is noted that is still to be sent. */
  get hasMore(): boolean {
    return this.#pending.size > 0 || this.#suspects.length > 0 || this.#awaitsAnswer
  }

  /** Whether the client has acknowledged all there is for it. */
  get settled(): boolean {
    return !this.#flight && this.#pending.size === 0 && this.#suspects.length === 0
  }

  /** The epoch of the oldest addition or change that is still to be sent; infinite when there is none. */
  get unsentSince(): number {
    let oldest = this.#oldestChange
    for (const { since } of this.#suspects) oldest = Math.min(oldest, since)
    return oldest
  }

  /** The epoch of the oldest addition or change that the client has not acknowledged; infinite when there is none. */
  get changesSince(): number {
    const flight = this.#flight
    return flight && !isRemoval(flight) ? Math.min(this.unsentSince, flight.since) : this.unsentSince
  }

  /** The epoch of the oldest change or removal that the client has not acknowledged; infinite when there is none. */
  get unsettledSince(): number {
    return Math.min(this.changesSince, this.#oldestPending, this.#flight?.since ?? NEVER)
  }

  /** How many names the client has asked for one by one. */
  get subscriptions(): number {
    return this.#subscribed.size + this.#tables.size
  }

  /** Whether the client has asked for this name itself. */
  isSubscribed(name: string): boolean {
    return this.#subscribed.has(name) || this.#tables.has(name)
  }

  wants(name: string): boolean {
    return this.wildcard || this.#subscribed.has(name) || this.#tables.has(tableOf(name))
  }

  /**
   * Takes the first request of a stream for this type: what the client wants, and the versions it holds from an
   * earlier stream, which need not be sent again.
   */
  begin(names: readonly string[], versions: Readonly<Record<string, string>>, epoch: number): void {
    if (names.length === 0 && !NAMED_ONLY.has(this.type)) this.#becomeWildcard(epoch)
    this.subscribe(names, epoch)
    for (const [name, version] of Object.entries(versions)) {
      if (!this.wants(name)) continue
      const current = this.#view.get(this.type, name)?.version
      // The same text, but shared with all who hold it.
      this.#sent.set(name, current === version ? current : version)
      this.#mark(name, epoch)
    }
    this.#awaitsAnswer = this.wildcard
  }

  /** Asked for again means wanted again, whatever was sent before. */
  subscribe(names: readonly string[], epoch: number): void {
    for (const name of names) {
      if (name === '*') this.#becomeWildcard(epoch)
      else if (this.#isTable(name)) {
        this.#forgetHostsOf(name)
        this.#tables.add(name)
        for (const host of this.#view.names(this.type, name)) this.#mark(host, epoch)
      } else {
        const own = this.#resourceName(name)
        if (own !== name) this.#aliases.set(own, (this.#aliases.get(own) ?? new Set()).add(name))
        this.#subscribed.set(own, true)
        this.#sent.delete(own)
        this.#mark(own, epoch)
      }
    }
  }

  unsubscribe(names: readonly string[]): void {
    for (const name of names) {
      if (name === '*') this.#endWildcard()
      else if (this.#tables.delete(name)) this.#forgetHostsOf(name)
      else if (this.#subscribed.delete(this.#resourceName(name)) && !this.wants(name)) this.#forget(name)
    }
  }

  /** Notes that these may differ from what the client has. */
  touch(names: ReadonlySet<string> | 'all', epoch: number): void {
    if (names !== 'all') {
      for (const name of names) if (this.wants(name) || this.#sent.has(name)) this.#mark(name, epoch)
      return
    }
    for (const name of this.#sent.keys()) this.#mark(name, epoch)
    for (const name of this.#subscribed.keys()) this.#mark(name, epoch)
    for (const table of this.#tables)
      for (const name of this.#view.names(this.type, table)) this.#mark(name, epoch)
    if (this.wildcard) for (const name of this.#view.names(this.type)) this.#mark(name, epoch)
  }

  /** Sends these again although their versions are the same. */
  resend(names: Iterable<string>, epoch: number): void {
    for (const name of names) {
      if (!this.wants(name)) continue
      this.#sent.delete(name)
      this.#mark(name, epoch)
    }
  }

  /**
   * Takes the next batch of additions and changes that are no newer than `limit`, or undefined when there are
   * none. Who asks for everything when there is nothing gets one empty batch: clients wait for their first answer.
   */
  nextBatch(limit: number): Batch | undefined {
    const batch = this.#nextChanges(limit)
    const answers = batch !== undefined || (this.#awaitsAnswer && this.#pending.size + this.#sent.size === 0)
    if (answers) this.#awaitsAnswer = false
    return batch ?? (answers ? { resources: [], removed: [], absent: [], since: NEVER } : undefined)
  }

  #nextChanges(limit: number): Batch | undefined {
    if (this.#suspects.length > 0) return this.#nextSuspects(limit)
    if (this.#oldestChange > limit || this.#oldestChange === NEVER) return undefined
    const since = this.#oldestChange
    const resources: EncodedResource[] = []
    const absent: string[] = []
    let bytes = 0
    let isMoreLeft = false
    for (const [name, epoch] of this.#pending) {
      if (bytes > MAX_RESPONSE_BYTES) {
        isMoreLeft = true
        break
      }
      const resource = this.#view.get(this.type, name)
      if (!resource && !this.#answersAbsence(name)) {
        if (!this.#sent.has(name) && !this.#subscribed.has(name)) this.#pending.delete(name)
      } else if (resource && this.#sent.get(name) === resource.version) this.#pending.delete(name)
      else if (epoch > limit) isMoreLeft = true
      else {
        this.#pending.delete(name)
        if (!resource) absent.push(name)
        else {
          resources.push(this.#withAliases(resource))
          bytes += frameSize(resource, this.type)
        }
      }
    }
    if (!isMoreLeft) this.#oldestChange = NEVER
    this.#taken()
    return resources.length > 0 || absent.length > 0 ? { resources, removed: [], absent, since } : undefined
  }

  /** Takes what is gone, no later than `limit`. Call it when nothing that the client has can refer to it any more. */
  removals(limit: number): Batch | undefined {
    if (this.#oldestPending > limit || this.#pending.size === 0) return undefined
    const removed: string[] = []
    let since = NEVER
    for (const [name, epoch] of this.#pending) {
      if (epoch > limit || !this.#isGone(name)) continue
      this.#pending.delete(name)
      removed.push(name)
      since = Math.min(since, epoch)
    }
    this.#taken()
    return removed.length > 0 ? { resources: [], removed, absent: [], since } : undefined
  }

  /** Notes that a batch is on its way. @returns the names that the client did not have before. */
  launched(batch: Batch, nonce: string): string[] {
    const fresh: string[] = []
    for (const resource of batch.resources) {
      if (this.#sent.set(resource.name, resource.version)) fresh.push(resource.name)
      this.#aliases.delete(resource.name)
    }
    for (const name of batch.absent) this.#sent.set(name, '')
    for (const name of batch.removed) {
      this.#sent.delete(name)
      this.#rejected.delete(name)
    }
    this.#flight = { ...batch, nonce }
    return fresh
  }

  /** Takes an acknowledgement. @returns the names it acknowledged, or undefined when the nonce is not the one in flight. */
  acknowledged(nonce: string, at: number): readonly string[] | undefined {
    const flight = this.#land(nonce)
    if (!flight) return undefined
    this.#ackedAt = at
    const names = flight.resources.map(({ name }) => name)
    for (const name of names) this.#rejected.delete(name)
    return names
  }

  /**
   * Takes a rejection. A response of several resources is tried again in halves, so that the good ones
   * arrive and the bad one is found. @returns the names at fault, or undefined while they are being looked for.
   */
  rejected(nonce: string, message: string, at: number): readonly string[] | undefined {
    const flight = this.#land(nonce)
    if (!flight) return undefined
    this.#nackedAt = at
    const names = flight.resources.map(({ name }) => name)
    if (names.length === 0) return [...flight.removed, ...flight.absent]
    if (names.length === 1) {
      for (const name of names) this.#rejected.set(name, message)
      return names
    }
    for (const name of names) this.#sent.set(name, UNCERTAIN)
    const { since } = flight
    const half = Math.ceil(names.length / 2)
    this.#suspects.push({ names: names.slice(0, half), since }, { names: names.slice(half), since })
    return undefined
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
    if (!this.settled) return { ...base, state: 'STALE' }
    // A client that came back with all it needs is sent nothing, and has nothing to acknowledge.
    return { ...base, state: this.#ackedAt === undefined && this.#sent.size === 0 ? 'NOT SENT' : 'SYNCED' }
  }

  #nextSuspects(limit: number): Batch | undefined {
    for (const suspects of [...this.#suspects]) {
      const names = suspects.names.filter(name => this.wants(name))
      if (names.some(name => (this.#pending.get(name) ?? suspects.since) > limit)) return undefined
      this.#suspects.shift()
      const resources = names.flatMap(name => this.#view.get(this.type, name) ?? [])
      if (resources.length > 0) return { resources, removed: [], absent: [], since: suspects.since }
    }
    return this.#nextChanges(limit)
  }

  #land(nonce: string): Flight | undefined {
    const flight = this.#flight
    if (flight?.nonce !== nonce) return undefined
    this.#flight = undefined
    return flight
  }

  #mark(name: string, epoch: number): void {
    this.#pending.set(name, Math.max(epoch, this.#pending.get(name) ?? epoch))
    this.#oldestChange = Math.min(this.#oldestChange, epoch)
    this.#oldestPending = Math.min(this.#oldestPending, epoch)
  }

  #taken(): void {
    if (this.#pending.size > 0) return
    this.#oldestChange = NEVER
    this.#oldestPending = NEVER
  }

  #resourceName(name: string): string {
    return this.#view.demands?.resourceName(this.type, name) ?? name
  }

  /** The resource with the names by which the client waits for it. */
  #withAliases(resource: EncodedResource): EncodedResource {
    const aliases = this.#aliases.get(resource.name)
    return aliases ? { ...resource, aliases: [...aliases] } : resource
  }

  /** Whether the client is to be told that there is no such resource. */
  #isGone(name: string): boolean {
    return !this.#view.get(this.type, name) && !this.#answersAbsence(name)
  }

  /** A virtual host that a request waits for: saying nothing would leave the request waiting. */
  #answersAbsence(name: string): boolean {
    return this.type === TypeUrl.virtualHost && this.#subscribed.has(name) && !this.#sent.has(name)
  }

  #becomeWildcard(epoch: number): void {
    this.wildcard = true
    for (const name of this.#view.names(this.type)) this.#mark(name, epoch)
  }

  #endWildcard(): void {
    this.wildcard = false
    for (const name of [...this.#sent.keys(), ...this.#pending.keys()])
      if (!this.wants(name)) this.#forget(name)
  }

  /** A name that stands for a route configuration's virtual hosts, each of which is called `<table>/<host>`. */
  #isTable(name: string): boolean {
    return this.type === TypeUrl.virtualHost && !name.includes('/')
  }

  #forgetHostsOf(table: string): void {
    for (const name of [...this.#sent.keys(), ...this.#pending.keys()])
      if (tableOf(name) === table && !this.#subscribed.has(name)) this.#forget(name)
  }

  #forget(name: string): void {
    this.#sent.delete(name)
    this.#pending.delete(name)
    this.#rejected.delete(name)
    this.#taken()
  }
}

function isRemoval({ resources, absent }: Batch): boolean {
  return resources.length === 0 && absent.length === 0
}

/** The route configuration that a virtual host is of. */
function tableOf(name: string): string {
  const slash = name.indexOf('/')
  return slash < 0 ? '' : name.slice(0, slash)
}
