import { type EncodedResource, TypeUrl } from '@seine/envoy'
import type { Problem } from '@seine/kit'
import type { ChangeSet } from '@seine/model'
import type { IndexedSnapshot } from '../indexed-snapshot.ts'
import type { TrafficPlugin } from '../plugin.ts'
import type { Proxy } from '../proxy.ts'
import type { ProxyConfiguration } from '../proxy-configuration.ts'
import { servedPorts } from '../proxy-resources.ts'
import type { ScopeKey } from '../scope-key.ts'
import { scopeName } from '../scope-name.ts'
import { serverListener } from './listeners.ts'
import { readHostPort, SERVER_LISTENER_PREFIX } from './names.ts'
import { ProxylessScope } from './scope.ts'

/** What is kept for a connected application that is its own proxy. */
interface Client {
  readonly proxy: Proxy
  scope: ProxylessScope
  /** What its servers asked for, by name. */
  readonly servers: Map<string, EncodedResource>
}

/** How many addresses of servers are remembered for one application. */
const MAX_SERVERS = 1000

/** Keeps the configuration of the applications whose own gRPC library is their proxy. */
export class ProxylessClients {
  readonly #plugins: readonly TrafficPlugin[]
  readonly #keyOf: (proxy: Proxy) => ScopeKey
  readonly #clients = new Map<Proxy, Client>()
  readonly #scopes = new Map<string, ProxylessScope>()
  #indexed: IndexedSnapshot | undefined

  /** `keyOf` tells what the outbound side of a client depends on, in the newest snapshot. */
  constructor(plugins: readonly TrafficPlugin[], keyOf: (proxy: Proxy) => ScopeKey) {
    this.#plugins = plugins
    this.#keyOf = keyOf
  }

  /** The configuration of an application from now on; it follows updates. */
  configurationOf(indexed: IndexedSnapshot, proxy: Proxy): ProxyConfiguration {
    this.#indexed = indexed
    const client = this.#clients.get(proxy) ?? { proxy, scope: this.#scopeFor(proxy), servers: new Map() }
    this.#clients.set(proxy, client)
    return {
      get: (type, name) =>
        type === TypeUrl.listener && name.startsWith(SERVER_LISTENER_PREFIX)
          ? this.#server(client, name)
          : client.scope.get(type, name),
      names: type =>
        type === TypeUrl.listener
          ? [...client.scope.names(type), ...this.#serverNames(client)]
          : client.scope.names(type),
    }
  }

  /** Takes a change in, which touches these hosts. @returns which resources clients may have to be sent again. */
  update(indexed: IndexedSnapshot, changes: ChangeSet, hosts: ReadonlySet<string>): Map<string, Set<string>> {
    if (this.#clients.size === 0) return new Map()
    this.#indexed = indexed
    const changed = new Map<string, Set<string>>()
    const add = (type: string, names: Iterable<string>) => {
      const known = changed.get(type) ?? new Set()
      for (const name of names) known.add(name)
      changed.set(type, known)
    }
    const mayMove = changes.sidecars.size + changes.workloads.size + changes.networks.size > 0
    for (const scope of mayMove ? this.#moveClients() : [])
      for (const [type, name] of scope.everyName()) add(type, [name])
    // Whether endpoints take the TLS of gRPC depends on what is asked of them.
    const isSecurity = changes.peerAuthentications.size > 0
    for (const scope of this.#scopes.values()) {
      const touched = isSecurity ? new Set([...hosts, ...scope.hosts]) : hosts
      for (const [type, names] of scope.refresh(indexed, touched)) add(type, names)
    }
    if (isSecurity || changes.authorizationPolicies.size > 0) add(TypeUrl.listener, this.#forgetServers())
    return changed
  }

  /** Makes everything anew: what it was made from is different throughout. */
  rebuild(indexed: IndexedSnapshot): void {
    this.#indexed = indexed
    this.#scopes.clear()
    this.#forgetServers()
    for (const client of this.#clients.values()) client.scope = this.#scopeFor(client.proxy)
  }

  forget(proxy: Proxy): void {
    const client = this.#clients.get(proxy)
    this.#clients.delete(proxy)
    const isUsed = [...this.#clients.values()].some(({ scope }) => scope === client?.scope)
    if (client && !isUsed) this.#scopes.delete(scopeName(client.scope.key))
  }

  /** What the rules that hold for connected clients ask for and gRPC can not do, each once. */
  problems(): Problem[] {
    const found = [...this.#scopes.values()].flatMap(scope => scope.problems())
    return [...new Map(found.map(problem => [JSON.stringify(problem), problem])).values()]
  }

  #scopeFor(proxy: Proxy): ProxylessScope {
    const key = this.#keyOf(proxy)
    const known = this.#scopes.get(scopeName(key))
    if (known) return known
    if (!this.#indexed) throw new Error('a scope needs a snapshot')
    const scope = new ProxylessScope(key, this.#indexed)
    this.#scopes.set(scopeName(key), scope)
    return scope
  }

  /**
   * Gives clients for which another Sidecar holds now, or which are elsewhere, the scope of that.
   *
   * @returns the scopes between which they moved; those that they left are as they were before
   */
  #moveClients(): Set<ProxylessScope> {
    const touched = new Set<ProxylessScope>()
    for (const client of this.#clients.values()) {
      const scope = this.#scopeFor(client.proxy)
      if (scope === client.scope) continue
      touched.add(scope).add(client.scope)
      client.scope = scope
    }
    const used = new Set([...this.#clients.values()].map(({ scope }) => scope))
    for (const [name, scope] of this.#scopes) if (!used.has(scope)) this.#scopes.delete(name)
    return touched
  }

  #server({ proxy, servers }: Client, name: string): EncodedResource | undefined {
    const known = servers.get(name)
    if (known) return known
    const address = readHostPort(name.slice(SERVER_LISTENER_PREFIX.length))
    if (!address || !this.#indexed) return undefined
    const { snapshot } = this.#indexed
    const listener = serverListener({ snapshot, proxy, plugins: this.#plugins }, address.host, address.port)
    if (servers.size < MAX_SERVERS) servers.set(name, listener)
    return listener
  }

  /** Those that a server can be expected to ask for: the ports that services declare, at all addresses. */
  #serverNames({ proxy, servers }: Client): Iterable<string> {
    const ports = this.#indexed ? servedPorts(this.#indexed.snapshot, proxy) : []
    return new Set([...servers.keys(), ...ports.map(port => `${SERVER_LISTENER_PREFIX}0.0.0.0:${port}`)])
  }

  #forgetServers(): Set<string> {
    const names = new Set<string>()
    for (const { servers } of this.#clients.values()) {
      for (const name of servers.keys()) names.add(name)
      servers.clear()
    }
    return names
  }
}
