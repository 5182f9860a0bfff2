import type { DestinationRule } from '@seine/api'
import { type EncodedResource, TypeUrl } from '@seine/envoy'
import type { Problem } from '@seine/kit'
import { isHttp, MESH_GATEWAY, type MeshService, type RoutedService, visibleIn } from '@seine/model'
import { endpointsOfHost } from '../address-families.ts'
import { ruleLookup } from '../destination-rules.ts'
import { Egress } from '../egress.ts'
import { optionalSuffixes, writtenOut } from '../host-names.ts'
import { allHosts, type IndexedSnapshot } from '../indexed-snapshot.ts'
import { outboundClusterName } from '../names.ts'
import { hasRoutes } from '../routes/virtual-host.ts'
import type { ScopeKey } from '../scope-key.ts'
import { proxylessClusters } from './clusters.ts'
import { routeProblems, ruleProblems, serviceProblems } from './limits.ts'
import { clientListener } from './listeners.ts'
import { hostPort, readHostPort, readOutboundName, routeTableName } from './names.ts'
import { noRoutes, proxylessRoutes } from './routes.ts'

/** Clients are what virtual services call `mesh`. */
const MESH: ReadonlySet<string> = new Set([MESH_GATEWAY])

/** What is made of a host. */
interface HostResources {
  readonly byType: ReadonlyMap<string, ReadonlyMap<string, EncodedResource>>
  readonly problems: readonly Problem[]
}

/**
 * What the proxyless clients of one scope get: the same for clients with equal keys. What belongs to a host is made when
 * a client first asks for it, and again when a change has touched it.
 */
export class ProxylessScope {
  readonly key: ScopeKey
  readonly #egress: Egress
  readonly #made = new Map<string, HostResources>()
  #indexed: IndexedSnapshot

  constructor(key: ScopeKey, indexed: IndexedSnapshot) {
    this.key = key
    this.#egress = new Egress(key.sidecar, key.namespace, key.families)
    this.#indexed = indexed
  }

  /** A resource by the name that clients have for it; listeners by every name that the host can be called by. */
  get(type: string, name: string): EncodedResource | undefined {
    if (type === TypeUrl.listener) return this.#listener(name)
    const named = readOutboundName(name)
    if (!named) return undefined
    const found = this.#of(named.host).byType.get(type)?.get(name)
    // Who asks for a table was given its listener: calls to what is gone by now end at once.
    return found ?? (type === TypeUrl.route ? noRoutes(named.host, named.port) : undefined)
  }

  /** The names of all there is of a type; of listeners those with the full names of hosts. */
  *names(type: string): Iterable<string> {
    for (const host of allHosts(this.#indexed)) {
      if (type === TypeUrl.listener) for (const port of this.#portsOf(host).keys()) yield hostPort(host, port)
      else yield* this.#of(host).byType.get(type)?.keys() ?? []
    }
  }

  /** Takes a new snapshot in. @returns the names of what may differ for these hosts, by type. */
  refresh(indexed: IndexedSnapshot, hosts: Iterable<string>): Map<string, Set<string>> {
    const changed = new Map<string, Set<string>>()
    const touched = [...hosts]
    const note = () => {
      for (const host of touched)
        for (const [type, name] of this.#namesOf(host))
          changed.set(type, (changed.get(type) ?? new Set()).add(name))
    }
    note()
    this.#indexed = indexed
    for (const host of touched) this.#made.delete(host)
    note()
    return changed
  }

  /** Every name that clients may hold, or wait for, by type. */
  *everyName(): Iterable<readonly [type: string, name: string]> {
    for (const host of allHosts(this.#indexed)) yield* this.#namesOf(host)
  }

  /** The hosts that some client has asked for. */
  get hosts(): Iterable<string> {
    return this.#made.keys()
  }

  /** What rules ask for, of hosts that some client has asked for, and gRPC can not do. */
  problems(): Problem[] {
    return [...this.#made.values()].flatMap(({ problems }) => problems)
  }

  #listener(name: string): EncodedResource | undefined {
    const asked = readHostPort(name)
    if (!asked) return undefined
    const forms = writtenOut(asked.host, this.key.namespace)
    const host = forms.find(form => this.#portsOf(form).has(asked.port))
    if (host === undefined) return undefined
    return clientListener(asked.host, host, asked.port, this.#imported(host))
  }

  #of(host: string): HostResources {
    const known = this.#made.get(host)
    if (known) return known
    const made = this.#build(host)
    // What is not there is not kept: anybody can ask for any name.
    if (made.byType.size > 0) this.#made.set(host, made)
    return made
  }

  #build(host: string): HostResources {
    const { snapshot } = this.#indexed
    const exported = this.#exported(host)
    const rule = exported && this.#ruleFor(host)
    const built =
      exported &&
      proxylessClusters({
        snapshot,
        service: exported,
        endpoints: endpointsOfHost(snapshot, host, this.key.families),
        rule,
        client: {
          locality: this.key.locality,
          labels: this.key.sourceLabels,
          network: this.key.network,
        },
        view: {
          network: this.key.network,
          families: this.key.families,
          gateways: snapshot.networks.gateways,
          isConfined: true,
        },
      })
    const routedBy = new Set<RoutedService>()
    const routes = [...this.#portsOf(host)].map(([port, http]) => {
      const virtualService = http ? this.#routesAt(host, port) : undefined
      if (virtualService) routedBy.add(virtualService)
      return proxylessRoutes({
        ...this.#client(port),
        snapshot,
        hostname: host,
        service: this.#imported(host),
        virtualService,
        ruleFor: name => this.#ruleFor(name),
      })
    })
    const byType = new Map(
      (
        [
          [TypeUrl.route, routes],
          [TypeUrl.cluster, built?.clusters ?? []],
          [TypeUrl.endpoint, built?.endpoints ?? []],
        ] as const
      )
        .filter(([, list]) => list.length > 0)
        .map(([type, list]) => [type, new Map(list.map(one => [one.name, one]))]),
    )
    const problems = [
      ...[...routedBy].flatMap(routeProblems),
      ...(rule ? ruleProblems(rule) : []),
      ...(built ? serviceProblems(exported, built.notes) : []),
    ]
    return { byType, problems }
  }

  /** What clients may hold, or wait for, of a host. */
  *#namesOf(host: string): Iterable<readonly [type: string, name: string]> {
    const service = this.#exported(host)
    const suffixes = optionalSuffixes(this.key.namespace)
    const shortened = suffixes.filter(suffix => host.endsWith(suffix) && host !== suffix)
    const written = [host, ...shortened.map(suffix => host.slice(0, -suffix.length))]
    for (const port of this.#portsOf(host).keys()) {
      for (const name of written) yield [TypeUrl.listener, hostPort(name, port)]
      yield [TypeUrl.route, routeTableName(host, port)]
    }
    const subsets = ['', ...((service && this.#ruleFor(host)?.spec.subsets) ?? []).map(({ name }) => name)]
    for (const port of service?.ports ?? [])
      for (const subset of subsets) {
        const name = outboundClusterName(port.number, subset, host)
        yield [TypeUrl.cluster, name]
        yield [TypeUrl.endpoint, name]
      }
  }

  #client(port: number) {
    const { namespace, sourceLabels, headers } = this.key
    return { namespace, sourceLabels, headers, port, gateways: MESH }
  }

  /** The ports that clients can call a host on, and whether routes of requests hold there. */
  #portsOf(host: string): ReadonlyMap<number, boolean> {
    const service = this.#imported(host)
    if (service)
      return new Map(
        this.#egress.portsOf(service).map(({ port, protocol }) => [port.number, isHttp(protocol)]),
      )
    // A host that only a virtual service names has port 80. A wildcard is not a name that can be called.
    if (host.startsWith('*') || this.#indexed.snapshot.services.has(host)) return new Map()
    const virtualService = this.#indexed.virtualServices.naming(host, this.key.namespace, one =>
      this.#egress.importsRoutes(one, 80),
    )
    return virtualService && hasRoutes(virtualService, this.#client(80)) ? new Map([[80, true]]) : new Map()
  }

  /** The service of a host, where these clients may see it: routes may lead there. */
  #exported(host: string): MeshService | undefined {
    const service = this.#indexed.snapshot.services.get(host)
    return service && visibleIn(service.exportTo, service.namespace, this.key.namespace) ? service : undefined
  }

  /** The same where their Sidecar imports it: they may call it. */
  #imported(host: string): MeshService | undefined {
    const service = this.#exported(host)
    return service && this.#egress.imports(service) ? service : undefined
  }

  #routesAt(host: string, port: number): RoutedService | undefined {
    return this.#indexed.virtualServices.find(host, this.key.namespace, one =>
      this.#egress.importsRoutes(one, port),
    )
  }

  #ruleFor(host: string): DestinationRule | undefined {
    const { namespace, sourceLabels } = this.key
    return ruleLookup(this.#indexed, { namespace, labels: sourceLabels })(host)
  }
}
