import type { ChangeSet, MeshSnapshot } from '@seine/model'
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
}

/** Indexes a snapshot; indexes are made again only when what they index changed. */
export function indexSnapshot(
  snapshot: MeshSnapshot,
  before?: IndexedSnapshot,
  changes?: ChangeSet,
): IndexedSnapshot {
  const same = (part: 'destinationRules' | 'virtualServices' | 'services') =>
    before !== undefined && changes?.[part].size === 0 ? before : undefined
  return {
    snapshot,
    rules: same('destinationRules')?.rules ?? new DestinationRuleIndex(snapshot),
    virtualServices: same('virtualServices')?.virtualServices ?? new VirtualServiceIndex(snapshot),
    addresses: same('services')?.addresses ?? hostsBy(snapshot, ({ addresses }) => addresses),
    standIns:
      same('services')?.standIns ??
      hostsBy(snapshot, ({ externalName }) => (externalName === undefined ? [] : [externalName])),
  }
}

type Service = MeshSnapshot['services'] extends ReadonlyMap<string, infer S> ? S : never

function hostsBy({ services }: MeshSnapshot, keysOf: (service: Service) => readonly string[]) {
  const hosts = new Map<string, string[]>()
  for (const service of services.values()) {
    for (const key of keysOf(service)) {
      const known = hosts.get(key)
      if (known) known.push(service.hostname)
      else hosts.set(key, [service.hostname])
    }
  }
  for (const list of hosts.values()) if (list.length > 1) list.sort()
  return hosts
}

/** Every host that may have resources of its own: of services, and those that only virtual services name. */
export function allHosts({ snapshot, virtualServices }: IndexedSnapshot): Set<string> {
  return new Set([...snapshot.services.keys(), ...virtualServices.hosts()])
}
