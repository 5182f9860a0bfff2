import { defaultMeshConfig, type MeshConfig, type MeshResource } from '@seine/api'
import type { Problem } from '@seine/kit'
import type { ServiceEndpoints } from './endpoint.ts'
import type { StatusBody } from './gateway-api/index.ts'
import { noNetworks } from './network-registry.ts'
import type { Networks } from './networks.ts'
import type { MeshService } from './service.ts'
import type { ChangeSet, MeshSnapshot } from './snapshot.ts'
import type { Workload } from './workload.ts'

/** The kinds that the snapshot holds as they are, and the map that holds each. */
export const PLAIN = {
  VirtualService: 'virtualServices',
  DestinationRule: 'destinationRules',
  PeerAuthentication: 'peerAuthentications',
  AuthorizationPolicy: 'authorizationPolicies',
  Sidecar: 'sidecars',
  Gateway: 'gateways',
  Secret: 'secrets',
  EnvoyFilter: 'envoyFilters',
} as const

export type PlainMap = (typeof PLAIN)[keyof typeof PLAIN]
type MutableChanges = {
  -readonly [K in keyof ChangeSet]: ChangeSet[K] extends ReadonlySet<string> ? Set<string> : boolean
}

/** A change in the making: copies a map of the snapshot when it is first written to. */
export class Update {
  readonly changes: MutableChanges = {
    config: false,
    namespaces: new Set(),
    services: new Set(),
    endpoints: new Set(),
    workloads: new Set(),
    networks: new Set(),
    virtualServices: new Set(),
    destinationRules: new Set(),
    peerAuthentications: new Set(),
    authorizationPolicies: new Set(),
    sidecars: new Set(),
    envoyFilters: new Set(),
    backendTls: new Set(),
    gateways: new Set(),
    secrets: new Set(),
  }
  readonly dirtyServices = new Set<string>()
  readonly dirtyEndpoints = new Set<string>()
  /** By `namespace/name`. */
  readonly dirtyWorkloads = new Set<string>()
  readonly #before: MeshSnapshot
  readonly #copies = new Map<keyof MeshSnapshot, Map<string, unknown>>()
  #config: MeshConfig | undefined
  #networks: Networks | undefined

  constructor(before: MeshSnapshot) {
    this.#before = before
  }

  /** The settings as they are after this change. */
  get config(): MeshConfig {
    return this.#config ?? this.#before.config
  }

  setConfig(config: MeshConfig): void {
    if (config === this.config) return
    this.#config = config
    this.changes.config = true
  }

  /** The networks as they are after this change, and of which other things hold than before. */
  setNetworks(networks: Networks, changed: Iterable<string>): void {
    if (networks === (this.#networks ?? this.#before.networks)) return
    this.#networks = networks
    for (const network of changed) this.changes.networks.add(network)
  }

  /** Whether the change leads to another mode of mutual TLS for some workload. */
  get changesModes(): boolean {
    return (
      this.changes.peerAuthentications.size > 0 ||
      this.config.rootNamespace !== this.#before.config.rootNamespace
    )
  }

  set(map: PlainMap, key: string, resource: MeshResource): void {
    this.#copy(map).set(key, resource)
    this.changes[map].add(key)
  }

  delete(map: PlainMap, key: string): void {
    this.#copy(map).delete(key)
    this.changes[map].add(key)
  }

  /** Puts something derived in, or takes it out where there is nothing any more. */
  replace(map: 'virtualServices' | 'gateways' | 'backendTls', key: string, value: unknown): void {
    const before = (this.#copies.get(map) ?? this.#before[map]) as ReadonlyMap<string, unknown>
    if (before.get(key) === value) return
    if (value === undefined) this.#copy(map).delete(key)
    else this.#copy(map).set(key, value)
    this.changes[map].add(key)
  }

  /** Whether some object's status is another one, which nothing but people look at. */
  get changesStatuses(): boolean {
    return this.#copies.has('statuses')
  }

  setStatus(key: string, status: StatusBody | undefined): void {
    const before = (this.#copies.get('statuses') ?? this.#before.statuses) as ReadonlyMap<string, StatusBody>
    if (before.get(key) === status) return
    if (status === undefined) this.#copy('statuses').delete(key)
    else this.#copy('statuses').set(key, status)
  }

  services(): Map<string, MeshService> {
    return this.#copy('services') as Map<string, MeshService>
  }

  endpoints(): Map<string, ServiceEndpoints> {
    return this.#copy('endpoints') as Map<string, ServiceEndpoints>
  }

  endpointsBefore(hostname: string): ServiceEndpoints | undefined {
    return this.#before.endpoints.get(hostname)
  }

  /** A map as it is so far in this change. */
  current<
    K extends
      | 'services'
      | 'endpoints'
      | 'destinationRules'
      | 'virtualServices'
      | 'peerAuthentications'
      | 'namespaces',
  >(name: K): MeshSnapshot[K] {
    return (this.#copies.get(name) ?? this.#before[name]) as MeshSnapshot[K]
  }

  workloads(): Map<string, Workload> {
    return this.#copy('workloads') as Map<string, Workload>
  }

  namespaces(): Map<string, Readonly<Record<string, string>>> {
    return this.#copy('namespaces') as Map<string, Readonly<Record<string, string>>>
  }

  finish(problems: readonly Problem[]): MeshSnapshot {
    const copies = Object.fromEntries(this.#copies)
    return {
      ...this.#before,
      ...copies,
      ...(this.#config ? { config: this.#config } : {}),
      ...(this.#networks ? { networks: this.#networks } : {}),
      problems,
      version: this.#before.version + 1,
    }
  }

  #copy(name: keyof MeshSnapshot): Map<string, unknown> {
    const existing = this.#copies.get(name)
    if (existing) return existing
    const copy = new Map(this.#before[name] as ReadonlyMap<string, unknown>)
    this.#copies.set(name, copy)
    return copy
  }
}

/** The mesh before anything is known of it. */
export function emptySnapshot(): MeshSnapshot {
  const none = new Map<string, never>()
  return {
    version: 0,
    config: defaultMeshConfig,
    namespaces: none,
    services: none,
    endpoints: none,
    workloads: none,
    networks: noNetworks,
    virtualServices: none,
    destinationRules: none,
    peerAuthentications: none,
    authorizationPolicies: none,
    sidecars: none,
    envoyFilters: none,
    backendTls: none,
    statuses: none,
    gateways: none,
    secrets: none,
    problems: [],
  }
}
