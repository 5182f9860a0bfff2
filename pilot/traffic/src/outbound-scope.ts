import type { DestinationRule, Sidecar, VirtualService } from '@seine/api'
import type { EncodedResource } from '@seine/envoy'
import {
  CLUSTER_DOMAIN,
  hostCovers,
  isHttp,
  type MeshService,
  type MeshSnapshot,
  type ServiceEndpoints,
  visibleIn,
} from '@seine/model'
import { outboundClusters } from './clusters/outbound.ts'
import { destinationRuleFor, effectivePolicy } from './destination-rules.ts'
import { Egress } from './egress.ts'
import { endpointAssignments } from './endpoints.ts'
import type { IndexedSnapshot } from './indexed-snapshot.ts'
import { type ListenerTarget, listenerTargets, sameTargets } from './listeners/targets.ts'
import { tcpRouting } from './listeners/tcp-routing.ts'
import { nameEntry } from './name-table.ts'
import { closed, egressProxyOf, type Outside, outsideOf, sameOutside } from './outside.ts'
import type { ResourceCache } from './resource-cache.ts'
import { hasRoutes, virtualHost } from './routes/virtual-host.ts'

/** What the outbound side of a proxy depends on: clients with equal keys share one scope and all its resources. */
export interface ScopeKey {
  readonly namespace: string
  /** The client's labels that some virtual service asks for. */
  readonly sourceLabels: Readonly<Record<string, string>>
  /** The Sidecar that holds for the client: what it does not import is not there. */
  readonly sidecar: Sidecar | undefined
}

const NO_ENDPOINTS: ServiceEndpoints = { byPort: new Map(), meshed: 'all', identities: [] }

/**
 * Clusters, endpoints, virtual hosts and names as the clients of one scope see them. A refresh makes again what
 * belongs to the given hosts and nothing else, and reports the names that came out different.
 */
export class OutboundScope {
  readonly key: ScopeKey
  readonly egress: Egress
  readonly clusters = new Map<string, EncodedResource>()
  readonly endpoints = new Map<string, EncodedResource>()
  /** By `<port>/<hostname>`. */
  readonly virtualHosts = new Map<string, EncodedResource>()
  /** What names stand for, by hostname. */
  readonly names = new Map<string, EncodedResource>()
  /** Ports with HTTP services → how many hosts are there. */
  readonly httpPorts = new Map<number, Set<string>>()
  /** By hostname. */
  readonly targets = new Map<string, readonly ListenerTarget[]>()
  readonly #ofHost = new Map<string, HostResources>()
  /** Whole route tables by port, each kept until one of its hosts changes. */
  readonly #routeTables = new Map<number, EncodedResource>()
  readonly #cache: ResourceCache
  #outside: Outside
  /** For ports that have a socket of their own. */
  #closed: Outside

  constructor(key: ScopeKey, cache: ResourceCache, { snapshot }: IndexedSnapshot) {
    this.key = key
    this.egress = new Egress(key.sidecar, key.namespace)
    this.#outside = outsideOf(snapshot, this.egress)
    this.#closed = closed(this.#outside)
    this.#cache = cache
  }

  /**
   * The host that clients of this scope mean by a name or an address on a port with HTTP services: itself, a
   * short form of a service's name, a service's address, a name below a headless service's, or the longest
   * wildcard that covers it.
   */
  hostOf(indexed: IndexedSnapshot, port: number, name: string): string | undefined {
    const hosts = this.httpPorts.get(port)
    if (!hosts) return undefined
    const holder = indexed.addresses.get(name)?.find(one => hosts.has(one))
    if (holder !== undefined) return hosts.has(name) ? name : holder
    const own = this.#written(hosts, name)
    if (own !== undefined) return own
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
      const above = this.#written(hosts, name.slice(dot + 1))
      if (above !== undefined && indexed.snapshot.services.get(above)?.headless) return above
    }
    let longest: string | undefined
    for (const host of hosts)
      if (host.startsWith('*') && hostCovers(host, name) && host.length > (longest?.length ?? 0))
        longest = host
    return longest
  }

  /** The host of which a name is the full or a short form. */
  #written(hosts: ReadonlySet<string>, name: string): string | undefined {
    const { namespace } = this.key
    const forms = [`.${namespace}.svc.${CLUSTER_DOMAIN}`, `.svc.${CLUSTER_DOMAIN}`, `.${CLUSTER_DOMAIN}`]
    return [name, ...forms.map(rest => name + rest)].find(form => hosts.has(form))
  }

  /** What happens to connections that nothing in the mesh is there for; on a port of its own where one is given. */
  outside(port?: number): Outside {
    const bound = port !== undefined && this.egress.listenerOf(port)?.place.bound
    return bound ? this.#closed : this.#outside
  }

  /** Makes the resources of these hosts again. */
  refresh(indexed: IndexedSnapshot, hostnames: Iterable<string>): ScopeChanges {
    const changes = noChanges()
    const outside = outsideOf(indexed.snapshot, this.egress)
    if (!sameOutside(outside, this.#outside)) {
      this.#outside = outside
      this.#routeTables.clear()
      changes.listeners = true
      for (const port of this.httpPorts.keys()) changes.tables.add(String(port))
    }
    for (const hostname of hostnames) this.#refreshHost(indexed, hostname, changes)
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

  #refreshHost(indexed: IndexedSnapshot, hostname: string, changes: ScopeChanges): void {
    const before = this.#ofHost.get(hostname)
    const after = this.#build(indexed, hostname)
    if (after) this.#ofHost.set(hostname, after)
    else this.#ofHost.delete(hostname)
    replace(this.clusters, before?.clusters, after?.clusters, changes.clusters)
    replace(this.endpoints, before?.endpoints, after?.endpoints, changes.endpoints)
    replace(this.virtualHosts, before?.virtualHosts, after?.virtualHosts, changes.virtualHosts)
    replace(this.names, before?.names, after?.names, changes.names)
    for (const port of [...(before?.httpPorts ?? []), ...(after?.httpPorts ?? [])])
      this.#routeTables.delete(port)
    if (this.#replacePorts(hostname, before, after)) changes.listeners = true
  }

  /** Keeps the port tables; true when a listener must come, go or change. */
  #replacePorts(
    hostname: string,
    before: HostResources | undefined,
    after: HostResources | undefined,
  ): boolean {
    let changed = false
    for (const port of before?.httpPorts ?? []) {
      if (after?.httpPorts.includes(port)) continue
      const hosts = this.httpPorts.get(port)
      hosts?.delete(hostname)
      if (hosts?.size === 0) changed = this.httpPorts.delete(port)
    }
    for (const port of after?.httpPorts ?? []) {
      const hosts = this.httpPorts.get(port)
      if (hosts) hosts.add(hostname)
      else {
        this.httpPorts.set(port, new Set([hostname]))
        changed = true
      }
    }
    if (after?.targets.length) this.targets.set(hostname, after.targets)
    else this.targets.delete(hostname)
    return changed || !sameTargets(before?.targets ?? [], after?.targets ?? [])
  }

  /** The service of a host, where clients of this scope may see it. */
  #visible({ snapshot }: IndexedSnapshot, hostname: string): MeshService | undefined {
    const service = this.#exported(snapshot, hostname)
    return service && this.egress.imports(service) ? service : undefined
  }

  #exported({ services }: MeshSnapshot, hostname: string): MeshService | undefined {
    const service = services.get(hostname)
    return service && visibleIn(service.exportTo, service.namespace, this.key.namespace) ? service : undefined
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

  /** The virtual services whose routes hold for requests to a port. */
  #importedAt(port: number): (service: VirtualService) => boolean {
    return service => this.egress.importsRoutes(service, port)
  }

  /** The ports on which requests to a host are routed. A host that only a virtual service names has port 80. */
  #httpPortsOf(indexed: IndexedSnapshot, hostname: string): readonly number[] {
    const service = this.#visible(indexed, hostname)
    if (service)
      return this.egress
        .portsOf(service)
        .flatMap(({ port, protocol }) => (isHttp(protocol) ? [port.number] : []))
    const client = { ...this.key, port: 80 }
    const virtualService = indexed.virtualServices.naming(hostname, client.namespace, this.#importedAt(80))
    if (!virtualService || !hasRoutes(virtualService, client)) return []
    return hostname.startsWith('*') && this.#coversService(indexed, hostname) ? [] : [80]
  }

  #coversService(indexed: IndexedSnapshot, pattern: string): boolean {
    for (const hostname of indexed.snapshot.services.keys())
      if (hostCovers(pattern, hostname) && this.#visible(indexed, hostname)) return true
    return false
  }

  /** Whether a short name or an address leads to the host on a port, and not to another one. */
  #owns(indexed: IndexedSnapshot, hostname: string, name: string, port: number): boolean {
    if (this.#httpPortsOf(indexed, name).includes(port)) return false
    const holders = indexed.addresses.get(name)
    if (!holders) return true
    return holders.find(holder => this.#httpPortsOf(indexed, holder).includes(port)) === hostname
  }

  #build(indexed: IndexedSnapshot, hostname: string): HostResources | undefined {
    const { snapshot, rules, virtualServices } = indexed
    const { namespace, sourceLabels } = this.key
    const visible = this.#visible(indexed, hostname)
    const httpPorts = this.#httpPortsOf(indexed, hostname)
    const clustered = visible ?? this.#routed(indexed, hostname)
    if (!clustered && httpPorts.length === 0) return undefined
    const routesAt = (port: number) => virtualServices.find(hostname, namespace, this.#importedAt(port))
    const { rootNamespace } = snapshot.config
    const ruleFor = (host: string): DestinationRule | undefined =>
      destinationRuleFor(rules, host, snapshot.services.get(host)?.namespace ?? '', namespace, rootNamespace)
    const virtualHosts = httpPorts.map(port =>
      this.#cache.once(
        virtualHost({
          snapshot,
          hostname,
          service: visible,
          port,
          virtualService: routesAt(port),
          namespace,
          sourceLabels,
          ruleFor,
          owns: name => this.#owns(indexed, hostname, name, port),
        }),
      ),
    )
    if (!clustered) return { clusters: [], endpoints: [], virtualHosts, names: [], httpPorts, targets: [] }
    const rule = ruleFor(hostname)
    const endpoints = snapshot.endpoints.get(hostname) ?? NO_ENDPOINTS
    const name =
      visible &&
      nameEntry(visible, endpoints, namespace, other => this.#visible(indexed, other) !== undefined)
    return {
      clusters: this.#cache.clusters(
        clustered,
        [
          rule,
          endpoints.meshed,
          endpoints.identities.join(),
          snapshot.config,
          staticEndpoints(clustered, endpoints),
          clustered.externalName && snapshot.services.get(clustered.externalName),
        ],
        () => outboundClusters({ snapshot, service: clustered, endpoints, rule }),
      ),
      endpoints: this.#cache.endpoints(endpoints, [clustered, rule], () =>
        endpointAssignments({ service: clustered, endpoints, rule }),
      ),
      virtualHosts,
      names: name ? [this.#cache.once(name)] : [],
      httpPorts,
      targets: visible
        ? listenerTargets(visible, this.egress.portsOf(visible), endpoints, port =>
            tcpRouting({
              snapshot,
              service: visible,
              port,
              policy: effectivePolicy(rule, undefined, port.number),
              virtualService: routesAt(port.number),
              namespace,
              sourceLabels,
            }),
          )
        : [],
    }
  }
}

/** Clusters that carry their endpoints depend on them; the others get them by EDS. */
function staticEndpoints(service: MeshService, endpoints: ServiceEndpoints): ServiceEndpoints | undefined {
  return service.resolution === 'static' ? undefined : endpoints
}

interface HostResources {
  readonly clusters: readonly EncodedResource[]
  readonly endpoints: readonly EncodedResource[]
  readonly virtualHosts: readonly EncodedResource[]
  readonly names: readonly EncodedResource[]
  readonly httpPorts: readonly number[]
  readonly targets: readonly ListenerTarget[]
}

/** Names of resources that a refresh made, changed or removed. */
export interface ScopeChanges {
  readonly clusters: Set<string>
  readonly endpoints: Set<string>
  readonly virtualHosts: Set<string>
  readonly names: Set<string>
  /** Route tables that differ in what is none of their hosts'. */
  readonly tables: Set<string>
  /** Whether the ports or addresses that listeners are made for may have changed. */
  listeners: boolean
}

/** An empty record of changes, to be filled. */
export function noChanges(): ScopeChanges {
  return {
    clusters: new Set(),
    endpoints: new Set(),
    virtualHosts: new Set(),
    names: new Set(),
    tables: new Set(),
    listeners: false,
  }
}

/** Takes the second record of changes into the first. */
export function addChanges(all: ScopeChanges, more: ScopeChanges): void {
  for (const part of ['clusters', 'endpoints', 'virtualHosts', 'names', 'tables'] as const)
    for (const name of more[part]) all[part].add(name)
  all.listeners ||= more.listeners
}

/** What is different for a client that moves from one scope to another. */
export function differences(from: OutboundScope, to: OutboundScope): ScopeChanges {
  const changes = noChanges()
  for (const part of ['clusters', 'endpoints', 'virtualHosts', 'names'] as const)
    for (const name of new Set([...from[part].keys(), ...to[part].keys()]))
      if (from[part].get(name)?.version !== to[part].get(name)?.version) changes[part].add(name)
  for (const port of new Set([...from.httpPorts.keys(), ...to.httpPorts.keys()]))
    if (!sameOutside(from.outside(port), to.outside(port))) changes.tables.add(String(port))
  changes.listeners = true
  return changes
}

function replace(
  all: Map<string, EncodedResource>,
  before: readonly EncodedResource[] = [],
  after: readonly EncodedResource[] = [],
  changed: Set<string>,
): void {
  const old = new Map(before.map(resource => [resource.name, resource]))
  for (const resource of after) {
    if (old.get(resource.name)?.version !== resource.version) changed.add(resource.name)
    old.delete(resource.name)
    all.set(resource.name, resource)
  }
  for (const name of old.keys()) {
    all.delete(name)
    changed.add(name)
  }
}
