import { type EncodedResource, shortTypeName, TypeUrl } from '@seine/envoy'
import type { DiscoveryRequest } from '@seine/envoy/envoy/service/discovery/v3/discovery'
import type { Clock } from '@seine/kit'
import type { ProxyView, PushHint } from './config-source.ts'
import type { StreamEvents } from './delta-stream.ts'
import type { TypeStatus } from './proxy-status.ts'
import { stateResponse } from './wire.ts'

interface SubscriptionState {
  names: readonly string[]
  wildcard: boolean
  sent: string
  dirty: boolean
  nonce: string
  inFlight: boolean
  sentNames: readonly string[]
  ackedAt: number | undefined
  nack: TypeStatus['nack'] | undefined
}

/**
 * The state-of-the-world protocol towards one client, as proxyless gRPC speaks it: every response holds all
 * resources of its type that the client subscribed to.
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

  receive(request: DiscoveryRequest): void {
    const { typeUrl: type, responseNonce } = request
    const state = this.#types.get(type) ?? newState()
    this.#types.set(type, state)
    // An answer to an older response says nothing about the newest.
    if (responseNonce !== '' && responseNonce !== state.nonce) return
    if (responseNonce !== '') this.#answered(type, state, request)
    const names = [...request.resourceNames].sort()
    const wildcard =
      (type === TypeUrl.cluster || type === TypeUrl.listener) && (names.length === 0 || names.includes('*'))
    if (responseNonce === '' || wildcard !== state.wildcard || names.join() !== state.names.join())
      state.dirty = true
    Object.assign(state, { names, wildcard })
    this.pump()
  }

  push(hint: PushHint): void {
    for (const [type, names] of hint) {
      const state = this.#types.get(type)
      if (state && (names === 'all' || state.wildcard || state.names.some(name => names.has(name))))
        state.dirty = true
    }
    this.pump()
  }

  setBlocked(blocked: boolean): void {
    this.#blocked = blocked
    if (!blocked) this.pump()
  }

  pump(): void {
    if (this.#blocked) return
    for (const [type, state] of this.#types) if (state.dirty && !state.inFlight) this.#send(type, state)
  }

  status(): Record<string, TypeStatus> {
    const known = [...this.#types].filter(([type]) => type in shortTypeName)
    return Object.fromEntries(known.map(([type, state]) => [shortTypeName[type as TypeUrl], statusOf(state)]))
  }

  close(): void {}

  #send(type: string, state: SubscriptionState): void {
    state.dirty = false
    const names = state.wildcard ? [...this.#view.names(type)] : state.names
    const resources = names.flatMap((name): EncodedResource[] => {
      const found = this.#view.get(type, name)
      return found ? [found] : []
    })
    const version = resources.map(resource => `${resource.name}@${resource.version}`).join()
    // A client that waits for a resource that is not there gets no answer until it is, as the protocol has it.
    if (version === state.sent || (resources.length === 0 && !state.wildcard)) return
    state.sent = version
    state.nonce = String(++this.#nonce)
    state.inFlight = true
    state.sentNames = resources.map(({ name }) => name)
    this.#events.send(stateResponse(type, state.nonce, state.nonce, resources))
  }

  #answered(type: string, state: SubscriptionState, request: DiscoveryRequest): void {
    state.inFlight = false
    if (request.errorDetail) {
      const { message } = request.errorDetail
      state.nack = { at: this.#clock.now(), message, resources: state.sentNames }
      this.#events.nacked(type, state.sentNames, message)
      return
    }
    state.nack = undefined
    state.ackedAt = this.#clock.now()
    this.#events.acked(type, state.sentNames)
  }
}

function newState(): SubscriptionState {
  return {
    names: [],
    wildcard: false,
    sent: '',
    dirty: true,
    nonce: '',
    inFlight: false,
    sentNames: [],
    ackedAt: undefined,
    nack: undefined,
  }
}

function statusOf(state: SubscriptionState): TypeStatus {
  const base = {
    resources: state.sentNames.length,
    ...(state.ackedAt === undefined ? {} : { ackedAt: state.ackedAt }),
  }
  if (state.nack) return { ...base, state: 'NACKED', nack: state.nack }
  return {
    ...base,
    state: state.inFlight || state.dirty ? 'STALE' : state.ackedAt === undefined ? 'NOT SENT' : 'SYNCED',
  }
}
