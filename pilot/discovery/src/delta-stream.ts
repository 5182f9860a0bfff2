import { type EncodedResource, shortTypeName, TypeUrl } from '@seine/envoy'
import type { DeltaDiscoveryRequest } from '@seine/envoy/envoy/service/discovery/v3/discovery'
import type { Clock } from '@seine/kit'
import type { ProxyView, PushHint } from './config-source.ts'
import type { TypeStatus } from './proxy-status.ts'
import { type Batch, TypeState } from './type-state.ts'
import { deltaResponse } from './wire.ts'

/** How long routes wait for a client to ask for the endpoints of new clusters. Clients that never do are not held up longer. */
const ENDPOINT_WAIT_MS = 1000
/** How many names one client may subscribe to: bounds what a hostile or broken client can make the server keep. */
const MAX_SUBSCRIBED = 100_000

/** Who is told what a stream does. */
export interface StreamEvents {
  send(message: Buffer): void
  acked(type: string, names: readonly string[]): void
  nacked(type: string, names: readonly string[], message: string): void
  failed(message: string): void
}

/**
 * The delta protocol towards one client. Changes go out make-before-break: clusters, their endpoints, then
 * listeners, routes and virtual hosts once those are acknowledged, and removals of clusters at the end. While
 * a response of a type is unacknowledged, changes of that type collect and the latest state goes out next.
 */
export class DeltaStream {
  readonly #view: ProxyView
  readonly #events: StreamEvents
  readonly #clock: Clock
  readonly #types = new Map<string, TypeState>()
  /** New clusters whose endpoints the client has not acknowledged yet. */
  readonly #awaitingEndpoints = new Set<string>()
  #cancelWait: (() => void) | undefined
  #nonce = 0
  #subscribed = 0
  #blocked = false

  constructor(view: ProxyView, events: StreamEvents, clock: Clock) {
    this.#view = view
    this.#events = events
    this.#clock = clock
  }

  /** Takes a request of the client: a subscription, an acknowledgement or both. */
  receive(request: DeltaDiscoveryRequest): void {
    const type = request.typeUrl
    const first = !this.#types.has(type)
    const state = this.#stateOf(type)
    if (request.responseNonce !== '') this.#answered(state, request)
    this.#subscribed += request.resourceNamesSubscribe.length - request.resourceNamesUnsubscribe.length
    if (this.#subscribed > MAX_SUBSCRIBED)
      return void this.#events.failed(`more than ${MAX_SUBSCRIBED} names subscribed on one stream`)
    if (first) state.adopt(request.initialResourceVersions)
    if (first && request.resourceNamesSubscribe.length === 0) state.becomeWildcard()
    state.subscribe(request.resourceNamesSubscribe)
    state.unsubscribe(request.resourceNamesUnsubscribe)
    this.pump()
  }

  /** Takes note of changes and sends what can be sent. */
  push(hint: PushHint): void {
    for (const [type, names] of hint) this.#types.get(type)?.touch(names)
    this.pump()
  }

  /** The transport is full (`true`) or takes more again (`false`). */
  setBlocked(blocked: boolean): void {
    this.#blocked = blocked
    if (!blocked) this.pump()
  }

  /** Sends whatever may go out now. */
  pump(): void {
    if (this.#blocked) return
    this.#sendChanges(TypeUrl.cluster)
    this.#sendChanges(TypeUrl.endpoint)
    for (const type of this.#types.keys()) if (!(type in shortTypeName)) this.#sendChanges(type)
    if (this.#busy(TypeUrl.cluster) || this.#busy(TypeUrl.endpoint) || this.#awaitingEndpoints.size > 0)
      return
    this.#sendChanges(TypeUrl.listener)
    if (this.#busy(TypeUrl.listener)) return
    this.#sendChanges(TypeUrl.route)
    if (this.#busy(TypeUrl.route)) return
    this.#sendChanges(TypeUrl.virtualHost)
    if (this.#busy(TypeUrl.virtualHost)) return
    for (const type of [
      TypeUrl.virtualHost,
      TypeUrl.route,
      TypeUrl.listener,
      TypeUrl.cluster,
      TypeUrl.endpoint,
    ]) {
      this.#sendRemovals(type)
      if (this.#types.get(type)?.inFlight) return
    }
  }

  status(): Record<string, TypeStatus> {
    const known = [...this.#types].filter(([type]) => type in shortTypeName)
    return Object.fromEntries(known.map(([type, state]) => [shortTypeName[type as TypeUrl], state.status()]))
  }

  close(): void {
    this.#cancelWait?.()
  }

  #stateOf(type: string): TypeState {
    const known = this.#types.get(type)
    if (known) return known
    const state = new TypeState(type, this.#view)
    this.#types.set(type, state)
    return state
  }

  #busy(type: string): boolean {
    const state = this.#types.get(type)
    return state !== undefined && (state.inFlight || !state.onlyRemovalsLeft)
  }

  #sendChanges(type: string): void {
    const state = this.#types.get(type)
    if (!state || state.inFlight) return
    const batch = state.nextBatch()
    if (batch) this.#send(state, batch)
  }

  #sendRemovals(type: string): void {
    const state = this.#types.get(type)
    if (!state || state.inFlight) return
    const batch = state.removals()
    if (batch) this.#send(state, batch)
  }

  #send(state: TypeState, batch: Batch): void {
    const nonce = String(++this.#nonce)
    const message = deltaResponse(state.type, nonce, batch.resources, batch.removed, batch.absent)
    const fresh = state.launched(batch, nonce)
    if (state.type === TypeUrl.cluster) this.#clustersSent(batch.resources, new Set(fresh))
    if (state.type === TypeUrl.route) this.#routesSent(fresh)
    this.#events.send(message)
  }

  /**
   * Envoy keeps an updated cluster warming until its endpoints come again, and a new one until they come
   * first; routes to it wait for that.
   */
  #clustersSent(clusters: readonly EncodedResource[], fresh: ReadonlySet<string>): void {
    const endpoints = this.#types.get(TypeUrl.endpoint)
    const withEndpoints = clusters.filter(({ name }) => this.#view.get(TypeUrl.endpoint, name) !== undefined)
    endpoints?.resend(withEndpoints.map(({ name }) => name))
    if (withEndpoints.length === 0) return
    for (const { name } of withEndpoints)
      if (fresh.has(name) || endpoints?.has(name)) this.#awaitingEndpoints.add(name)
    this.#cancelWait?.()
    this.#cancelWait = this.#clock.after(ENDPOINT_WAIT_MS, () => {
      this.#awaitingEndpoints.clear()
      this.pump()
    })
  }

  /** A route configuration that is new to the client has none of its virtual hosts, and Envoy does not ask for them again. */
  #routesSent(fresh: readonly string[]): void {
    const hosts = this.#types.get(TypeUrl.virtualHost)
    for (const table of fresh) hosts?.resend(this.#view.names(TypeUrl.virtualHost, table))
  }

  #answered(state: TypeState, request: DeltaDiscoveryRequest): void {
    const now = this.#clock.now()
    if (request.errorDetail) {
      const atFault = state.rejected(request.responseNonce, request.errorDetail.message, now)
      if (atFault && atFault.length > 0) this.#events.nacked(state.type, atFault, request.errorDetail.message)
      for (const name of atFault ?? []) this.#awaitingEndpoints.delete(name)
      return
    }
    const names = state.acknowledged(request.responseNonce, now)
    if (!names) return
    if (state.type === TypeUrl.endpoint) for (const name of names) this.#awaitingEndpoints.delete(name)
    this.#events.acked(state.type, names)
  }
}
