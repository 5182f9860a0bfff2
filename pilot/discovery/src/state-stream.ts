import { status } from '@grpc/grpc-js'
import { type EncodedResource, shortTypeName, TypeUrl } from '@seine/envoy'
import type { DiscoveryRequest } from '@seine/envoy/envoy/service/discovery/v3/discovery'
import type { Clock } from '@seine/kit'
import type { ProxyView, PushHint } from './config-source.ts'
import { MAX_SUBSCRIBED, MAX_TYPES, type StreamEvents } from './delta-stream.ts'
import type { TypeStatus } from './proxy-status.ts'
import { stateResponse } from './wire.ts'

interface SubscriptionState {
  names: ReadonlySet<string>
  /** Names that were asked for since the newest response: a client may have dropped what it had of them. */
  readonly added: Set<string>
  /** Whether everything of the type is asked for. */
  wildcard: boolean
  /** Whether a request ever held names: after that, none means nothing and no longer everything. */
  named: boolean
  /** Names and versions of the newest response; undefined before the first. */
  version: string | undefined
  sent: readonly EncodedResource[]
  dirty: boolean
  nonce: string
  inFlight: boolean
  ackedAt: number | undefined
  nack: TypeStatus['nack'] | undefined
}

/** Types for which a first request without names asks for everything. */
const WILDCARD_TYPES: readonly string[] = [TypeUrl.cluster, TypeUrl.listener]
/** Types of which a response holds all that there is: what a client asked for and does not find in it is gone to it. */
const COMPLETE_TYPES: readonly string[] = [TypeUrl.cluster, TypeUrl.listener]
/** What has to be acknowledged before a type goes out, so that nothing refers to what is not there yet. */
const AFTER: Readonly<Record<string, readonly string[]>> = {
  [TypeUrl.listener]: [TypeUrl.cluster, TypeUrl.endpoint],
  [TypeUrl.route]: [TypeUrl.cluster, TypeUrl.endpoint, TypeUrl.listener],
}
/** What may still refer to clusters that are gone. */
const REFERRERS: readonly string[] = [TypeUrl.listener, TypeUrl.route]

/**
 * The state-of-the-world protocol towards one client, as proxyless gRPC speaks it: every response holds all
 * resources of its type that the client subscribed to. A rejected response can't be taken apart, as a smaller
 * one would take the rest away from the client.
 *
 * A listener or cluster that a client names and has stays with it, as it was, when it is gone: grpc-js 1.14 takes one
 * that comes again as it was for no news, and never uses it. What leads to it is what has to change.
 */
export class StateStream {
  readonly #view: ProxyView
  readonly #events: StreamEvents
  readonly #clock: Clock
  readonly #types = new Map<string, SubscriptionState>()
  #nonce = 0
  #blocked = false

  constructor(view: ProxyView, events: StreamEvents, clock: Clock) {
    this.#view = view
    this.#events = events
    this.#clock = clock
  }

  /** Takes a request of the client: a subscription, an acknowledgement or both. */
  receive(request: DiscoveryRequest): void {
    const { typeUrl: type, responseNonce } = request
    const reason = this.#reasonAgainst(request)
    if (reason !== undefined) return void this.#events.failed(status.RESOURCE_EXHAUSTED, reason)
    const known = this.#types.get(type)
    const state = known ?? newState()
    this.#types.set(type, state)
    // An answer to an older response says nothing about the newest.
    if (responseNonce !== '' && responseNonce !== state.nonce) return
    if (responseNonce !== '') this.#answered(type, state, request)
    const names = new Set(request.resourceNames)
    state.named ||= names.size > 0
    const wildcard = WILDCARD_TYPES.includes(type) && (names.has('*') || (names.size === 0 && !state.named))
    if (responseNonce === '' || wildcard !== state.wildcard || !sameNames(names, state.names))
      state.dirty = true
    for (const name of names) if (!state.names.has(name)) state.added.add(name)
    Object.assign(state, { names, wildcard })
    this.pump()
  }

  /** Takes note of changes and sends what can be sent. */
  push(hint: PushHint): void {
    for (const [type, names] of hint) {
      const state = this.#types.get(type)
      if (state && (names === 'all' || state.wildcard || hasAny(state.names, names))) state.dirty = true
    }
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
    this.#sendIfDirty(TypeUrl.cluster)
    this.#sendIfDirty(TypeUrl.endpoint)
    for (const type of this.#types.keys())
      if (!(AFTER[type] ?? []).some(earlier => this.#types.get(earlier)?.inFlight)) this.#sendIfDirty(type)
    // Clusters that only what was just found unchanged could have referred to.
    this.#sendIfDirty(TypeUrl.cluster)
  }

  /** Whether the client has acknowledged all there is for it. */
  get settled(): boolean {
    for (const { inFlight, dirty } of this.#types.values()) if (inFlight || dirty) return false
    return true
  }

  status(): Record<string, TypeStatus> {
    const known = [...this.#types].filter(([type]) => type in shortTypeName)
    return Object.fromEntries(known.map(([type, state]) => [shortTypeName[type as TypeUrl], statusOf(state)]))
  }

  close(): void {}

  /** Why a request asks for more than one client may have, or undefined. */
  #reasonAgainst({ typeUrl, resourceNames }: DiscoveryRequest): string | undefined {
    if (!this.#types.has(typeUrl) && this.#types.size >= MAX_TYPES)
      return `more than ${MAX_TYPES} types of resources on one stream`
    let subscribed = resourceNames.length
    for (const [type, { names }] of this.#types) if (type !== typeUrl) subscribed += names.size
    return subscribed > MAX_SUBSCRIBED
      ? `more than ${MAX_SUBSCRIBED} names subscribed on one stream`
      : undefined
  }

  #sendIfDirty(type: string): void {
    const state = this.#types.get(type)
    if (!state?.dirty || state.inFlight) return
    state.dirty = false
    const names = state.wildcard ? this.#view.names(type) : state.names
    const resources = new Map<string, EncodedResource>()
    for (const name of names) {
      const found = this.#view.get(type, name)
      if (found) resources.set(name, found)
    }
    if (COMPLETE_TYPES.includes(type)) keepNamed(state, resources)
    if (type === TypeUrl.cluster) this.#keepReferredTo(state, resources)
    this.#send(type, state, [...resources.values()])
  }

  /** Clusters that are gone stay in until the listeners and routes that may refer to them are replaced. */
  #keepReferredTo(state: SubscriptionState, resources: Map<string, EncodedResource>): void {
    const replaced = REFERRERS.every(type => {
      const referrer = this.#types.get(type)
      return !referrer?.dirty && !referrer?.inFlight
    })
    if (replaced) return
    for (const resource of state.sent) {
      if (resources.has(resource.name) || !(state.wildcard || state.names.has(resource.name))) continue
      resources.set(resource.name, resource)
      state.dirty = true
    }
  }

  #send(type: string, state: SubscriptionState, resources: readonly EncodedResource[]): void {
    const version = resources
      .map(resource => `${resource.name}@${resource.version}`)
      .sort()
      .join()
    const isAskedAnew = resources.some(({ name }) => state.added.has(name))
    state.added.clear()
    if (version === state.version && !isAskedAnew) return
    // A client that waits for a resource that is not there gets no answer until it is, as the protocol has it.
    if (resources.length === 0 && !state.wildcard) return
    state.version = version
    state.nonce = String(++this.#nonce)
    state.inFlight = true
    state.sent = resources
    this.#events.send(type, stateResponse(type, state.nonce, state.nonce, resources))
  }

  #answered(type: string, state: SubscriptionState, request: DiscoveryRequest): void {
    state.inFlight = false
    const names = state.sent.map(({ name }) => name)
    if (request.errorDetail) {
      const { message } = request.errorDetail
      state.nack = { at: this.#clock.now(), message, resources: names }
      this.#events.nacked(type, names, message)
      return
    }
    state.nack = undefined
    state.ackedAt = this.#clock.now()
    this.#events.acked(type, names)
  }
}

/** Adds what a client was sent, still names, and is not there any more. */
function keepNamed({ names, sent }: SubscriptionState, resources: Map<string, EncodedResource>): void {
  for (const resource of sent)
    if (names.has(resource.name) && !resources.has(resource.name)) resources.set(resource.name, resource)
}

function newState(): SubscriptionState {
  return {
    names: new Set(),
    added: new Set(),
    wildcard: false,
    named: false,
    version: undefined,
    sent: [],
    dirty: true,
    nonce: '',
    inFlight: false,
    ackedAt: undefined,
    nack: undefined,
  }
}

function sameNames(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  return one.size === other.size && hasAll(one, other)
}

function hasAll(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  for (const name of other) if (!one.has(name)) return false
  return true
}

function hasAny(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  for (const name of one) if (other.has(name)) return true
  return false
}

function statusOf(state: SubscriptionState): TypeStatus {
  const base = {
    resources: state.sent.length,
    ...(state.ackedAt === undefined ? {} : { ackedAt: state.ackedAt }),
  }
  if (state.nack) return { ...base, state: 'NACKED', nack: state.nack }
  return {
    ...base,
    state: state.inFlight || state.dirty ? 'STALE' : state.ackedAt === undefined ? 'NOT SENT' : 'SYNCED',
  }
}
