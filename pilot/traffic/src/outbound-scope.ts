import type { DestinationRule, VirtualService } from '@seine/api'
import type { EncodedResource } from '@seine/envoy'
import {
  hostCovers,
  MESH_GATEWAY,
  type MeshService,
  type MeshSnapshot,
  type ServiceEndpoints,
  visibleIn,
} from '@seine/model'
import { endpointsOfHost, reachableService } from './address-families.ts'
import { commonHosts, commonTargets, isParticular } from './common-hosts.ts'
import type { Destination } from './destination-clusters.ts'
import { ruleLookup } from './destination-rules.ts'
import { Egress, type SeenPort } from './egress.ts'
import { serviceOfGateways } from './gateway/called-service.ts'
import { HostNames } from './host-names.ts'
import { type HostResources, NOTHING, type PortChanges } from './host-resources.ts'
import { allHosts, type IndexedSnapshot } from './indexed-snapshot.ts'
import type { OnDemandPorts } from './listeners/on-demand.ts'
import { ScopeTargets } from './listeners/scope-targets.ts'
import { isTarget, type ListenerTarget, listenerTargets } from './listeners/targets.ts'
import { tcpRoutings } from './listeners/tcp-routing.ts'
import { nameEntry } from './name-table.ts'
import { hostOfCluster } from './names.ts'
import { atProxy, closed, egressProxyOf, type Outside, outsideOf, sameOutside } from './outside.ts'
import { providerClusters } from './proxy-settings.ts'
import type { ResourceCache } from './resource-cache.ts'
import { ResourcesByName } from './resources-by-name.ts'
import { domainsOf, hasRoutes, virtualHost } from './routes/virtual-host.ts'
import { noChanges, type ScopeChanges } from './scope-changes.ts'
import type { ScopeKey } from './scope-key.ts'
import { serviceResources, viewOf } from './service-resources.ts'
import {
  hostOfVirtualHost,
  keyAt,
  ownPlace,
  placesOf,
  type TablePlace,
  virtualHostAt,
} from './table-places.ts'

/** Sidecars are what virtual services call `mesh`. */
const SIDECARS: ReadonlySet<string> = new Set([MESH_GATEWAY])

const NO_TARGETS: readonly ListenerTarget[] = []
/** How many hosts that were asked for and are not there are remembered. */
const MAX_ABSENT = 10_000

/**
 * Clusters, endpoints, virtual hosts and names as the clients of one scope see them. What belongs to a host is made
 * when it is first asked for: of hosts that no client calls a scope knows the ports. A refresh makes again what was
 * made of the given hosts, and nothing else, and reports the names that came out different.
 */
export class OutboundScope {
  readonly key: ScopeKey
  readonly egress: Egress
  readonly clusters: ResourcesByName
  readonly endpoints: ResourcesByName
  /** By `<port>/<hostname>`. */
  readonly virtualHosts: ResourcesByName
  /** What names stand for, by hostname. */
  readonly names: ResourcesByName
  /** Ports with HTTP services → the hosts that are there. */
  readonly httpPorts = new Map<number, Set<string>>()
  /** What clients mean by the names that they call. */
  readonly hostNames: HostNames
  #targets = new ScopeTargets()
  /** Hosts that stand for names which are looked up with each request. */
  readonly #dynamicHosts = new Set<string>()
  /** What is made, by host. */
  readonly #made = new Map<string, HostResources>()
  /** Hosts that were asked for and are not there, or not any more. */
  readonly #absent = new Set<string>()
  /** Whether some client gets all there is, and whether some client gets all names. */
  #isWhole = false
  #isNamed = false
  /** Whole route tables by port, each kept until one of its hosts changes. */
  readonly #routeTables = new Map<number, EncodedResource>()
  readonly #cache: ResourceCache
  /** What everything is made from. */
  #indexed: IndexedSnapshot
  #outside: Outside
  /** For ports that have a socket of their own. */
  #closed: Outside

  constructor(key: ScopeKey, cache: ResourceCache, indexed: IndexedSnapshot) {
    this.key = key
    const { proxyHttpPort } = indexed.snapshot.config
    this.egress = new Egress(key.sidecar, key.namespace, key.families, proxyHttpPort || undefined)
    for (const { port } of this.egress.proxies) if (port !== undefined) this.httpPorts.set(port, new Set())
    this.#outside = outsideOf(indexed.snapshot, this.egress, this.key.headers)
    this.#closed = closed(this.#outside)
    this.#cache = cache
    this.#indexed = indexed
    const isProxy = (port: number) => this.egress.isProxy(port)
    this.hostNames = new HostNames(key.namespace, this.httpPorts, () => this.#indexed, isProxy)
    const table = (hostOf: (name: string) => string) =>
      new ResourcesByName(
        name => this.#make(hostOf(name)),
        () => this.makeAll(),
      )
    this.clusters = table(hostOfCluster)
    this.endpoints = table(hostOfCluster)
    this.virtualHosts = table(hostOfVirtualHost)
    this.names = new ResourcesByName(
      host => this.#makeName(host),
      () => this.makeNames(),
    )
    for (const hostname of this.#startWithCommonHosts()) this.#notePorts(undefined, hostname)
  }

  /** Takes over the ports of hosts that everybody sees alike. @returns the other hosts. */
  #startWithCommonHosts(): Iterable<string> {
    const { snapshot, virtualServices } = this.#indexed
    if (this.egress.restricts) return allHosts(this.#indexed)
    const { byPort, targets, onDemand, others } = commonHosts(this.#indexed, this.key.families)
    for (const [port, hosts] of byPort) this.httpPorts.set(port, new Set(hosts))
    this.#targets = new ScopeTargets(targets, onDemand)
    const named = [...virtualServices.hosts()].filter(host => !snapshot.services.has(host))
    return [...others, ...named]
  }

  /** Clusters that clients need whatever they call: for what proxies send by themselves. */
  get standing(): readonly string[] {
    return providerClusters(this.#indexed.snapshot.config)
  }

  /** Makes the resources of all hosts, now and as they come. */
  makeAll(): void {
    if (this.#isWhole) return
    this.#isWhole = true
    for (const hostname of allHosts(this.#indexed)) this.#make(hostname)
  }

  /** Makes the names of all hosts, now and as they come. */
  makeNames(): void {
    if (this.#isNamed) return
    this.#isNamed = true
    for (const hostname of this.#indexed.snapshot.services.keys()) this.#makeName(hostname)
  }

  /** What is different for a client that comes from another scope. */
  differencesFrom(other: OutboundScope): ScopeChanges {
    if (other.#isWhole) this.makeAll()
    if (other.#isNamed) this.makeNames()
    // What the client asked for in vain there may be here.
    for (const hostname of other.#absent) this.#make(hostname)
    const changes = noChanges()
    for (const part of ['clusters', 'endpoints', 'virtualHosts', 'names'] as const)
      for (const name of new Set([...other[part].made.keys(), ...this[part].made.keys()]))
        if (other[part].made.get(name)?.version !== this[part].get(name)?.version) changes[part].add(name)
    for (const port of new Set([...other.httpPorts.keys(), ...this.httpPorts.keys()]))
      if (!sameOutside(other.outside(port), this.outside(port))) changes.tables.add(String(port))
    changes.listeners = true
    return changes
  }

  /** What happens to connections that nothing in the mesh is there for; on a port of its own where one is given. */
  outside(port?: number): Outside {
    if (port === undefined) return this.#outside
    const own = this.egress.listenerOf(port)?.place.bound ? this.#closed : this.#outside
    return this.egress.isProxy(port) ? atProxy(own) : own
  }

  /** Whether some route may lead to what is looked up by the name in each request. */
  get looksUpHosts(): boolean {
    return this.#dynamicHosts.size > 0 || this.#outside.requests !== undefined
  }

  /** The targets that clients have listeners for: those with demands, or the others. */
  listenersOf(asksForMore: boolean): OnDemandPorts {
    return asksForMore ? this.#targets.onDemand(this.httpPorts) : this.#targets.all()
  }

  /** What the cluster for an address stands for, by its name. */
  destination(name: string): Destination {
    return this.#targets.destination(name) ?? { cluster: this.#outside.cluster, service: undefined }
  }

  /** Takes a new snapshot in, and makes again what is made of these hosts. */
  refresh(indexed: IndexedSnapshot, hostnames: Iterable<string>): ScopeChanges {
    const before = this.#indexed
    this.#indexed = indexed
    const changes = noChanges()
    const outside = outsideOf(indexed.snapshot, this.egress, this.key.headers)
    if (!sameOutside(outside, this.#outside)) {
      this.#outside = outside
      this.#routeTables.clear()
      changes.listeners = true
      for (const port of this.httpPorts.keys()) changes.tables.add(String(port))
    }
    const ports = [...hostnames].map(hostname => [hostname, this.#notePorts(before, hostname)] as const)
    this.hostNames.forget()
    for (const [hostname, portChanges] of ports) this.#refreshHost(before, hostname, portChanges, changes)
    return changes
  }

  /** The table of all virtual hosts of a port, made with `make` from those, in the order of their names. */
  routeTable(
    port: number,
    make: (virtualHosts: readonly EncodedResource[]) => EncodedResource,
  ): EncodedResource {
    const known = this.#routeTables.get(port)
    if (known) return known
    const hosts = [...(this.httpPorts.get(port) ?? [])].sort()
    const table = make(hosts.flatMap(host => this.virtualHosts.get(`${port}/${host}`) ?? []))
    this.#routeTables.set(port, table)
    return table
  }

  #refreshHost(before: IndexedSnapshot, hostname: string, ports: PortChanges, changes: ScopeChanges): void {
    if (ports.areListenedTo) changes.listeners = true
    for (const { table } of ports.touched) this.#routeTables.delete(table)
    const isOther =
      before.snapshot.services.get(hostname) !== this.#indexed.snapshot.services.get(hostname) ||
      ports.areOthers
    const old = this.#made.get(hostname)
    const wasAbsent = this.#absent.delete(hostname)
    if (old || this.#isWhole || wasAbsent) {
      this.#made.delete(hostname)
      this.#make(hostname, old, changes)
    } else if (isOther) {
      // Nobody calls it, but it may be who is meant by a name that somebody does call.
      for (const place of ports.touched) changes.virtualHosts.add(virtualHostAt(place, hostname))
    }
    if (this.#isNamed || this.names.made.has(hostname)) this.#makeName(hostname, changes)
    else if (isOther) changes.names.add(hostname)
  }

  /** Keeps the tables of ports and targets, which have all hosts in them. */
  #notePorts(before: IndexedSnapshot | undefined, hostname: string): PortChanges {
    const was = before ? this.#placesOf(before, hostname) : []
    const now = this.#placesOf(this.#indexed, hostname)
    let areListenedTo = false
    const kept = new Set(now.map(place => virtualHostAt(place, hostname)))
    const gone = was.filter(place => !kept.has(virtualHostAt(place, hostname)))
    for (const place of gone) {
      const { table } = place
      const hosts = this.httpPorts.get(table)
      hosts?.delete(keyAt(place, hostname))
      if (hosts?.size === 0 && !this.egress.isProxy(table)) areListenedTo = this.httpPorts.delete(table)
    }
    for (const place of now) {
      const hosts = this.httpPorts.get(place.table)
      if (hosts) hosts.add(keyAt(place, hostname))
      else {
        this.httpPorts.set(place.table, new Set([keyAt(place, hostname)]))
        areListenedTo = true
      }
    }
    const lookedUp = this.looksUpHosts
    if (this.#exported(this.#indexed.snapshot, hostname)?.resolution === 'dynamic-dns')
      this.#dynamicHosts.add(hostname)
    else this.#dynamicHosts.delete(hostname)
    if (lookedUp !== this.looksUpHosts) areListenedTo = true
    const areOthers = this.#targets.replace(hostname, this.#targetsOf(this.#indexed, hostname))
    if (areListenedTo) this.#targets.forgetPorts()
    return {
      touched: [...gone, ...now],
      areOthers: gone.length > 0 || now.length > was.length,
      areListenedTo: areListenedTo || areOthers,
    }
  }

  /** Makes what belongs to a host, unless it is made; in the place of `old`, where there is that. */
  #make(hostname: string, old = NOTHING, changes?: ScopeChanges): void {
    if (this.#made.has(hostname) || this.#absent.has(hostname)) return
    const made = this.#build(this.#indexed, hostname)
    if (made) this.#made.set(hostname, made)
    else this.#noteAbsent(hostname)
    const { clusters, endpoints, virtualHosts } = made ?? NOTHING
    this.clusters.replace(old.clusters, clusters, changes?.clusters)
    this.endpoints.replace(old.endpoints, endpoints, changes?.endpoints)
    this.virtualHosts.replace(old.virtualHosts, virtualHosts, changes?.virtualHosts)
  }

  #noteAbsent(hostname: string): void {
    this.#absent.add(hostname)
    const [oldest] = this.#absent
    if (this.#absent.size > MAX_ABSENT && oldest !== undefined) this.#absent.delete(oldest)
  }

  #makeName(hostname: string, changes?: ScopeChanges): void {
    const old = this.names.made.get(hostname)
    const name = this.#buildName(this.#indexed, hostname)
    this.names.replace(old ? [old] : [], name ? [this.#cache.once(name)] : [], changes?.names)
  }

  /** The service of a host, where clients of this scope may see it. */
  #visible({ snapshot }: IndexedSnapshot, hostname: string): MeshService | undefined {
    const service = this.#exported(snapshot, hostname)
    return service && this.egress.imports(service) ? service : undefined
  }

  #exported({ services }: MeshSnapshot, hostname: string): MeshService | undefined {
    const service = services.get(hostname)
    if (!service || !visibleIn(service.exportTo, service.namespace, this.key.namespace)) return undefined
    const reachable = reachableService(service, this.key.families)
    return this.key.gateway ? serviceOfGateways(reachable) : reachable
  }

  /**
   * The service of a host that is not imported, and that routes which are lead to all the same: it has clusters,
   * and no name to call it by.
   */
  #routed({ snapshot, virtualServices }: IndexedSnapshot, hostname: string): MeshService | undefined {
    const service = this.#exported(snapshot, hostname)
    if (!service) return undefined
    const { egress, key } = this
    const isProxy = key.sidecar && egressProxyOf(snapshot.services, key.sidecar)?.host === hostname
    return isProxy ||
      virtualServices.sendingTo(hostname, key.namespace).some(one => egress.importsRoutesAnywhere(one))
      ? service
      : undefined
  }

  #endpointsOf(snapshot: MeshSnapshot, hostname: string): ServiceEndpoints {
    return endpointsOfHost(snapshot, hostname, this.key.families)
  }

  /** The virtual services whose routes hold for requests to a port. */
  #importedAt(port: number): (service: VirtualService) => boolean {
    return service => this.egress.importsRoutes(service, port)
  }

  /** The tables by which requests to a host are routed. One that only a virtual service names is in that of port 80. */
  #placesOf(indexed: IndexedSnapshot, hostname: string): readonly TablePlace[] {
    const service = this.#visible(indexed, hostname)
    if (service) return placesOf(service, this.egress)
    const client = { ...this.key, port: 80, gateways: SIDECARS }
    const virtualService = indexed.virtualServices.naming(hostname, client.namespace, this.#importedAt(80))
    if (!virtualService || !hasRoutes(virtualService, client)) return []
    return hostname.startsWith('*') && this.#coversService(indexed, hostname) ? [] : [ownPlace(80)]
  }

  #coversService(indexed: IndexedSnapshot, pattern: string): boolean {
    for (const hostname of indexed.snapshot.services.keys())
      if (hostCovers(pattern, hostname) && this.#visible(indexed, hostname)) return true
    return false
  }

  /** Whether a short name or an address leads to the host on a port, and not to another one. */
  #owns(indexed: IndexedSnapshot, hostname: string, name: string, place: TablePlace): boolean {
    const keys = this.httpPorts.get(place.table)
    const has = (host: string) => keys?.has(keyAt(place, host)) ?? false
    if (has(name)) return false
    const holders = indexed.addresses.get(name)
    return !holders || holders.find(has) === hostname
  }

  #build(indexed: IndexedSnapshot, hostname: string): HostResources | undefined {
    const { snapshot } = indexed
    const visible = this.#visible(indexed, hostname)
    const places = this.#placesOf(indexed, hostname)
    const clustered = visible ?? this.#routed(indexed, hostname)
    if (!clustered && places.length === 0) return undefined
    const virtualHosts = places.map(place => this.#virtualHost(indexed, hostname, visible, place))
    if (!clustered) return { ...NOTHING, virtualHosts }
    const resources = serviceResources(this.#cache, {
      key: this.key,
      snapshot,
      service: clustered,
      endpoints: this.#endpointsOf(snapshot, hostname),
      rule: this.#ruleFor(indexed, hostname),
    })
    return { ...resources, virtualHosts }
  }

  #virtualHost(
    indexed: IndexedSnapshot,
    hostname: string,
    service: MeshService | undefined,
    place: TablePlace,
  ): EncodedResource {
    const { namespace, sourceLabels, headers } = this.key
    const { port } = place
    const inputs = {
      snapshot: indexed.snapshot,
      hostname,
      service,
      port,
      place,
      virtualService: this.#routesAt(indexed, hostname, place.table),
      namespace,
      sourceLabels,
      headers,
      gateways: SIDECARS,
      ruleFor: (host: string) => this.#ruleFor(indexed, host),
    }
    const domains = domainsOf(inputs, name => this.#owns(indexed, hostname, name, place))
    // What else there is among the inputs is the same for all scopes.
    const own = [hostname, place, service !== undefined, namespace, sourceLabels, headers, domains]
    return this.#cache.virtualHost(indexed, inputs.virtualService, JSON.stringify(own), () =>
      virtualHost({ ...inputs, domains }),
    )
  }

  #buildName(indexed: IndexedSnapshot, hostname: string): EncodedResource | undefined {
    const service = this.#visible(indexed, hostname)
    if (!service) return undefined
    const endpoints = this.#endpointsOf(indexed.snapshot, hostname)
    const isHost = (name: string) => this.#visible(indexed, name) !== undefined
    return nameEntry(service, endpoints, this.key.namespace, isHost, viewOf(this.key, indexed.snapshot))
  }

  /** Where connections to a host that are not known to be HTTP are taken, and where they go. */
  #targetsOf(indexed: IndexedSnapshot, hostname: string): readonly ListenerTarget[] {
    const service = this.#visible(indexed, hostname)
    const ports = service ? this.egress.portsOf(service) : []
    if (!service || !ports.some(isTarget)) return NO_TARGETS
    // Without addresses it would be taken for one that is found by its port alone.
    if (service.addresses.length === 0 && indexed.snapshot.services.get(hostname)?.addresses.length)
      return NO_TARGETS
    const isOwn =
      this.egress.restricts ||
      isParticular(service) ||
      this.#ruleFor(indexed, hostname) !== undefined ||
      ports.some(({ port }) => this.#routesAt(indexed, hostname, port.number) !== undefined)
    return isOwn
      ? this.#makeTargets(indexed, service, ports)
      : commonTargets(indexed.snapshot, service, ports, this.key.families)
  }

  #makeTargets(
    indexed: IndexedSnapshot,
    service: MeshService,
    ports: readonly SeenPort[],
  ): readonly ListenerTarget[] {
    const { snapshot } = indexed
    const { hostname } = service
    const endpoints = this.#endpointsOf(snapshot, hostname)
    return listenerTargets(service, ports, endpoints, port =>
      tcpRoutings({
        ...this.key,
        snapshot,
        service,
        port,
        ruleFor: host => this.#ruleFor(indexed, host),
        virtualService: this.#routesAt(indexed, hostname, port.number),
      }),
    )
  }

  #routesAt(
    { virtualServices }: IndexedSnapshot,
    hostname: string,
    port: number,
  ): VirtualService | undefined {
    return virtualServices.find(hostname, this.key.namespace, this.#importedAt(port))
  }

  #ruleFor(indexed: IndexedSnapshot, host: string): DestinationRule | undefined {
    const { namespace, sourceLabels } = this.key
    return ruleLookup(indexed, { namespace, labels: sourceLabels })(host)
  }
}
