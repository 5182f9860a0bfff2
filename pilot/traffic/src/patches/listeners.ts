import { clone, type Message } from '@bufbuild/protobuf'
import { type Any, anyPack, anyUnpack } from '@bufbuild/protobuf/wkt'
import { mergeAny } from '@seine/envoy'
import type { TransportSocket } from '@seine/envoy/envoy/config/core/v3/base'
import type { Listener } from '@seine/envoy/envoy/config/listener/v3/listener'
import {
  type Filter,
  type FilterChain,
  FilterChainSchema,
  type ListenerFilter,
} from '@seine/envoy/envoy/config/listener/v3/listener_components'
import {
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
  type HttpFilter,
} from '@seine/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager'
import { VIRTUAL_INBOUND, VIRTUAL_OUTBOUND } from '../names.ts'
import { addByClass } from './filter-class.ts'
import { Journal, withCauses } from './journal.ts'
import { adds, merge, mergesLists, type Patch, type PatchContext, patchList, valueOf } from './patch.ts'
import { patchRoutes } from './routes.ts'

/** Applies patches to a listener. @returns undefined where one of them removes it. */
export function patchListener(
  listener: Listener,
  patches: readonly Patch[],
  context: PatchContext,
  journal: Journal,
): Listener | undefined {
  const own = patches.filter(patch => matchesListener(listener, patch))
  const whole = new Journal()
  for (const patch of of(own, 'LISTENER')) {
    if (patch.operation === 'REMOVE') {
      journal.note(patch, true)
      return undefined
    }
    whole.note(patch, merge(patch, listener))
  }
  for (const patch of of(own, 'LISTENER_FILTER'))
    whole.note(patch, patchListenerFilter(patch, listener.listenerFilters))
  listener.filterChains = patchChains(listener, own, context, journal, whole)
  const { defaultFilterChain } = listener
  if (defaultFilterChain) {
    const patched = patchChain(listener, defaultFilterChain, own, context, journal)
    if (patched) listener.defaultFilterChain = patched
    else delete listener.defaultFilterChain
  }
  for (const patch of whole.applied) journal.note(patch, true)
  const metadata = withCauses(listener.metadata, whole.applied)
  if (metadata) listener.metadata = metadata
  return listener
}

const of = (patches: readonly Patch[], applyTo: Patch['applyTo']) =>
  patches.filter(patch => patch.applyTo === applyTo)

function patchChains(
  listener: Listener,
  patches: readonly Patch[],
  context: PatchContext,
  journal: Journal,
  whole: Journal,
): FilterChain[] {
  const chains = listener.filterChains.flatMap(
    chain => patchChain(listener, chain, patches, context, journal) ?? [],
  )
  for (const patch of of(patches, 'FILTER_CHAIN'))
    if (adds(patch)) {
      chains.push(valueOf(patch))
      whole.note(patch, true)
    }
  return chains
}

/** @returns undefined where a patch removes the chain. */
function patchChain(
  listener: Listener,
  chain: FilterChain,
  patches: readonly Patch[],
  context: PatchContext,
  journal: Journal,
): FilterChain | undefined {
  const own = patches.filter(patch => matchesChain(listener, chain, patch))
  const noted = new Journal()
  for (const patch of of(own, 'FILTER_CHAIN')) {
    if (patch.operation === 'REMOVE') {
      journal.note(patch, true)
      return undefined
    }
    noted.note(patch, mergeChain(patch, chain))
  }
  for (const patch of of(own, 'NETWORK_FILTER')) {
    const name = filterOf(patch)?.name
    const matches = name === undefined ? undefined : (filter: Filter) => filter.name === name
    noted.note(patch, addByClass(patch, chain.filters) || patchList(patch, chain.filters, matches))
  }
  chain.filters = chain.filters.map(filter => patchFilter(filter, own, context, noted))
  for (const patch of noted.applied) journal.note(patch, true)
  const metadata = withCauses(chain.metadata, noted.applied)
  if (metadata) chain.metadata = metadata
  return chain
}

/** A transport socket of the same name is merged into the one that is there; the rest of the chain as it is. */
function mergeChain(patch: Patch, chain: FilterChain): boolean {
  const lists = mergesLists(patch)
  const value = patch.value as FilterChain | undefined
  if (!lists || !value) return false
  const socket = mergedSocket(chain.transportSocket, value.transportSocket)
  const rest = clone(FilterChainSchema, value)
  delete rest.transportSocket
  merge({ ...patch, value: rest }, chain)
  if (socket) chain.transportSocket = socket
  return true
}

/** A transport socket with what a patch says of it: merged where both have the same name, else in its place. */
export function mergedSocket(
  socket: TransportSocket | undefined,
  value: TransportSocket | undefined,
): TransportSocket | undefined {
  if (!value || socket?.name !== value.name) return value
  const config = typedConfig(value)
  return config
    ? { ...socket, configType: { case: 'typedConfig', value: mergeAny(typedConfig(socket), config) } }
    : socket
}

type Typed = { readonly name: string; configType: { case?: string | undefined; value?: unknown } }

function typedConfig({ configType }: Typed): Any | undefined {
  return configType.case === 'typedConfig' ? (configType.value as Any) : undefined
}

/** Merges a filter into one of its kind: the configuration by its fields, the name in place of the other. */
function mergeFilter<T extends Message & Typed>(patch: Patch, filter: T): boolean {
  const lists = mergesLists(patch)
  if (!lists || !patch.value || !typedConfig(filter)) return false
  const value = patch.value as T
  const config = typedConfig(value)
  if (value.name !== '') (filter as { name: string }).name = value.name
  if (config) filter.configType = { case: 'typedConfig', value: mergeAny(typedConfig(filter), config, lists) }
  return true
}

function patchListenerFilter(patch: Patch, filters: ListenerFilter[]): boolean {
  const name = patch.match.listener?.listenerFilter
  const matches = name === undefined ? undefined : (filter: ListenerFilter) => filter.name === name
  if (!mergesLists(patch)) return patchList(patch, filters, matches)
  if (!matches) return false
  let did = false
  for (const filter of filters.filter(matches)) did = mergeFilter(patch, filter) || did
  return did
}

function patchFilter(
  filter: Filter,
  patches: readonly Patch[],
  context: PatchContext,
  journal: Journal,
): Filter {
  const own = patches.filter(patch => {
    const name = filterOf(patch)?.name
    return name === undefined || name === filter.name
  })
  for (const patch of of(own, 'NETWORK_FILTER'))
    if (mergesLists(patch)) journal.note(patch, mergeFilter(patch, filter))
  const config = typedConfig(filter)
  const manager = config ? anyUnpack(config, HttpConnectionManagerSchema) : undefined
  if (!manager) return filter
  const before = journal.applied.size
  patchManager(manager, of(own, 'HTTP_FILTER'), patches, context, journal)
  if (journal.applied.size === before) return filter
  filter.configType = { case: 'typedConfig', value: anyPack(HttpConnectionManagerSchema, manager) }
  return filter
}

function patchManager(
  manager: HttpConnectionManager,
  httpPatches: readonly Patch[],
  patches: readonly Patch[],
  context: PatchContext,
  journal: Journal,
): void {
  for (const patch of httpPatches) {
    const name = filterOf(patch)?.subFilter?.name
    const matches = name === undefined ? undefined : (filter: HttpFilter) => filter.name === name
    if (!mergesLists(patch))
      journal.note(
        patch,
        addByClass(patch, manager.httpFilters) || patchList(patch, manager.httpFilters, matches),
      )
  }
  for (const patch of httpPatches) {
    const name = filterOf(patch)?.subFilter?.name
    for (const filter of manager.httpFilters)
      if (name === undefined || filter.name === name) journal.note(patch, mergeFilter(patch, filter))
  }
  if (manager.routeSpecifier.case === 'routeConfig')
    patchRoutes(manager.routeSpecifier.value, patches, context, journal)
}

function filterOf({ match }: Patch) {
  return match.listener?.filterChain?.filter
}

/** The listeners that capture everything stand for many ports: there a port is matched against each filter chain's. */
function isVirtual({ name }: Listener): boolean {
  return name === VIRTUAL_INBOUND || name === VIRTUAL_OUTBOUND
}

function matchesListener(listener: Listener, { applyTo, match }: Patch): boolean {
  const wanted = match.listener
  if (!wanted) return true
  if (wanted.name && wanted.name !== listener.name) return false
  if (!wanted.portNumber || (applyTo !== 'LISTENER' && isVirtual(listener))) return true
  const address = listener.address?.address
  const port = address?.case === 'socketAddress' ? address.value.portSpecifier : undefined
  return port?.case === 'portValue' && port.value === wanted.portNumber
}

function matchesChain(
  listener: Listener,
  { name, filterChainMatch: own }: FilterChain,
  { match }: Patch,
): boolean {
  const wanted = match.listener
  if (!wanted) return true
  if (isVirtual(listener) && wanted.portNumber && own?.destinationPort !== wanted.portNumber) return false
  const chain = wanted.filterChain
  if (!chain) return true
  const protocols = chain.applicationProtocols ? chain.applicationProtocols.split(',') : []
  return (
    (!chain.name || namesOf(listener, name, own?.destinationPort).includes(chain.name)) &&
    (!chain.sni || (own?.serverNames.includes(chain.sni) ?? false)) &&
    (!chain.transportProtocol || own?.transportProtocol === chain.transportProtocol) &&
    protocols.every(protocol => own?.applicationProtocols.includes(protocol)) &&
    (!chain.destinationPort || own?.destinationPort === chain.destinationPort)
  )
}

/** What a chain is called: its name, and what Istio calls the chains of a port of the workload. */
function namesOf(listener: Listener, name: string, port: number | undefined): string[] {
  return listener.name === VIRTUAL_INBOUND && port !== undefined ? [name, `0.0.0.0_${port}`] : [name]
}
