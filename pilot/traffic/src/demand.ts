import { type EncodedResource, TypeUrl } from '@seine/envoy'
import { hostCovers } from '@seine/model'
import type { Destination } from './destination-clusters.ts'
import { isDestinationCluster } from './names.ts'
import { clustersOfVirtualHost, wildcardsOfVirtualHost } from './references.ts'
import { placeholderHost } from './routes/unknown-host.ts'

/** Where a proxy's demands are met from: everything that its workload could call. */
export interface Supply {
  /** The virtual host for one that the mesh does not know, by `<port>/<host>`. */
  unknownHost(name: string): EncodedResource
  /** Something that is another when those virtual hosts are. */
  outside(port: number): string
  /** The ports that have a table of virtual hosts. */
  readonly tables: Iterable<number>
  virtualHost(name: string): EncodedResource | undefined
  /** The hosts of a table. */
  hosts(port: number): Iterable<string>
  /** The name of the virtual host that answers to a name of the form `<table>/<Host header>`. */
  resourceName(name: string): string
  /** What the cluster for an address stands for; without a service for what the mesh does not know. */
  destination(name: string): Destination
  /** Clusters that the proxy needs whatever it calls: its own ports', and those that listeners lead to. Another set once they change. */
  readonly standingClusters: ReadonlySet<string>
  /** Has the proxy's listeners say where connections to addresses go. @returns the listeners that differ for that. */
  stopAsking(): Iterable<string>
}

/**
 * How many hosts that the mesh does not know have a virtual host of their own in a table; a crawler of the internet calls
 * any number.
 */
const MAX_UNKNOWN = 500
/** How many addresses of which the mesh knows nothing a proxy asks for, before it is told where connections go. */
const MAX_STRANGERS = 500
const OUTBOUND_CLUSTER = /^outbound\|(\d+)\|[^|]*\|(.+)$/

type Changed = ReadonlyMap<string, ReadonlySet<string> | 'all'>

/**
 * What one workload has called, and so gets: virtual hosts are asked for with the first request to them
 * (VHDS on demand), and clusters come along with the routes that lead to them. A proxy's configuration follows
 * what its workload calls, not the size of the mesh. One for each stream: it tells what is new to that stream.
 */
export class Demand {
  readonly #supply: Supply
  /** Virtual hosts of services and routes, by `<port>/<hostname>`. */
  readonly #hosts = new Set<string>()
  /** By what names each of those was asked for. */
  readonly #asked = new Map<string, Set<string>>()
  /** Hosts that the mesh does not know, by table. */
  readonly #unknown = new Map<string, Set<string>>()
  /** Tables with a virtual host for all others: about their hosts Envoy asks no more. */
  readonly #closed = new Set<string>()
  /** Those of the virtual hosts that stand for many names. */
  readonly #wildcards = new Set<string>()
  /** Clusters that a route has led to: they stay, for routes go to and fro, and a cluster that goes ends requests. */
  readonly #routed = new Set<string>()
  /** Clusters for addresses that were connected to, and what each stood for when that was last looked at. */
  readonly #destinations = new Map<string, string>()
  /** Those of addresses that the mesh did not know. */
  readonly #strangers = new Set<string>()
  #standing: ReadonlySet<string>
  /** Where requests for unknown hosts went when that was last looked at, by table. */
  readonly #outsides = new Map<string, string>()

  constructor(supply: Supply) {
    this.#supply = supply
    this.#standing = supply.standingClusters
  }

  /** The names of the virtual hosts of a table, or of all tables, that the proxy gets. */
  virtualHosts(table: string | undefined): string[] {
    const tables = table === undefined ? [...this.#supply.tables].map(String) : [table]
    const wanted = new Set(tables)
    const isWanted = (name: string) => wanted.has(tableOf(name)) && this.virtualHost(name) !== undefined
    const unknown = tables.flatMap(name => [...(this.#unknown.get(name) ?? [])])
    const all = new Set([...this.#hosts, ...unknown, ...tables.map(anyHostOf)])
    return [...tables.map(name => `${name}/_`), ...[...all].filter(isWanted)]
  }

  virtualHost(name: string): EncodedResource | undefined {
    if (name.endsWith('/_')) return placeholderHost(tableOf(name))
    if (this.#hosts.has(name)) return this.#supply.virtualHost(name)
    const table = tableOf(name)
    const isThere =
      name === anyHostOf(table)
        ? this.#closed.has(table)
        : this.#unknown.get(table)?.has(name) && this.resourceName(name) === name
    return isThere ? (this.#supply.virtualHost(name) ?? this.#supply.unknownHost(name)) : undefined
  }

  hasCluster(name: string): boolean {
    return this.#routed.has(name) || this.#destinations.has(name) || this.#supply.standingClusters.has(name)
  }

  /** The names of all clusters that the proxy gets. */
  clusters(): ReadonlySet<string> {
    return new Set([...this.#supply.standingClusters, ...this.#routed, ...this.#destinations.keys()])
  }

  /** The virtual host that answers to a name of the form `<table>/<Host header>`. */
  resourceName(name: string): string {
    return this.#supply.resourceName(name)
  }

  /** Takes note of virtual hosts that are asked for, or that the proxy holds, with their clusters, from before. */
  ask(type: string, names: Iterable<string>): Changed {
    const more = noMore()
    for (const name of names) {
      if (type === TypeUrl.cluster && isDestinationCluster(name)) {
        this.#askDestination(name, more)
        continue
      }
      const wanted = type === TypeUrl.virtualHost ? name : hostOfCluster(type, name)
      if (!wanted?.includes('/') || wanted.endsWith('/_')) continue
      const own = this.resourceName(wanted)
      // A cluster that is held is no reason to take a host in that is not there any more.
      if (this.#supply.virtualHost(own)) {
        this.#remember(own, wanted)
        this.#add(own, more)
      } else if (type === TypeUrl.virtualHost) this.#addUnknown(own, more)
    }
    return extended(new Map(), more)
  }

  /** Takes note of a change of the mesh, which may lead routes elsewhere and make unknown hosts known. */
  follow(hint: Changed): Changed {
    const more = noMore()
    this.#followStanding(more)
    this.#followDestinations(hint, more)
    const hosts = hint.get(TypeUrl.virtualHost)
    if (hosts === 'all') {
      for (const name of [...this.#hosts]) this.#follow(name, more)
      this.#learn(more)
    } else if (hosts) {
      let isNews = false
      for (const name of hosts) {
        if (this.#hosts.has(name)) this.#follow(name, more)
        else isNews = true
      }
      if (isNews) this.#learn(more)
    }
    const tables = hint.get(TypeUrl.route)
    if (tables && tables !== 'all') this.#followTables(tables, more)
    return extended(hint, more)
  }

  /** Envoy waits for a first answer about a table that is new; requests for unknown hosts may go elsewhere now. */
  #followTables(tables: ReadonlySet<string>, { hosts }: More): void {
    for (const table of tables) {
      hosts.add(`${table}/_`)
      const outside = this.#supply.outside(Number(table))
      if (this.#outsides.get(table) === outside) continue
      this.#outsides.set(table, outside)
      for (const name of this.#unknown.get(table) ?? []) hosts.add(name)
      if (this.#closed.has(table)) hosts.add(anyHostOf(table))
    }
  }

  #followStanding({ clusters }: More): void {
    const [before, after] = [this.#standing, this.#supply.standingClusters]
    if (before === after) return
    this.#standing = after
    for (const name of after) if (!before.has(name)) clusters.add(name)
    for (const name of before) if (!after.has(name)) clusters.add(name)
  }

  /**
   * Takes in the cluster for an address. Envoy does not ask again for one that it was given, so none is taken away; when
   * there are too many that the mesh does not know, Envoy is to ask no more.
   */
  #askDestination(name: string, more: More): void {
    const { cluster, service } = this.#supply.destination(name)
    if (!this.#destinations.has(name)) more.clusters.add(name)
    this.#destinations.set(name, cluster)
    if (service) return
    this.#strangers.add(name)
    if (this.#strangers.size !== MAX_STRANGERS + 1) return
    for (const listener of this.#supply.stopAsking()) more.listeners.add(listener)
    this.#followStanding(more)
  }

  /** Addresses come to stand for something else, and what they stand for changes. */
  #followDestinations(hint: Changed, { clusters }: More): void {
    const touched = [hint.get(TypeUrl.cluster), hint.get(TypeUrl.endpoint)]
    for (const [name, before] of this.#destinations) {
      const { cluster } = this.#supply.destination(name)
      if (cluster !== before) this.#destinations.set(name, cluster)
      if (cluster !== before || touched.some(names => names === 'all' || names?.has(cluster)))
        clusters.add(name)
    }
  }

  /**
   * A host that is still there brings along what it does now. One that is gone is an unknown one at once, by
   * the names that it was asked for: Envoy does not ask again for a name that was answered.
   */
  #follow(name: string, more: More): void {
    if (this.#supply.virtualHost(name)) {
      this.#take(name, more)
      return
    }
    this.#hosts.delete(name)
    this.#wildcards.delete(name)
    const asked = this.#asked.get(name) ?? []
    this.#asked.delete(name)
    for (const written of asked) {
      const own = this.resourceName(written)
      if (!this.#supply.virtualHost(own)) this.#addUnknown(own, more)
      else {
        this.#remember(own, written)
        this.#add(own, more)
      }
    }
  }

  #remember(own: string, name: string): void {
    this.#asked.set(own, (this.#asked.get(own) ?? new Set()).add(name))
  }

  /** Hosts that the mesh has come to know move to the others, and those that a wildcard covers come along. */
  #learn(more: More): void {
    for (const name of [...this.#wildcards]) this.#addCovered(name, more)
    for (const table of this.#closed) this.#addAll(table, more)
    for (const unknown of this.#unknown.values())
      for (const name of unknown) {
        const own = this.resourceName(name)
        if (!this.#supply.virtualHost(own)) continue
        unknown.delete(name)
        more.hosts.add(name)
        this.#remember(own, name)
        this.#add(own, more)
      }
  }

  #add(name: string, more: More): void {
    if (this.#hosts.has(name)) return
    this.#hosts.add(name)
    more.hosts.add(name)
    this.#take(name, more)
  }

  /** Takes what a virtual host brings along, as it is now: the clusters of its routes, and the hosts that it covers. */
  #take(name: string, more: More): void {
    const resource = this.#supply.virtualHost(name)
    for (const cluster of resource ? clustersOfVirtualHost(resource) : []) {
      if (this.#routed.has(cluster)) continue
      this.#routed.add(cluster)
      if (!this.#supply.standingClusters.has(cluster)) more.clusters.add(cluster)
    }
    if (!resource || wildcardsOfVirtualHost(resource).length === 0) this.#wildcards.delete(name)
    else {
      this.#wildcards.add(name)
      this.#addCovered(name, more)
    }
  }

  /** With a virtual host for many names come those for single ones of them: Envoy asks no more where one fits. */
  #addCovered(name: string, more: More): void {
    const resource = this.#supply.virtualHost(name)
    const table = tableOf(name)
    for (const wildcard of resource ? wildcardsOfVirtualHost(resource) : [])
      for (const host of this.#supply.hosts(Number(table)))
        if (hostCovers(wildcard, host)) this.#add(`${table}/${host}`, more)
  }

  /**
   * Takes in a host that the mesh does not know. Envoy does not ask again for one that it was given, so none is taken
   * away; when a table has too many, it gets a virtual host for all of them.
   */
  #addUnknown(name: string, more: More): void {
    // It may have been the mesh's before.
    this.#hosts.delete(name)
    this.#wildcards.delete(name)
    const table = tableOf(name)
    if (name === anyHostOf(table)) {
      this.#close(table, more)
      return
    }
    const unknown = this.#unknown.get(table) ?? new Set<string>()
    this.#unknown.set(table, unknown)
    if (!unknown.has(name)) more.hosts.add(name)
    unknown.add(name)
    if (unknown.size > MAX_UNKNOWN) this.#close(table, more)
  }

  /** Has Envoy ask no more about the hosts of a table: it gets all that the mesh has, and one for all others. */
  #close(table: string, more: More): void {
    if (this.#closed.has(table)) return
    this.#closed.add(table)
    more.hosts.add(anyHostOf(table))
    this.#addAll(table, more)
  }

  #addAll(table: string, more: More): void {
    for (const host of this.#supply.hosts(Number(table))) this.#add(`${table}/${host}`, more)
  }
}

/** What a proxy gets besides what it asked for, or what changed. */
interface More {
  readonly hosts: Set<string>
  readonly clusters: Set<string>
  readonly listeners: Set<string>
}

function noMore(): More {
  return { hosts: new Set(), clusters: new Set(), listeners: new Set() }
}

/** The hint with more names in it. */
function extended(hint: Changed, { hosts, clusters, listeners }: More): Changed {
  if (hosts.size + clusters.size + listeners.size === 0) return hint
  const found = new Map(hint)
  const add = (type: string, more: ReadonlySet<string>) => {
    const names = found.get(type)
    if (more.size > 0 && names !== 'all') found.set(type, new Set([...(names ?? []), ...more]))
  }
  add(TypeUrl.virtualHost, hosts)
  add(TypeUrl.cluster, clusters)
  add(TypeUrl.endpoint, clusters)
  add(TypeUrl.listener, listeners)
  return found
}

/** The virtual host of a table for whatever has none of its own. */
function anyHostOf(table: string): string {
  return `${table}/*`
}

function tableOf(name: string): string {
  return name.slice(0, name.indexOf('/'))
}

/** The virtual host through which a cluster that the proxy holds was reached. */
function hostOfCluster(type: string, name: string): string | undefined {
  const [, port, host] = (type === TypeUrl.cluster && OUTBOUND_CLUSTER.exec(name)) || []
  return port && host ? `${port}/${host}` : undefined
}
