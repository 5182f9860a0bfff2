import type { Message } from '@bufbuild/protobuf'
import { type FilterClass, type Patch, valueOf } from './patch.ts'

type Named = Message & { readonly name: string }

/** What filters of the mesh do, by their names; what else there is belongs to no class. */
const CLASSES: Readonly<Record<string, FilterClass>> = {
  'envoy.filters.http.jwt_authn': 'AUTHN',
  'seine.peer_identity': 'AUTHN',
  'envoy.filters.http.rbac': 'AUTHZ',
  'envoy.filters.http.ext_authz': 'AUTHZ',
  'envoy.filters.network.rbac': 'AUTHZ',
  'envoy.filters.network.ext_authz': 'AUTHZ',
}

/** The classes that a filter of one comes after. */
const AFTER: Readonly<Record<'AUTHN' | 'AUTHZ', readonly FilterClass[]>> = {
  AUTHN: ['AUTHN'],
  AUTHZ: ['AUTHN', 'AUTHZ'],
}

/** The classes of filters that patches have added. */
const added = new WeakMap<Message, FilterClass>()

/**
 * Adds a filter where its class belongs: after the last filter of it, and before those of later classes; STATS before
 * the last filter, which ends the chain. The classes are Istio's, which takes the field and never read it.
 *
 * @returns false for a patch without a class.
 */
export function addByClass<T extends Named>(patch: Patch, filters: T[]): boolean {
  const { filterClass, operation } = patch
  if (!filterClass || operation !== 'ADD') return false
  const value = valueOf<T>(patch)
  added.set(value, filterClass)
  filters.splice(placeOf(filterClass, filters), 0, value)
  return true
}

function placeOf(filterClass: FilterClass, filters: readonly Named[]): number {
  if (filterClass === 'STATS') return Math.max(0, filters.length - 1)
  const before = AFTER[filterClass]
  return 1 + filters.findLastIndex(filter => before.some(one => one === classOf(filter)))
}

function classOf(filter: Named): FilterClass | undefined {
  return added.get(filter) ?? CLASSES[filter.name]
}
