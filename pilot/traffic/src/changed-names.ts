import type { VirtualService } from '@seine/api'
import { type EncodedResource, TypeUrl } from '@seine/envoy'
import { type ChangeSet, gatewaysOf, MESH_GATEWAY, type MeshSnapshot } from '@seine/model'
import { NAME_TABLE_TYPE } from './name-table.ts'
import type { ScopeChanges } from './scope-changes.ts'

/** Names per resource type that may differ after an update; `all` where names are not worth counting. */
export type ChangedNames = ReadonlyMap<string, ReadonlySet<string> | 'all'>

/** Whether a virtual service is for some gateway. */
export function isForGateways(service: VirtualService | undefined): boolean {
  return service !== undefined && gatewaysOf(service).some(name => name !== MESH_GATEWAY)
}

/** The namespaces of the policies that changed. */
export function touchedPolicies(snapshot: MeshSnapshot, changes: ChangeSet): string[] {
  const found = [...changes.peerAuthentications].map(key => snapshot.peerAuthentications.get(key))
  const more = [...changes.authorizationPolicies].map(key => snapshot.authorizationPolicies.get(key))
  return [...found, ...more].filter(policy => policy !== undefined).map(policy => policy.metadata.namespace)
}

/** Changes as the names that proxies are told of. */
export function hints(
  scope: ScopeChanges,
  listeners: readonly string[],
  inboundClusters: ReadonlySet<string>,
  secrets: ReadonlySet<string>,
): ChangedNames {
  const found = new Map<string, ReadonlySet<string> | 'all'>()
  const put = (type: string, names: ReadonlySet<string>) => {
    if (names.size > 0) found.set(type, names)
  }
  put(TypeUrl.cluster, new Set([...scope.clusters, ...inboundClusters]))
  put(TypeUrl.endpoint, scope.endpoints)
  put(TypeUrl.listener, new Set(listeners))
  put(TypeUrl.virtualHost, scope.virtualHosts)
  const tables = new Set([...scope.virtualHosts].map(name => name.slice(0, name.indexOf('/'))))
  for (const table of scope.tables) tables.add(table)
  put(TypeUrl.route, tables)
  put(NAME_TABLE_TYPE, scope.names)
  put(TypeUrl.secret, secrets)
  return found
}

/** A hint with more names in it. */
export function withNames(hint: ChangedNames, more: ReadonlyMap<string, ReadonlySet<string>>): ChangedNames {
  const found = new Map(hint)
  for (const [type, names] of more) {
    const known = found.get(type)
    if (names.size > 0 && known !== 'all') found.set(type, new Set([...(known ?? []), ...names]))
  }
  return found
}

/** The names of what is in one map and not, or otherwise, in the other. */
export function* differingNames(
  after: ReadonlyMap<string, EncodedResource>,
  before: ReadonlyMap<string, EncodedResource>,
): Iterable<string> {
  for (const name of new Set([...after.keys(), ...before.keys()]))
    if (after.get(name)?.version !== before.get(name)?.version) yield name
}

/** What is in one set or the other. */
export function union(a: ReadonlySet<string>, b: ReadonlySet<string>): ReadonlySet<string> {
  return b.size === 0 ? a : new Set([...a, ...b])
}

/** What is in one set and not in the other. */
export function* oneSided(a: ReadonlySet<string>, b: ReadonlySet<string>): Iterable<string> {
  for (const one of a) if (!b.has(one)) yield one
  for (const one of b) if (!a.has(one)) yield one
}

/** Resources by their names. */
export function byName(resources: readonly EncodedResource[]): ReadonlyMap<string, EncodedResource> {
  return new Map(resources.map(resource => [resource.name, resource]))
}
