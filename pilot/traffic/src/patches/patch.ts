import { clone, type DescMessage, type JsonObject, type Message } from '@bufbuild/protobuf'
import { type EnvoyConfigPatch, type EnvoyFilter, PATCHED_MESSAGES } from '@seine/api'
import { type Lists, mergeInto, messageFromJson, messageType, type Provenance } from '@seine/envoy'
import type { Metadata } from '@seine/envoy/envoy/config/core/v3/base'
import { withCauses } from './journal.ts'

type ApplyTo = EnvoyConfigPatch['applyTo']
/** Who calls, who may, and what comes last. */
export type FilterClass = 'AUTHN' | 'AUTHZ' | 'STATS'

/** Which side of a proxy a resource belongs to. */
export type PatchContext = 'SIDECAR_INBOUND' | 'SIDECAR_OUTBOUND' | 'GATEWAY'

/** One patch of an EnvoyFilter, ready to be applied. */
export interface Patch {
  readonly applyTo: ApplyTo
  readonly operation: EnvoyConfigPatch['patch']['operation']
  /** Where among filters an added one belongs. */
  readonly filterClass: FilterClass | undefined
  readonly match: NonNullable<EnvoyConfigPatch['match']>
  readonly type: DescMessage
  /** What is added or merged; undefined for what is removed. Shared: take a copy with {@link valueOf}. */
  readonly value: Message | undefined
  readonly cause: Provenance
}

const parsed = new WeakMap<EnvoyFilter, readonly Patch[]>()

/** The patches of an EnvoyFilter, in their order. What validation has taken can be parsed. */
export function patchesOf(filter: EnvoyFilter): readonly Patch[] {
  const known = parsed.get(filter)
  if (known) return known
  const { kind, metadata } = filter
  const made = (filter.spec.configPatches ?? []).flatMap(({ applyTo, match, patch }, index): Patch[] => {
    const cause = {
      kind,
      namespace: metadata.namespace,
      name: metadata.name,
      path: `spec.configPatches[${index}]`,
    }
    const type = messageType(PATCHED_MESSAGES[applyTo])
    const { filterClass, operation } = patch
    const base = {
      applyTo,
      operation,
      filterClass: filterClass === 'UNSPECIFIED' ? undefined : filterClass,
      match: match ?? {},
      type,
      cause,
    }
    if (patch.operation === 'REMOVE' || patch.value === undefined) return [{ ...base, value: undefined }]
    const value = messageFromJson(PATCHED_MESSAGES[applyTo], patch.value as JsonObject)
    return value.ok ? [{ ...base, value: value.value }] : []
  })
  parsed.set(filter, made)
  return made
}

/** A copy of what a patch adds, which says in its metadata where it comes from. */
export function valueOf<T extends Message>(patch: Patch): T {
  if (!patch.value) throw new Error('a patch that removes has no value')
  const value = clone(patch.type, patch.value) as T
  markCause(value, patch)
  return value
}

/** The messages that have metadata of their own, and the parts below them that have too. */
const MARKED: ReadonlySet<string> = new Set([
  'envoy.config.cluster.v3.Cluster',
  'envoy.config.listener.v3.Listener',
  'envoy.config.listener.v3.FilterChain',
  'envoy.config.route.v3.VirtualHost',
  'envoy.config.route.v3.Route',
])

interface Marked extends Message {
  metadata?: Metadata
  filterChains?: Marked[]
  defaultFilterChain?: Marked
  routes?: Marked[]
}

function markCause(message: Marked, patch: Patch): void {
  if (!MARKED.has(message.$typeName)) return
  const metadata = withCauses(message.metadata, [patch])
  if (metadata) message.metadata = metadata
  const { filterChains = [], defaultFilterChain, routes = [] } = message
  for (const part of [...filterChains, ...routes, ...(defaultFilterChain ? [defaultFilterChain] : [])])
    markCause(part, patch)
}

/** How a patch that merges treats lists; undefined for one that does not merge. */
export function mergesLists({ operation }: Patch): Lists | undefined {
  if (operation === 'MERGE') return 'append'
  return operation === 'MERGE_AND_REPLACE_LIST' ? 'replace' : undefined
}

/** Merges a patch into a message of its type. @returns whether it is one that merges. */
export function merge(patch: Patch, target: Message): boolean {
  const lists = mergesLists(patch)
  if (!lists || !patch.value) return false
  mergeInto(patch.type, target, patch.value, lists)
  return true
}

const INSERTS: ReadonlySet<string> = new Set(['INSERT_BEFORE', 'INSERT_AFTER', 'INSERT_FIRST'])

/** Whether a patch adds, where the order of what is there means nothing. */
export function adds({ operation }: Patch): boolean {
  return operation === 'ADD' || INSERTS.has(operation)
}

/**
 * Applies a patch to a list whose order matters. Without a match inserting before is at the beginning, and after
 * at the end; replacing and removing need one. INSERT_FIRST is at the beginning, if something matches.
 *
 * @returns whether it did anything.
 */
export function patchList<T extends Message>(
  patch: Patch,
  list: T[],
  matches: ((item: T) => boolean) | undefined,
): boolean {
  const at = matches ? list.findIndex(matches) : -1
  if (matches && at < 0 && patch.operation !== 'ADD') return false
  switch (patch.operation) {
    case 'ADD':
      list.push(valueOf(patch))
      return true
    case 'INSERT_FIRST':
      list.unshift(valueOf(patch))
      return true
    case 'INSERT_BEFORE':
      list.splice(Math.max(at, 0), 0, valueOf(patch))
      return true
    case 'INSERT_AFTER':
      list.splice(matches ? at + 1 : list.length, 0, valueOf(patch))
      return true
    case 'REPLACE':
      if (at >= 0) list[at] = valueOf(patch)
      return at >= 0
    case 'REMOVE':
      if (!matches) return false
      list.splice(0, list.length, ...list.filter(item => !matches(item)))
      return true
    default:
      return false
  }
}
