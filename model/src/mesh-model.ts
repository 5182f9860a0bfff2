import {
  type ConfigMap,
  defaultMeshConfig,
  type EndpointSlice,
  keyOf,
  type MeshConfig,
  type MeshResource,
  parseMeshConfig,
  refOf,
  type VirtualService,
} from '@seine/api'
import { formatRef, type Problem, type ResourceRef } from '@seine/kit'
import { AddressAllocator } from './address-allocator.ts'
import { type EndpointInputs, endpointsOf, type ServiceEndpoints } from './endpoint.ts'
import { brokenReferences } from './reference-gate.ts'
import { fromKubernetesService, fromServiceEntry, type MeshService } from './service.ts'
import { type ChangeSet, isEmpty, type MeshSnapshot } from './snapshot.ts'
import { fromPod, fromWorkloadEntry, type Workload } from './workload.ts'

/** What a source tells: resources that are there now, and the names of those that are gone. */
export interface ResourceChange {
  readonly upserts: readonly MeshResource[]
  readonly deletes: readonly ResourceRef[]
}

/** A snapshot and what makes it differ from the one before. */
export interface ModelUpdate {
  readonly snapshot: MeshSnapshot
  readonly changes: ChangeSet
}

/** The kinds that the snapshot holds as they are, and the map that holds each. */
const PLAIN = {
  VirtualService: 'virtualServices',
  DestinationRule: 'destinationRules',
  PeerAuthentication: 'peerAuthentications',
  AuthorizationPolicy: 'authorizationPolicies',
} as const

type PlainMap = (typeof PLAIN)[keyof typeof PLAIN]
type MutableChanges = {
  -readonly [K in keyof ChangeSet]: ChangeSet[K] extends ReadonlySet<string> ? Set<string> : boolean
}

/**
 * Turns resource changes into snapshots. It recomputes only what a change touches: the endpoints of the
 * services that select a changed workload, the services that a changed object stands for.
 */
export class MeshModel {
  readonly #resources = new Map<string, MeshResource>()
  readonly #allocator = new AddressAllocator()
  /** Hostname → services that claim it, in order of precedence (oldest first). */
  readonly #claims = new Map<string, MeshService[]>()
  readonly #hostsOf = new Map<string, readonly string[]>()
  readonly #workloadByAddress = new Map<string, Workload>()
  readonly #workloadsOf = new Map<string, Map<string, Workload>>()
  readonly #slicesOf = new Map<string, Map<string, EndpointSlice>>()
  readonly #configProblems: Problem[] = []
  /** Virtual services as they were last written, whether or not they are in force. */
  readonly #candidates = new Map<string, VirtualService>()
  /** What is wrong with the references of virtual services, by key. */
  readonly #broken = new Map<string, readonly Problem[]>()
  #snapshot: MeshSnapshot = emptySnapshot()

  /** The newest snapshot. */
  get snapshot(): MeshSnapshot {
    return this.#snapshot
  }

  /** All resources, by key, as the sources gave them. */
  get resources(): ReadonlyMap<string, MeshResource> {
    return this.#resources
  }

  /** Takes a change in and returns the snapshot after it; the same snapshot when nothing of the mesh changed. */
  apply(change: ResourceChange): ModelUpdate {
    const update = new Update(this.#snapshot)
    for (const ref of change.deletes) this.#remove(ref, update)
    for (const resource of change.upserts) this.#upsert(resource, update)
    this.#refreshServices(update)
    this.#refreshEndpoints(update)
    this.#admit(update)
    const problems = [...this.#collisions(), ...this.#configProblems, ...[...this.#broken.values()].flat()]
    if (isEmpty(update.changes) && JSON.stringify(problems) === JSON.stringify(this.#snapshot.problems)) {
      return { snapshot: this.#snapshot, changes: update.changes }
    }
    this.#snapshot = update.finish(problems)
    return { snapshot: this.#snapshot, changes: update.changes }
  }

  #remove(ref: ResourceRef, update: Update): void {
    const key = keyOf(ref)
    const old = this.#resources.get(key)
    if (!old) return
    this.#resources.delete(key)
    this.#forget(old, update)
  }

  #upsert(resource: MeshResource, update: Update): void {
    const key = keyOf(refOf(resource))
    const old = this.#resources.get(key)
    if (old && sameContent(old, resource)) {
      this.#resources.set(key, resource)
      return
    }
    if (old) this.#forget(old, update)
    this.#resources.set(key, resource)
    this.#learn(resource, update)
  }

  #learn(resource: MeshResource, update: Update): void {
    const { name, namespace, labels } = resource.metadata
    const key = `${namespace}/${name}`
    switch (resource.kind) {
      case 'VirtualService':
        this.#candidates.set(key, resource)
        update.dirtyCandidates.add(key)
        return
      case 'DestinationRule':
      case 'PeerAuthentication':
      case 'AuthorizationPolicy':
        update.set(PLAIN[resource.kind], key, resource)
        return
      case 'Service':
        this.#claim(keyOf(refOf(resource)), [fromKubernetesService(resource)], update)
        return
      case 'ServiceEntry':
        this.#claim(
          keyOf(refOf(resource)),
          fromServiceEntry(resource, host => this.#allocator.allocate(host)),
          update,
        )
        return
      case 'Pod':
        this.#learnWorkload(fromPod(resource), update)
        return
      case 'WorkloadEntry':
        this.#learnWorkload(fromWorkloadEntry(resource), update)
        return
      case 'EndpointSlice':
        this.#learnSlice(resource, update)
        return
      case 'Namespace':
        update.namespaces().set(name, labels)
        return
      case 'ConfigMap':
        this.#refreshConfig(resource, update)
        return
      case 'Deployment':
      case 'ServiceAccount':
        return
      default:
        resource satisfies never
    }
  }

  #forget(resource: MeshResource, update: Update): void {
    const { name, namespace } = resource.metadata
    const key = `${namespace}/${name}`
    switch (resource.kind) {
      case 'VirtualService':
        // A newer version that turns out broken must leave this one in force: see #admit.
        this.#candidates.delete(key)
        update.dirtyCandidates.add(key)
        return
      case 'DestinationRule':
      case 'PeerAuthentication':
      case 'AuthorizationPolicy':
        update.delete(PLAIN[resource.kind], key)
        return
      case 'Service':
      case 'ServiceEntry':
        this.#unclaim(keyOf(refOf(resource)), update)
        return
      case 'Pod':
        this.#forgetWorkload(fromPod(resource), update)
        return
      case 'WorkloadEntry':
        this.#forgetWorkload(fromWorkloadEntry(resource), update)
        return
      case 'EndpointSlice':
        this.#forgetSlice(resource, update)
        return
      case 'Namespace':
        update.namespaces().delete(name)
        return
      case 'ConfigMap':
        if (isMeshConfig(resource)) {
          this.#configProblems.length = 0
          update.setConfig(defaultMeshConfig)
        }
        return
      case 'Deployment':
      case 'ServiceAccount':
        return
      default:
        resource satisfies never
    }
  }

  /** A broken mesh config is reported; the last good one stays. */
  #refreshConfig(resource: ConfigMap, update: Update): void {
    if (!isMeshConfig(resource)) return
    this.#configProblems.length = 0
    const at = { path: 'data.mesh', ...(resource.origin ? { origin: resource.origin } : {}) }
    const parsed = parseMeshConfig(resource.spec.data?.['mesh'] ?? '', at)
    if (parsed.ok) update.setConfig(parsed.value)
    else
      this.#configProblems.push(...parsed.error.map(problem => ({ ...problem, resource: refOf(resource) })))
    update.changes.config = true
  }

  #claim(owner: string, services: readonly MeshService[], update: Update): void {
    this.#hostsOf.set(
      owner,
      services.map(service => service.hostname),
    )
    for (const service of services) {
      const claims = [...(this.#claims.get(service.hostname) ?? []), service].sort(
        (a, b) => this.#age(a) - this.#age(b),
      )
      this.#claims.set(service.hostname, claims)
      update.dirtyServices.add(service.hostname)
    }
  }

  #unclaim(owner: string, update: Update): void {
    for (const hostname of this.#hostsOf.get(owner) ?? []) {
      const left = (this.#claims.get(hostname) ?? []).filter(service => keyOf(service.ref) !== owner)
      if (left.length > 0) this.#claims.set(hostname, left)
      else this.#claims.delete(hostname)
      update.dirtyServices.add(hostname)
    }
    this.#hostsOf.delete(owner)
  }

  /** Creation time in ms since the epoch; a file has none, and then the order of arrival decides. */
  #age(service: MeshService): number {
    const created = this.#resources.get(keyOf(service.ref))?.metadata.creationTimestamp
    return created ? Date.parse(created) : 0
  }

  #learnWorkload(workload: Workload | undefined, update: Update): void {
    if (!workload) return
    const key = `${workload.namespace}/${workload.name}`
    update.workloads().set(key, workload)
    update.changes.workloads.add(key)
    for (const address of workload.addresses) this.#workloadByAddress.set(address, workload)
    mapIn(this.#workloadsOf, workload.namespace).set(key, workload)
    this.#markSelecting(workload, update)
  }

  #forgetWorkload(workload: Workload | undefined, update: Update): void {
    if (!workload) return
    const key = `${workload.namespace}/${workload.name}`
    update.workloads().delete(key)
    update.changes.workloads.add(key)
    for (const address of workload.addresses) this.#workloadByAddress.delete(address)
    this.#workloadsOf.get(workload.namespace)?.delete(key)
    this.#markSelecting(workload, update)
  }

  /** Services of the workload's namespace that may have it as an endpoint. */
  #markSelecting(workload: Workload, update: Update): void {
    for (const claims of this.#claims.values()) {
      const service = claims[0]
      if (service?.namespace !== workload.namespace) continue
      const selected =
        service.selector &&
        Object.entries(service.selector).every(([name, value]) => workload.labels[name] === value)
      if (selected || this.#slicesOf.has(service.hostname)) update.dirtyEndpoints.add(service.hostname)
    }
  }

  #learnSlice(slice: EndpointSlice, update: Update): void {
    const hostname = sliceHostname(slice)
    if (!hostname) return
    mapIn(this.#slicesOf, hostname).set(slice.metadata.name, slice)
    update.dirtyEndpoints.add(hostname)
  }

  #forgetSlice(slice: EndpointSlice, update: Update): void {
    const hostname = sliceHostname(slice)
    if (!hostname) return
    const slices = this.#slicesOf.get(hostname)
    slices?.delete(slice.metadata.name)
    if (slices?.size === 0) this.#slicesOf.delete(hostname)
    update.dirtyEndpoints.add(hostname)
  }

  #refreshServices(update: Update): void {
    for (const hostname of update.dirtyServices) {
      const service = this.#claims.get(hostname)?.[0]
      if (service) update.services().set(hostname, service)
      else update.services().delete(hostname)
      update.changes.services.add(hostname)
      update.dirtyEndpoints.add(hostname)
    }
  }

  #refreshEndpoints(update: Update): void {
    for (const hostname of update.dirtyEndpoints) {
      const service = this.#claims.get(hostname)?.[0]
      const before = update.endpointsBefore(hostname)
      const after = service && endpointsOf(service, this.#inputsFor(service))
      if (!after) {
        if (before) update.endpoints().delete(hostname)
      } else if (!before || !sameEndpoints(before, after)) {
        update.endpoints().set(hostname, after)
      } else continue
      update.changes.endpoints.add(hostname)
    }
  }

  #inputsFor(service: MeshService): EndpointInputs {
    return {
      workloads: [...(this.#workloadsOf.get(service.namespace)?.values() ?? [])],
      slices: [...(this.#slicesOf.get(service.hostname)?.values() ?? [])],
      workloadAt: address => this.#workloadByAddress.get(address),
    }
  }

  /**
   * Puts virtual services into force whose references lead somewhere. One that refers to a host or subset
   * that is not there waits, with its last good version in force, until it is.
   */
  #admit(update: Update): void {
    const targetsChanged = update.changes.services.size > 0 || update.changes.destinationRules.size > 0
    for (const key of targetsChanged
      ? new Set([...this.#candidates.keys(), ...update.dirtyCandidates])
      : update.dirtyCandidates) {
      const candidate = this.#candidates.get(key)
      if (!candidate) {
        this.#broken.delete(key)
        update.delete('virtualServices', key)
        continue
      }
      const problems = brokenReferences(candidate, {
        services: update.current('services'),
        destinationRules: update.current('destinationRules'),
      })
      if (problems.length > 0) this.#broken.set(key, problems)
      else this.#broken.delete(key)
      if (problems.length === 0 && update.current('virtualServices').get(key) !== candidate)
        update.set('virtualServices', key, candidate)
    }
  }

  #collisions(): Problem[] {
    const problems: Problem[] = []
    for (const [hostname, claims] of this.#claims) {
      const winner = claims[0]
      for (const loser of claims.slice(1)) {
        if (!winner) continue
        const origin = this.#resources.get(keyOf(loser.ref))?.origin
        problems.push({
          severity: 'error',
          code: 'host-collision',
          message: `${hostname} is already the host of ${formatRef(winner.ref)}, which is used; remove one of them`,
          resource: loser.ref,
          path: 'spec.hosts',
          ...(origin ? { position: origin.locate('spec.hosts') } : {}),
        })
      }
    }
    return problems
  }
}

/** A change in the making: copies a map of the snapshot when it is first written to. */
class Update {
  readonly changes: MutableChanges = {
    config: false,
    services: new Set(),
    endpoints: new Set(),
    workloads: new Set(),
    virtualServices: new Set(),
    destinationRules: new Set(),
    peerAuthentications: new Set(),
    authorizationPolicies: new Set(),
  }
  readonly dirtyServices = new Set<string>()
  readonly dirtyEndpoints = new Set<string>()
  /** Keys of virtual services that were written or removed. */
  readonly dirtyCandidates = new Set<string>()
  readonly #before: MeshSnapshot
  readonly #copies = new Map<keyof MeshSnapshot, Map<string, unknown>>()
  #config: MeshConfig | undefined

  constructor(before: MeshSnapshot) {
    this.#before = before
  }

  setConfig(config: MeshConfig): void {
    this.#config = config
    this.changes.config = true
  }

  set(map: PlainMap, key: string, resource: MeshResource): void {
    this.#copy(map).set(key, resource)
    this.changes[map].add(key)
  }

  delete(map: PlainMap, key: string): void {
    this.#copy(map).delete(key)
    this.changes[map].add(key)
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
  current<K extends 'services' | 'destinationRules' | 'virtualServices'>(name: K): MeshSnapshot[K] {
    return (this.#copies.get(name) ?? this.#before[name]) as MeshSnapshot[K]
  }

  workloads(): Map<string, Workload> {
    return this.#copy('workloads') as Map<string, Workload>
  }

  namespaces(): Map<string, Readonly<Record<string, string>>> {
    this.changes.config = true
    return this.#copy('namespaces') as Map<string, Readonly<Record<string, string>>>
  }

  finish(problems: readonly Problem[]): MeshSnapshot {
    const copies = Object.fromEntries(this.#copies)
    return {
      ...this.#before,
      ...copies,
      ...(this.#config ? { config: this.#config } : {}),
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

function emptySnapshot(): MeshSnapshot {
  const none = new Map<string, never>()
  return {
    version: 0,
    config: defaultMeshConfig,
    namespaces: none,
    services: none,
    endpoints: none,
    workloads: none,
    virtualServices: none,
    destinationRules: none,
    peerAuthentications: none,
    authorizationPolicies: none,
    problems: [],
  }
}

/** The mesh's settings lie where Istio's do: ConfigMap `istio` of the root namespace, or one called `seine`. */
function isMeshConfig(resource: ConfigMap): boolean {
  const { name, namespace } = resource.metadata
  return (
    (name === 'istio' || name === 'seine') &&
    (namespace === defaultMeshConfig.rootNamespace || namespace === 'seine-system') &&
    resource.spec.data?.['mesh'] !== undefined
  )
}

function sliceHostname(slice: EndpointSlice): string | undefined {
  const name = slice.metadata.labels['kubernetes.io/service-name']
  return name && `${name}.${slice.metadata.namespace}.svc.cluster.local`
}

function mapIn<V>(maps: Map<string, Map<string, V>>, key: string): Map<string, V> {
  const found = maps.get(key)
  if (found) return found
  const made = new Map<string, V>()
  maps.set(key, made)
  return made
}

function sameContent(a: MeshResource, b: MeshResource): boolean {
  if (a.metadata.resourceVersion && a.metadata.resourceVersion === b.metadata.resourceVersion) return true
  const content = ({ metadata, spec, status }: MeshResource) =>
    JSON.stringify([{ ...metadata, resourceVersion: undefined }, spec, status])
  return content(a) === content(b)
}

function sameEndpoints(a: ServiceEndpoints, b: ServiceEndpoints): boolean {
  const plain = (endpoints: ServiceEndpoints) =>
    JSON.stringify(
      [...endpoints.byPort].map(([port, list]) => [
        port,
        list.map(({ workload, ...rest }) => [rest, workload?.workloadName, workload?.version, workload?.app]),
      ]),
    )
  return plain(a) === plain(b) && a.meshed === b.meshed
}
