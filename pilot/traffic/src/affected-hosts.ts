import {
  type ChangeSet,
  destinationsOf,
  findService,
  hostCovers,
  type MeshSnapshot,
  resolveHost,
  serviceHostname,
  virtualServiceHosts,
} from '@seine/model'
import { allHosts, type IndexedSnapshot } from './indexed-snapshot.ts'

/** The hosts whose clusters, endpoints, virtual hosts, names or listeners a change can touch. */
export function affectedHosts(
  before: IndexedSnapshot,
  after: IndexedSnapshot,
  changes: ChangeSet,
): ReadonlySet<string> {
  const found = new Collector(after, [...changes.services, ...changes.endpoints, ...changes.backendTls])
  for (const host of hostsIn(after, changes.networks)) found.hosts.add(host)
  const named = new Set(changes.services)
  const ruled = new Set<string>()
  for (const { snapshot } of [before, after]) {
    for (const key of changes.virtualServices) {
      const service = snapshot.virtualServices.get(key)
      for (const host of service ? virtualServiceHosts(service) : []) named.add(host)
    }
    for (const key of changes.destinationRules) {
      const rule = snapshot.destinationRules.get(key)
      if (rule) ruled.add(resolveHost(rule.spec.host, rule.metadata.namespace))
    }
  }
  found.add(named)
  found.add(ruled)
  for (const host of named) found.add(namesakes(host, before, after))
  const standIns = [before, after].flatMap(({ standIns }) =>
    [...named].flatMap(host => standIns.get(host) ?? []),
  )
  found.add(routedTo(new Set([...changes.services, ...ruled, ...standIns]), before, after))
  return found.hosts
}

/** The hosts that have endpoints in some networks. */
function* hostsIn({ snapshot }: IndexedSnapshot, networks: ReadonlySet<string>): Iterable<string> {
  if (networks.size === 0) return
  for (const [host, endpoints] of snapshot.endpoints)
    if (endpoints.networks.some(network => networks.has(network))) yield host
}

/** The hosts to which routes that changed lead, or led. */
export function routedHosts(
  before: MeshSnapshot,
  after: MeshSnapshot,
  changes: ChangeSet,
): ReadonlySet<string> {
  const found = new Set<string>()
  for (const { virtualServices, services } of [before, after]) {
    for (const key of changes.virtualServices) {
      const changed = virtualServices.get(key)
      for (const { host } of changed ? destinationsOf(changed) : [])
        found.add(findService(services, host)?.hostname ?? host)
    }
  }
  return found
}

/** Collects hosts; a wildcard stands for itself and for all the hosts that it covers. */
class Collector {
  readonly hosts: Set<string>
  readonly #indexed: IndexedSnapshot

  constructor(indexed: IndexedSnapshot, hosts: Iterable<string>) {
    this.#indexed = indexed
    this.hosts = new Set(hosts)
  }

  add(patterns: Iterable<string>): void {
    for (const pattern of patterns) {
      this.hosts.add(pattern)
      if (!pattern.startsWith('*')) continue
      for (const host of allHosts(this.#indexed)) if (hostCovers(pattern, host)) this.hosts.add(host)
    }
  }
}

/**
 * Hosts that a name or an address is shared with: when one of them comes or goes, another may get it or lose it.
 */
function* namesakes(host: string, before: IndexedSnapshot, after: IndexedSnapshot): Iterable<string> {
  for (const { snapshot, addresses, standIns, virtualServices } of [before, after]) {
    for (const address of [host, ...(snapshot.services.get(host)?.addresses ?? [])])
      yield* addresses.get(address) ?? []
    yield* standIns.get(host) ?? []
    yield* calledBy(host, snapshot.services)
    // A wildcard that only virtual services name is there as long as no service is covered by it.
    for (const pattern of virtualServices.wildcards()) if (hostCovers(pattern, host)) yield pattern
  }
}

/** The services of the cluster's domain of which a host is a short form: `web.a` is one of `web.a.svc.cluster.local`. */
function* calledBy(host: string, services: ReadonlyMap<string, unknown>): Iterable<string> {
  const [name = '', namespace, svc, ...rest] = host.replace(/^\*\./, '').split('.')
  if (rest.length > 0 || (svc !== undefined && svc !== 'svc')) return
  if (namespace !== undefined) yield serviceHostname(name, namespace)
  else for (const full of services.keys()) if (full.startsWith(`${name}.`)) yield full
}

/** The hosts of virtual services that send to a host: routes name its ports and its hash policies. */
function* routedTo(
  targets: ReadonlySet<string>,
  before: IndexedSnapshot,
  after: IndexedSnapshot,
): Iterable<string> {
  for (const { virtualServices } of [before, after])
    for (const target of targets)
      for (const service of virtualServices.senders(target)) yield* virtualServiceHosts(service)
}
