import type { DestinationRule } from '@seine/api'
import type { EncodedResource } from '@seine/envoy'
import {
  isHttp,
  type MeshService,
  type MeshSnapshot,
  type ServiceEndpoints,
  type ServicePort,
  visibleIn,
} from '@seine/model'
import { outboundClusters } from './clusters/outbound.ts'
import {
  type DestinationRuleIndex,
  destinationRuleFor,
  type EffectivePolicy,
  effectivePolicy,
} from './destination-rules.ts'
import { endpointAssignments } from './endpoints.ts'
import { nameEntry } from './name-table.ts'
import type { ResourceCache } from './resource-cache.ts'
import { virtualHost } from './routes/virtual-host.ts'
import type { VirtualServiceIndex } from './virtual-services.ts'

/** A snapshot with the indexes that translation looks things up in. */
export interface IndexedSnapshot {
  readonly snapshot: MeshSnapshot
  readonly rules: DestinationRuleIndex
  readonly virtualServices: VirtualServiceIndex
  /** Address → the service it stands for; of several, the first by name. */
  readonly addressOwners: ReadonlyMap<string, string>
}

/** What the outbound side of a proxy depends on: clients with equal keys share one scope and all its resources. */
export interface ScopeKey {
  readonly namespace: string
  /** The client's labels that some virtual service asks for. */
  readonly sourceLabels: Readonly<Record<string, string>>
}

/** A port that a listener of its own serves, on the service's addresses. */
export interface ListenerTarget {
  readonly service: MeshService
  readonly port: ServicePort
  /** What a DestinationRule asks for on this port. */
  readonly policy: EffectivePolicy
}

const NO_ENDPOINTS: ServiceEndpoints = { byPort: new Map(), meshed: 'all', identities: [] }

/**
 * Clusters, endpoints, virtual hosts and names as the clients of one scope see them. A refresh makes again what
 * belongs to the given hosts and nothing else, and reports the names that came out different.
 */
export class OutboundScope {
  readonly key: ScopeKey
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

  constructor(key: ScopeKey, cache: ResourceCache) {
    this.key = key
    this.#cache = cache
  }

  /** Makes the resources of these hosts again. */
  refresh(indexed: IndexedSnapshot, hostnames: Iterable<string>): ScopeChanges {
    const changes = noChanges()
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
    return changed || (before?.targets.length ?? 0) > 0 || (after?.targets.length ?? 0) > 0
  }

  #build(
    { snapshot, rules, virtualServices, addressOwners }: IndexedSnapshot,
    hostname: string,
  ): HostResources | undefined {
    const { namespace, sourceLabels } = this.key
    const service = snapshot.services.get(hostname)
    const visible = service && visibleIn(service.exportTo, service.namespace, namespace) ? service : undefined
    const virtualService = virtualServices.find(hostname, namespace)
    const ruleFor = (host: string): DestinationRule | undefined =>
      destinationRuleFor(
        rules,
        host,
        snapshot.services.get(host)?.namespace ?? '',
        namespace,
        snapshot.config.rootNamespace,
      )
    const addressOwner = (address: string) => addressOwners.get(address)
    if (!visible && !virtualService?.spec.http?.length) return undefined
    const rule = visible && ruleFor(hostname)
    const httpPorts = visible
      ? visible.ports.filter(port => isHttp(port.protocol)).map(port => port.number)
      : [80]
    const endpoints = (visible && snapshot.endpoints.get(hostname)) ?? NO_ENDPOINTS
    const virtualHosts = httpPorts.map(port =>
      this.#cache.once(
        virtualHost({
          snapshot,
          hostname,
          service: visible,
          port,
          virtualService,
          namespace,
          sourceLabels,
          ruleFor,
          addressOwner,
        }),
      ),
    )
    if (!visible) return { clusters: [], endpoints: [], virtualHosts, names: [], httpPorts, targets: [] }
    const name = nameEntry(visible, endpoints, namespace)
    return {
      clusters: this.#cache.clusters(
        visible,
        [
          rule,
          endpoints.meshed,
          endpoints.identities.join(),
          snapshot.config,
          staticEndpoints(visible, endpoints),
        ],
        () => outboundClusters({ snapshot, service: visible, endpoints, rule }),
      ),
      endpoints: this.#cache.endpoints(endpoints, [visible, rule], () =>
        endpointAssignments({ service: visible, endpoints, rule }),
      ),
      virtualHosts,
      names: name ? [this.#cache.once(name)] : [],
      httpPorts,
      targets: visible.ports
        .filter(port => port.protocol === 'auto' || !isHttp(port.protocol))
        .map(port => ({ service: visible, port, policy: effectivePolicy(rule, undefined, port.number) })),
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
    listeners: false,
  }
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
