import { type EncodedResource, TypeUrl } from '@seine/envoy'
import type { Problem } from '@seine/kit'
import {
  type ChangeSet,
  labelledNetwork,
  localityOfLabels,
  type MeshService,
  type MeshSnapshot,
  NODE_LABEL,
} from '@seine/model'
import { familiesOf } from './address-families.ts'
import { affectedHosts, routedHosts } from './affected-hosts.ts'
import {
  byName,
  type ChangedNames,
  differingNames,
  hints,
  isForGateways,
  oneSided,
  touchedPolicies,
  union,
  withNames,
} from './changed-names.ts'
import { touchedSecrets } from './client-secrets.ts'
import { builtInClusters } from './clusters/inbound.ts'
import { Demand } from './demand.ts'
import { ruleLookup } from './destination-rules.ts'
import { clientCertificateOf } from './gateway/client-certificate.ts'
import { type GatewayConfiguration, gatewayConfiguration } from './gateway/configuration.ts'
import { passesOn } from './gateway/servers.ts'
import { type IndexedSnapshot, indexSnapshot } from './indexed-snapshot.ts'
import { touchedAuthorities } from './listeners/authorities.ts'
import { sdsNamesOf } from './listeners/server-tls.ts'
import { NAME_TABLE_TYPE } from './name-table.ts'
import { OutboundScope } from './outbound-scope.ts'
import { PatchSets } from './patches/patch-sets.ts'
import { patchProblems } from './patches/problems.ts'
import type { TrafficPlugin } from './plugin.ts'
import type { Proxy } from './proxy.ts'
import { demanded, type ProxyConfiguration } from './proxy-configuration.ts'
import { changePatches, namesOf, resourceOf, unknownHostOf } from './proxy-resource.ts'
import { inboundResources, isServedBy, outboundListeners } from './proxy-resources.ts'
import { proxySettingsOf, routeHeadersOf } from './proxy-settings.ts'
import { type ProxyState, standingClusters, workloadKey } from './proxy-state.ts'
import { ProxylessClients } from './proxyless/clients.ts'
import { ResourceCache } from './resource-cache.ts'
import { addChanges, noChanges, type ScopeChanges } from './scope-changes.ts'
import type { ScopeKey } from './scope-key.ts'
import { scopeName, versionOf } from './scope-name.ts'
import { sidecarOf } from './sidecar-of.ts'
import { sourceLabelNames } from './source-labels.ts'

const NONE: ReadonlySet<string> = new Set()

/**
 * Keeps the configuration of all proxies. It is a cache of pure functions: the same snapshot gives the same
 * bytes, whatever happened before; an update makes again only what its changes touch.
 */
export class TrafficGenerator {
  readonly #plugins: readonly TrafficPlugin[]
  readonly #cache = new ResourceCache()
  readonly #scopes = new Map<string, OutboundScope>()
  /** A node that comes again as somebody else, with other labels, is two proxies until its old streams have ended. */
  readonly #proxies = new Map<Proxy, ProxyState>()
  readonly #patches = new PatchSets()
  readonly #proxyless: ProxylessClients
  #indexed: IndexedSnapshot
  #sourceLabelNames: readonly string[]
  /** What each update made again, by resource type: tests assert on it. */
  lastRefreshed: readonly string[] = []
  /** The scopes that were made since the last update began, all of whose hosts are made anew. */
  lastScopes: readonly OutboundScope[] = []

  constructor(snapshot: MeshSnapshot, plugins: readonly TrafficPlugin[]) {
    this.#plugins = plugins
    this.#indexed = indexSnapshot(snapshot)
    this.#sourceLabelNames = sourceLabelNames(this.#indexed)
    this.#proxyless = new ProxylessClients(plugins, proxy => this.#keyOf(proxy))
  }

  get snapshot(): MeshSnapshot {
    return this.#indexed.snapshot
  }

  /** Takes a new snapshot in. @returns which resources proxies may have to be sent again. */
  update(snapshot: MeshSnapshot, changes: ChangeSet): ChangedNames {
    this.lastScopes = []
    const before = this.#indexed
    this.#indexed = indexSnapshot(snapshot, before, changes)
    const asksForLabels =
      changes.config ||
      changes.virtualServices.size + changes.destinationRules.size > 0 ||
      before.distributions !== this.#indexed.distributions
    const labels = asksForLabels ? sourceLabelNames(this.#indexed) : this.#sourceLabelNames
    if (changes.config || labels.join() !== this.#sourceLabelNames.join()) return this.#rebuild(labels)
    const hosts = affectedHosts(before, this.#indexed, changes)
    this.lastRefreshed = [...hosts].sort()
    const merged = noChanges()
    const moved = this.#mayMove(changes) ? this.#moveProxies(merged) : new Set<ProxyState>()
    const listenersOf = new Set([...moved].map(({ scope }) => scope))
    const routed = routedHosts(before.snapshot, snapshot, changes)
    for (const scope of this.#scopes.values()) {
      // Where a Sidecar restricts what is imported, routes bring along the services that they lead to.
      const changed = scope.refresh(this.#indexed, scope.egress.restricts ? union(hosts, routed) : hosts)
      addChanges(merged, changed)
      if (changed.listeners) listenersOf.add(scope)
    }
    const inbound = this.#refreshInbound(before.snapshot, changes, moved)
    const listeners = this.#refreshOutboundListeners(listenersOf)
    const ofGateways = this.#refreshGateways(before.snapshot, changes, hosts, merged)
    const authorities = touchedAuthorities(before.snapshot, snapshot, changes)
    const needed = touchedSecrets(before.snapshot, snapshot, changes)
    const secrets = union(new Set([...changes.secrets].flatMap(sdsNamesOf)), union(authorities, needed))
    const hint = hints(merged, [...listeners, ...inbound.listeners, ...ofGateways], inbound.clusters, secrets)
    const patched = changes.envoyFilters.size > 0 ? this.#changePatches(hint) : hint
    return withNames(patched, this.#proxyless.update(this.#indexed, changes, hosts))
  }

  /** What the rules that hold for connected proxyless clients ask for and gRPC can not do. */
  problems(): readonly Problem[] {
    return this.#proxyless.problems()
  }

  /** The configuration of a proxy from now on; it follows updates. Call {@link forget} when the proxy is gone. */
  configurationOf(proxy: Proxy): ProxyConfiguration {
    if (proxy.generator === 'grpc') return this.#proxyless.configurationOf(this.#indexed, proxy)
    const state = this.#stateOf(proxy)
    const whole: ProxyConfiguration = {
      get: (type, name) => resourceOf(this.snapshot, state, type, name),
      names: (type, prefix) => namesOf(this.snapshot, state, type, prefix),
    }
    if (!proxy.onDemand) return whole
    const demand = new Demand({
      unknownHost: name => unknownHostOf(this.snapshot, state, name),
      outside: port =>
        [
          state.scope.httpPorts.has(port),
          versionOf(state.scope.outside(port)),
          state.patches && versionOf(state.patches),
        ].join(),
      get tables() {
        return state.scope.httpPorts.keys()
      },
      virtualHost: name => resourceOf(this.snapshot, state, TypeUrl.virtualHost, name),
      hosts: port => state.scope.httpPorts.get(port) ?? [],
      destination: name => state.scope.destination(name),
      resourceName: name => state.scope.hostNames.resourceName(name),
      get standingClusters() {
        state.standingClusters ??= standingClusters(state)
        return state.standingClusters
      },
      stopAsking: () => this.#stopAsking(state),
    })
    return demanded(whole, demand)
  }

  /** What patches ask for and the proxies that are there do not get. It looks at all of them: not to be called for each change. */
  patchProblems(): Problem[] {
    return this.snapshot.envoyFilters.size === 0 ? [] : patchProblems(this.snapshot, this.#proxies.values())
  }

  /** Drops what is kept for a proxy. */
  forget(proxy: Proxy): void {
    if (proxy.generator === 'grpc') {
      this.#proxyless.forget(proxy)
      return
    }
    const state = this.#proxies.get(proxy)
    if (!state) return
    this.#proxies.delete(proxy)
    const stillUsed = [...this.#proxies.values()].some(other => other.scope === state.scope)
    if (!stillUsed) this.#scopes.delete(scopeName(state.scope.key))
  }

  #stateOf(proxy: Proxy, asks = proxy.onDemand): ProxyState {
    const known = this.#proxies.get(proxy)
    if (known) return known
    const state = proxy.type === 'router' ? this.#gatewayState(proxy) : this.#sidecarState(proxy, asks)
    this.#proxies.set(proxy, state)
    return state
  }

  #sidecarState(proxy: Proxy, asks: boolean): ProxyState {
    const scope = this.#scopeFor(proxy)
    const inbound = inboundResources(this.#indexed.snapshot, proxy, this.#plugins)
    return {
      proxy,
      workload: workloadKey(proxy),
      scope,
      inboundListeners: byName(inbound.listeners),
      inboundClusters: byName(inbound.clusters),
      outboundListeners: this.#outboundListenersOf(scope, proxy, asks),
      asksForAddresses: asks,
      standingClusters: undefined,
      gateway: undefined,
      tables: new Map(),
      patches: this.#patches.of(this.snapshot, proxy),
    }
  }

  /** A gateway captures nothing: all it has are its servers, and what their routes lead to. */
  #gatewayState(proxy: Proxy): ProxyState {
    const gateway = this.#gatewayOf(proxy)
    return {
      proxy,
      workload: workloadKey(proxy),
      scope: this.#scopeFor(proxy),
      inboundListeners: byName(gateway.listeners),
      inboundClusters: byName(
        builtInClusters(this.snapshot.config, proxy, this.#keyOf(proxy).headers.keepsCase),
      ),
      outboundListeners: new Map(),
      asksForAddresses: false,
      standingClusters: undefined,
      gateway,
      tables: byName(gateway.routes),
      patches: this.#patches.of(this.snapshot, proxy),
    }
  }

  #gatewayOf(proxy: Proxy): GatewayConfiguration {
    const indexed = this.#indexed
    return gatewayConfiguration({
      indexed,
      proxy,
      plugins: this.#plugins,
      ruleFor: ruleLookup(indexed, proxy),
    })
  }

  /** Whether some proxy may belong to another scope than before: by its Sidecar or Gateways, or by where it is. */
  #mayMove({ sidecars, workloads, networks, gateways }: ChangeSet): boolean {
    if (sidecars.size + networks.size > 0) return true
    if (gateways.size > 0 && [...this.#proxies.values()].some(({ gateway }) => gateway)) return true
    if (workloads.size === 0) return false
    return [...this.#proxies.values()].some(
      ({ proxy, scope }) =>
        workloads.has(`${proxy.namespace}/${proxy.name}`) &&
        (scope.key.locality !== this.#localityOf(proxy) ||
          scope.key.network !== this.#networkOf(proxy) ||
          scope.key.sourceLabels[NODE_LABEL] !== this.#sourceLabelsOf(proxy)[NODE_LABEL]),
    )
  }

  /** Gives proxies for which another Sidecar holds now, or which are elsewhere, the scope of that. @returns those. */
  #moveProxies(changes: ScopeChanges): Set<ProxyState> {
    const moved = new Set<ProxyState>()
    for (const state of this.#proxies.values()) {
      const scope = this.#scopeFor(state.proxy)
      if (scope === state.scope) continue
      addChanges(changes, scope.differencesFrom(state.scope))
      state.scope = scope
      moved.add(state)
    }
    const used = new Set([...this.#proxies.values()].map(({ scope }) => scope))
    for (const [name, scope] of this.#scopes) if (!used.has(scope)) this.#scopes.delete(name)
    return moved
  }

  /** Where the workload of a proxy is. */
  #localityOf({ namespace, name, labels }: Proxy): string {
    const workload = this.snapshot.workloads.get(`${namespace}/${name}`)
    return workload?.locality || localityOfLabels(labels)
  }

  /** The network of a proxy: as it says itself or, where it does not, as its workload is known to be. */
  #networkOf({ namespace, name, network, labels, addresses }: Proxy): string {
    if (network !== undefined) return network
    const { workloads, networks } = this.snapshot
    const workload = workloads.get(`${namespace}/${name}`)
    const own = workload?.membership ?? labelledNetwork(labels, { kind: 'Pod', namespace, name })
    return networks.assignment.of(own, addresses[0])?.network ?? ''
  }

  /** Those of a proxy's labels that something asks for; its node is told by its pod. */
  #sourceLabelsOf({ namespace, name: own, labels }: Proxy): Record<string, string> {
    const found: Record<string, string> = {}
    for (const name of this.#sourceLabelNames) {
      const node = name === NODE_LABEL ? this.snapshot.workloads.get(`${namespace}/${own}`)?.node : undefined
      const value = node ?? labels[name]
      if (value !== undefined) found[name] = value
    }
    return found
  }

  #keyOf(proxy: Proxy): ScopeKey {
    return {
      namespace: proxy.namespace,
      sourceLabels: this.#sourceLabelsOf(proxy),
      sidecar: sidecarOf(this.snapshot, proxy),
      locality: this.#localityOf(proxy),
      gateway: proxy.type === 'router',
      passesOn: passesOn(this.snapshot, proxy),
      clientCertificate: clientCertificateOf(this.snapshot, proxy),
      families: familiesOf(proxy.addresses),
      headers: routeHeadersOf(proxySettingsOf(this.snapshot, proxy)),
      network: this.#networkOf(proxy),
    }
  }

  #scopeFor(proxy: Proxy): OutboundScope {
    const key = this.#keyOf(proxy)
    const found = this.#scopes.get(scopeName(key))
    if (found) return found
    const scope = new OutboundScope(key, this.#cache, this.#indexed)
    this.#scopes.set(scopeName(key), scope)
    this.lastScopes = [...this.lastScopes, scope]
    return scope
  }

  /** Replicas of one workload have the same outbound listeners: what differs, their address, is not in them. */
  #outboundListenersOf(
    scope: OutboundScope,
    proxy: Proxy,
    asks: boolean,
  ): ReadonlyMap<string, EncodedResource> {
    const workload = workloadKey(proxy)
    for (const other of this.#proxies.values())
      if (other.scope === scope && other.workload === workload && other.asksForAddresses === asks)
        return other.outboundListeners
    return byName(outboundListeners(this.#indexed, scope, proxy, this.#plugins, asks))
  }

  /** From now on the listeners of a proxy say where connections to addresses go. @returns those that differ. */
  #stopAsking(state: ProxyState): Iterable<string> {
    const [before, after] = [
      state.outboundListeners,
      this.#outboundListenersOf(state.scope, state.proxy, false),
    ]
    state.asksForAddresses = false
    state.outboundListeners = after
    state.standingClusters = undefined
    return differingNames(after, before)
  }

  #rebuild(labels: readonly string[]): ChangedNames {
    this.#sourceLabelNames = labels
    this.lastRefreshed = ['*']
    this.#proxyless.rebuild(this.#indexed)
    const proxies = [...this.#proxies.values()]
    this.#scopes.clear()
    this.#proxies.clear()
    for (const state of proxies) Object.assign(state, this.#stateOf(state.proxy, state.asksForAddresses))
    for (const state of proxies) this.#proxies.set(state.proxy, state)
    const types = [
      TypeUrl.cluster,
      TypeUrl.endpoint,
      TypeUrl.listener,
      TypeUrl.route,
      TypeUrl.virtualHost,
      TypeUrl.extension,
      NAME_TABLE_TYPE,
    ]
    return new Map(types.map(type => [type, 'all']))
  }

  #changePatches(hint: ChangedNames): ChangedNames {
    let all = hint
    for (const state of this.#proxies.values()) {
      const patches = this.#patches.of(this.snapshot, state.proxy)
      if (patches !== state.patches) all = withNames(all, changePatches(this.snapshot, state, patches))
    }
    return all
  }

  #refreshInbound(
    before: MeshSnapshot,
    changes: ChangeSet,
    moved: ReadonlySet<ProxyState>,
  ): { listeners: Set<string>; clusters: Set<string> } {
    const listeners = new Set<string>()
    const clusters = new Set<string>()
    const policies = [
      ...touchedPolicies(before, changes),
      ...touchedPolicies(this.#indexed.snapshot, changes),
    ]
    // Endpoints decide who serves a service only where it has no selector.
    const unselected = [...changes.endpoints].filter(host =>
      [before, this.#indexed.snapshot].some(({ services }) => services.get(host)?.selector === undefined),
    )
    const touched = [...new Set([...changes.services, ...unselected])]
    for (const state of this.#proxies.values()) {
      const { proxy } = state
      if (state.gateway) continue
      const served = touched.some(host =>
        [before, this.#indexed.snapshot].some(snapshot => {
          const service = snapshot.services.get(host)
          return service !== undefined && isServedBy(snapshot, service, proxy)
        }),
      )
      const judged = policies.some(
        namespace => namespace === proxy.namespace || namespace === before.config.rootNamespace,
      )
      const named = changes.workloads.has(`${proxy.namespace}/${proxy.name}`)
      if (!served && !judged && !named && !moved.has(state)) continue
      const inbound = inboundResources(this.#indexed.snapshot, proxy, this.#plugins)
      const nextListeners = byName(inbound.listeners)
      const nextClusters = byName(inbound.clusters)
      for (const name of differingNames(nextListeners, state.inboundListeners)) listeners.add(name)
      for (const name of differingNames(nextClusters, state.inboundClusters)) clusters.add(name)
      state.inboundListeners = nextListeners
      state.inboundClusters = nextClusters
      state.standingClusters = undefined
    }
    return { listeners, clusters }
  }

  #refreshOutboundListeners(scopes: ReadonlySet<OutboundScope>): Set<string> {
    const changed = new Set<string>()
    if (scopes.size === 0) return changed
    const made = new Map<string, ReadonlyMap<string, EncodedResource>>()
    for (const state of this.#proxies.values()) {
      if (!scopes.has(state.scope) || state.gateway) continue
      const { scope, proxy, asksForAddresses: asks } = state
      const key = `${scopeName(scope.key)} ${asks} ${state.workload}`
      const next =
        made.get(key) ?? byName(outboundListeners(this.#indexed, scope, proxy, this.#plugins, asks))
      made.set(key, next)
      for (const name of differingNames(next, state.outboundListeners)) changed.add(name)
      state.outboundListeners = next
      state.standingClusters = undefined
    }
    return changed
  }

  /** @returns the listeners that differ; what else does goes into the record of changes. */
  #refreshGateways(
    before: MeshSnapshot,
    changes: ChangeSet,
    hosts: ReadonlySet<string>,
    merged: ScopeChanges,
  ): Set<string> {
    const listeners = new Set<string>()
    const bound = [...changes.virtualServices].some(key =>
      [before, this.snapshot].some(({ virtualServices }) => isForGateways(virtualServices.get(key))),
    )
    const policies = [...touchedPolicies(before, changes), ...touchedPolicies(this.snapshot, changes)]
    const reshaped = reshapedServices([before, this.snapshot], changes, hosts)
    for (const state of this.#proxies.values()) {
      if (!state.gateway) continue
      const { namespace, name } = state.proxy
      const judged = policies.some(one => one === namespace || one === before.config.rootNamespace)
      const { gateway } = state
      // What it passes on, it passes on by ports and subsets, whatever endpoints there are.
      const touched =
        [...hosts].some(host => gateway.hosts.has(host)) ||
        [...reshaped].some(service => gateway.passesOn(service))
      const served = [...changes.services].some(host =>
        [before, this.snapshot].some(({ services }) => services.get(host)?.namespace === namespace),
      )
      const named = changes.workloads.has(`${namespace}/${name}`)
      if (!bound && !judged && !touched && !served && !named && changes.gateways.size === 0) continue
      const next = this.#gatewayState(state.proxy)
      for (const name of differingNames(next.inboundListeners, state.inboundListeners)) listeners.add(name)
      for (const name of differingNames(next.tables, state.tables)) merged.tables.add(name)
      // A cluster that comes brings its endpoints along.
      for (const name of oneSided(next.gateway?.clusters ?? NONE, state.gateway.clusters)) {
        merged.clusters.add(name)
        merged.endpoints.add(name)
      }
      Object.assign(state, next)
    }
    return listeners
  }
}

/** The services, as they are and as they were, whose ports or subsets a change may have touched. */
function reshapedServices(
  snapshots: readonly MeshSnapshot[],
  changes: ChangeSet,
  hosts: ReadonlySet<string>,
): ReadonlySet<MeshService> {
  const touched = changes.destinationRules.size > 0 ? hosts : changes.services
  return new Set(snapshots.flatMap(({ services }) => [...touched].flatMap(host => services.get(host) ?? [])))
}
