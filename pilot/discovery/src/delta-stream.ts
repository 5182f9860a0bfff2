import { status } from '@grpc/grpc-js'
import { shortTypeName, TypeUrl } from '@seine/envoy'
import type { DeltaDiscoveryRequest } from '@seine/envoy/envoy/service/discovery/v3/discovery'
import type { Clock } from '@seine/kit'
import type { ProxyView, PushHint } from './config-source.ts'
import type { HeldNames } from './holdings.ts'
import type { TypeStatus } from './proxy-status.ts'
import { type Batch, TypeState } from './type-state.ts'
import { deltaResponse, type Response } from './wire.ts'

/** How long routes wait for a client to ask for the endpoints of new clusters. Clients that never do are not held up longer. */
const ENDPOINT_WAIT_MS = 1000
/**
 * How long nothing is taken from a client that comes back with what an earlier stream gave it: a cluster that is
 * gone may be in use by routes of which the client has not spoken yet.
 */
const RETURN_WAIT_MS = 1000
/** How many names and types one client may subscribe to: bounds what a hostile or broken client can make the server keep. */
export const MAX_SUBSCRIBED = 100_000
export const MAX_TYPES = 32

/** The types whose changes wait for each other, in the order in which they are added; they are removed the other way. */
const ORDERED: readonly string[] = [
  TypeUrl.cluster,
  TypeUrl.endpoint,
  TypeUrl.listener,
  TypeUrl.route,
  TypeUrl.virtualHost,
]
/** Those of them that refer to others. */
const REFERRERS: readonly string[] = [TypeUrl.listener, TypeUrl.route, TypeUrl.virtualHost]
const NO_LIMIT = Number.POSITIVE_INFINITY
/** Removals by type: what refers to others first. */
const REMOVALS: readonly string[] = [
  TypeUrl.virtualHost,
  TypeUrl.route,
  TypeUrl.listener,
  TypeUrl.cluster,
  TypeUrl.endpoint,
]

/** Who is told what a stream does. */
export interface StreamEvents {
  send(type: string, response: Response): void
  acked(type: string, names: readonly string[]): void
  nacked(type: string, names: readonly string[], message: string): void
  /** The client broke the protocol or its bounds: the stream is to end. */
  failed(code: status, message: string): void
}

/**
 * The delta protocol towards one client. Changes go out make-before-break: clusters, their endpoints, then
 * listeners, routes and virtual hosts, and removals once all that is acknowledged. While a response of a type
 * is unacknowledged, changes of that type collect and the latest state goes out next.
 */
export class DeltaStream {
  readonly #view: ProxyView
  readonly #events: StreamEvents
  readonly #clock: Clock
  readonly #names: HeldNames
  readonly #types = new Map<string, TypeState>()
  /** Clusters whose endpoints the client has not been sent yet, and the epoch of their change. */
  readonly #awaitingEndpoints = new Map<string, number>()
  /** Counts pushes. */
  #epoch = 0
  readonly #waits = new Set<() => void>()
  #stopHolding: (() => void) | undefined
  #holdsRemovals = false
  /** A client that lets a wait run out without having asked for any endpoints is not waited for again. */
  #ignoresEndpoints = false
  #nonce = 0
  #blocked = false

  /** `names` is shared by all streams of a server. */
  constructor(view: ProxyView, events: StreamEvents, clock: Clock, names: HeldNames) {
    this.#view = view
    this.#events = events
    this.#clock = clock
    this.#names = names
  }

  /** Takes a request of the client: a subscription, an acknowledgement or both. */
  receive(request: DeltaDiscoveryRequest): void {
    const type = request.typeUrl
    const reason = this.#reasonAgainst(request)
    if (reason !== undefined) return void this.#events.failed(status.RESOURCE_EXHAUSTED, reason)
    const known = this.#types.get(type)
    const state = known ?? new TypeState(type, this.#view, this.#names.of(type))
    this.#demand(request)
    if (known) {
      if (request.responseNonce !== '') this.#answered(state, request)
      state.subscribe(request.resourceNamesSubscribe, this.#epoch)
    } else {
      this.#types.set(type, state)
      if (type === TypeUrl.endpoint) this.#ignoresEndpoints = false
      if (Object.keys(request.initialResourceVersions).length > 0) this.#holdRemovals()
      state.begin(request.resourceNamesSubscribe, request.initialResourceVersions, this.#epoch)
    }
    state.unsubscribe(request.resourceNamesUnsubscribe)
    this.pump()
  }

  /**
   * What a client asks for by name, or holds from an earlier stream, decides what it gets: what more that is
   * goes out in the order of any change.
   */
  #demand({ typeUrl, resourceNamesSubscribe, initialResourceVersions }: DeltaDiscoveryRequest): void {
    const { demands } = this.#view
    if (!demands) return
    const names = [...resourceNamesSubscribe, ...Object.keys(initialResourceVersions)]
    const more = names.length > 0 ? demands.ask(typeUrl, names) : undefined
    if (more && more.size > 0) this.#note(more)
  }

  /** Why a request asks for more than one client may have, or undefined. */
  #reasonAgainst(request: DeltaDiscoveryRequest): string | undefined {
    const known = this.#types.get(request.typeUrl)
    if (known && request.resourceNamesSubscribe.length === 0) return undefined
    if (!known && this.#types.size >= MAX_TYPES)
      return `more than ${MAX_TYPES} types of resources on one stream`
    let subscribed = request.resourceNamesSubscribe.filter(name => !known?.isSubscribed(name)).length
    for (const state of this.#types.values()) subscribed += state.subscriptions
    return subscribed > MAX_SUBSCRIBED
      ? `more than ${MAX_SUBSCRIBED} names subscribed on one stream`
      : undefined
  }

  /** Takes note of changes and sends what can be sent. */
  push(hint: PushHint): void {
    const concerned = this.#view.demands?.follow(hint) ?? hint
    // The agent has a stream of its own, for names: most changes do not concern it.
    if (![...concerned.keys()].some(type => this.#types.has(type))) return
    this.#note(concerned)
    this.pump()
  }

  #note(hint: PushHint): void {
    this.#epoch++
    for (const [type, names] of hint) this.#types.get(type)?.touch(names, this.#epoch)
  }

  /** The transport is full (`true`) or takes more again (`false`). */
  setBlocked(blocked: boolean): void {
    this.#blocked = blocked
    if (!blocked) this.pump()
  }

  /**
   * Sends whatever may go out now. A change goes out after what it may refer to: changes that were made no
   * later than itself. Later ones it can't refer to, so that a steady flow of them does not hold it up. A
   * client takes what it is sent in that order, so that an addition need not wait for the acknowledgement of
   * what went before it. A removal does: requests that are under way may still use what is to go.
   */
  pump(): void {
    if (this.#blocked || !this.#hasMore()) return
    for (const type of this.#types.keys()) {
      if (ORDERED.includes(type)) continue
      this.#sendChanges(type, NO_LIMIT)
      this.#sendRemovals(type, NO_LIMIT)
    }
    this.#sendChanges(TypeUrl.cluster, NO_LIMIT)
    this.#sendChanges(TypeUrl.endpoint, NO_LIMIT)
    let unsent = Math.min(this.#unsentSince(TypeUrl.cluster), this.#unsentSince(TypeUrl.endpoint))
    unsent = Math.min(unsent, this.#awaitedSince())
    for (const type of REFERRERS) {
      this.#sendChanges(type, unsent - 1)
      unsent = Math.min(unsent, this.#unsentSince(type))
    }
    if (!this.#holdsRemovals) this.#sendAllRemovals(unsent)
  }

  /** Whether the client has acknowledged all there is for it. */
  get settled(): boolean {
    for (const state of this.#types.values()) if (!state.settled) return false
    return true
  }

  status(): Record<string, TypeStatus> {
    const known = [...this.#types].filter(([type]) => type in shortTypeName)
    return Object.fromEntries(known.map(([type, state]) => [shortTypeName[type as TypeUrl], state.status()]))
  }

  close(): void {
    for (const state of this.#types.values()) state.close()
    this.#types.clear()
    this.#stopWaiting()
    this.#stopHolding?.()
  }

  #holdRemovals(): void {
    if (this.#stopHolding) return
    this.#holdsRemovals = true
    this.#stopHolding = this.#clock.after(RETURN_WAIT_MS, () => {
      this.#holdsRemovals = false
      this.pump()
    })
  }

  /** Most acknowledgements leave nothing to be done. */
  #hasMore(): boolean {
    for (const state of this.#types.values()) if (state.hasMore) return true
    return false
  }

  #unsentSince(type: string): number {
    return this.#types.get(type)?.unsentSince ?? NO_LIMIT
  }

  /** The epoch of the oldest cluster whose endpoints are awaited. Of one that has none, none will come. */
  #awaitedSince(): number {
    let oldest = NO_LIMIT
    for (const [name, epoch] of this.#awaitingEndpoints)
      if (this.#hasEndpoints(name)) oldest = Math.min(oldest, epoch)
    return oldest
  }

  #hasEndpoints(cluster: string): boolean {
    return this.#view.get(TypeUrl.endpoint, cluster) !== undefined
  }

  #sendChanges(type: string, limit: number): void {
    const state = this.#types.get(type)
    if (!state || state.inFlight) return
    const batch = state.nextBatch(limit)
    if (batch) this.#send(state, this.#withRemovals(state, batch, limit))
  }

  /**
   * Virtual hosts that go leave in the same response in which others come: one may have taken over the other's
   * domain, and Envoy refuses a table in which a domain stands twice.
   */
  #withRemovals(state: TypeState, batch: Batch, limit: number): Batch {
    if (state.type !== TypeUrl.virtualHost || this.#holdsRemovals) return batch
    return { ...batch, removed: state.removals(limit)?.removed ?? [] }
  }

  #sendRemovals(type: string, limit: number): void {
    const state = this.#types.get(type)
    if (!state || state.inFlight) return
    const batch = state.removals(limit)
    if (batch) this.#send(state, batch)
  }

  /** `unsent` is the epoch of the oldest change that is still to be sent. */
  #sendAllRemovals(unsent: number): void {
    let unacknowledged = unsent
    for (const type of ORDERED)
      unacknowledged = Math.min(unacknowledged, this.#types.get(type)?.changesSince ?? NO_LIMIT)
    for (const type of REMOVALS) {
      this.#sendRemovals(type, unacknowledged - 1)
      unacknowledged = Math.min(unacknowledged, this.#types.get(type)?.unsettledSince ?? NO_LIMIT)
    }
  }

  #send(state: TypeState, batch: Batch): void {
    const nonce = String(++this.#nonce)
    const response = deltaResponse(state.type, nonce, batch.resources, batch.removed, batch.absent)
    const fresh = state.launched(batch, nonce)
    if (state.type === TypeUrl.cluster) this.#clustersSent(batch, fresh)
    if (state.type === TypeUrl.endpoint) this.#stopAwaiting(batch.resources.map(({ name }) => name))
    if (state.type === TypeUrl.route) this.#routesSent(fresh)
    this.#events.send(state.type, response)
  }

  /**
   * Envoy keeps an updated cluster warming until its endpoints come again. A new one it asks the endpoints of
   * once it has the cluster: what refers to it waits for that.
   */
  #clustersSent({ resources, since }: Batch, fresh: readonly string[]): void {
    const names = resources.map(({ name }) => name).filter(name => this.#hasEndpoints(name))
    this.#types.get(TypeUrl.endpoint)?.resend(names, since)
    if (fresh.length > 0 && !this.#ignoresEndpoints) this.#await(fresh, since)
  }

  /** Each batch of clusters has a wait of its own: a steady flow of them does not hold routes up for ever. */
  #await(clusters: readonly string[], since: number): void {
    for (const name of clusters) this.#awaitingEndpoints.set(name, since)
    const cancel = this.#clock.after(ENDPOINT_WAIT_MS, () => {
      this.#waits.delete(cancel)
      const inVain = clusters.filter(name => this.#awaitingEndpoints.delete(name))
      this.#ignoresEndpoints =
        !this.#types.has(TypeUrl.endpoint) && inVain.some(name => this.#hasEndpoints(name))
      this.pump()
    })
    this.#waits.add(cancel)
  }

  #stopAwaiting(names: readonly string[]): void {
    for (const name of names) this.#awaitingEndpoints.delete(name)
    if (this.#awaitingEndpoints.size === 0) this.#stopWaiting()
  }

  #stopWaiting(): void {
    for (const cancel of this.#waits) cancel()
    this.#waits.clear()
  }

  /** A route configuration that is new to the client has none of its virtual hosts, and Envoy does not ask for them again. */
  #routesSent(fresh: readonly string[]): void {
    const hosts = this.#types.get(TypeUrl.virtualHost)
    for (const table of fresh) hosts?.resend(this.#view.names(TypeUrl.virtualHost, table), this.#epoch)
  }

  #answered(state: TypeState, request: DeltaDiscoveryRequest): void {
    const now = this.#clock.now()
    if (request.errorDetail) {
      const atFault = state.rejected(request.responseNonce, request.errorDetail.message, now)
      if (!atFault) return
      this.#events.nacked(state.type, atFault, request.errorDetail.message)
      this.#stopAwaiting(atFault)
      return
    }
    const names = state.acknowledged(request.responseNonce, now)
    if (!names) return
    this.#events.acked(state.type, names)
  }
}
