import type { ChangeSet, MeshService, MeshSnapshot } from '@seine/model'
import { DestinationRuleIndex } from './destination-rules.ts'
import { VirtualServiceIndex } from './virtual-services.ts'

/** A snapshot with the indexes that translation looks things up in. */
export interface IndexedSnapshot {
  readonly snapshot: MeshSnapshot
  readonly rules: DestinationRuleIndex
  readonly virtualServices: VirtualServiceIndex
  /** Address → the hosts of the services that have it, sorted. */
  readonly addresses: ReadonlyMap<string, readonly string[]>
  /** Host → the hosts of the ExternalName services that stand for it. */
  readonly standIns: ReadonlyMap<string, readonly string[]>
  /** What services say of the endpoints that clients prefer → the hosts of those services. */
  readonly distributions: ReadonlyMap<string, readonly string[]>
}

/** Indexes a snapshot; indexes are made again only when what they index changed. */
export function indexSnapshot(
  snapshot: MeshSnapshot,
  before?: IndexedSnapshot,
  changes?: ChangeSet,
): IndexedSnapshot {
  const same = (part: 'destinationRules' | 'virtualServices') =>
    before !== undefined && changes?.[part].size === 0 ? before : undefined
  const hosts = (part: 'addresses' | 'standIns' | 'distributions', keysOf: KeysOf) =>
    before && changes
      ? hostsByKey(before[part], before.snapshot, snapshot, changes.services, keysOf)
      : hostsByKey(new Map(), undefined, snapshot, snapshot.services.keys(), keysOf)
  return {
    snapshot,
    rules: same('destinationRules')?.rules ?? new DestinationRuleIndex(snapshot),
    virtualServices:
      same('virtualServices')?.virtualServices ??
      (before && changes
        ? VirtualServiceIndex.of(
            snapshot,
            { index: before.virtualServices, snapshot: before.snapshot },
            changes.virtualServices,
          )
        : VirtualServiceIndex.of(snapshot)),
    addresses: hosts('addresses', ({ addresses }) => addresses),
    distributions: hosts('distributions', ({ distribution }) => (distribution ? [distribution] : [])),
    standIns: hosts('standIns', ({ externalName }) => (externalName === undefined ? [] : [externalName])),
  }
}

type KeysOf = (service: MeshService) => readonly string[]
type HostsByKey = ReadonlyMap<string, readonly string[]>

/** The hosts of the services that have a key, sorted; made from how it was before and the services that changed. */
function hostsByKey(
  known: HostsByKey,
  before: MeshSnapshot | undefined,
  after: MeshSnapshot,
  changed: Iterable<string>,
  keysOf: KeysOf,
): HostsByKey {
  const keysIn = (snapshot: MeshSnapshot | undefined, host: string) => {
    const service = snapshot?.services.get(host)
    return service ? keysOf(service) : []
  }
  let hosts: Map<string, readonly string[]> | undefined
  const all = () => {
    hosts ??= new Map(known)
    return hosts
  }
  for (const host of changed) {
    const [old, now] = [keysIn(before, host), keysIn(after, host)]
    for (const key of old) {
      if (now.includes(key)) continue
      const left = (all().get(key) ?? []).filter(other => other !== host)
      if (left.length > 0) all().set(key, left)
      else all().delete(key)
    }
    for (const key of now) if (!old.includes(key)) all().set(key, [...(all().get(key) ?? []), host].sort())
  }
  return hosts ?? known
}

/** Every host that may have resources of its own: of services, and those that only virtual services name. */
export function allHosts({ snapshot, virtualServices }: IndexedSnapshot): Set<string> {
  return new Set([...snapshot.services.keys(), ...virtualServices.hosts()])
}
