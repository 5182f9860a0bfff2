import {
  type ConfigMap,
  defaultMeshConfig,
  type EndpointSlice,
  keyOf,
  type MeshResource,
  parseMeshConfig,
  refOf,
} from '@seine/api'
import { formatRef, type Problem, type ResourceRef } from '@seine/kit'
import { AddressAllocator } from './address-allocator.ts'
import { Admission } from './admission.ts'
import { type EndpointInputs, endpointsOf, type ServiceEndpoints } from './endpoint.ts'
import { fromKubernetesService, fromServiceEntry, type MeshService } from './service.ts'
import { type ChangeSet, isEmpty, type MeshSnapshot } from './snapshot.ts'
import { emptySnapshot, PLAIN, Update } from './update.ts'
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
  readonly #admission = new Admission()
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
    this.#admission.admit(update)
    const problems = [...this.#collisions(), ...this.#configProblems, ...this.#admission.problems]
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
      this.#admission.moved(resource)
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
      case 'DestinationRule':
        this.#admission.write(resource)
        return
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
      case 'DestinationRule':
        this.#admission.remove(resource)
        return
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
