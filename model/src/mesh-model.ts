import { defaultMeshConfig, isKubernetesGateway, keyOf, type MeshResource, refOf } from '@seine/api'
import type { Problem, ResourceRef } from '@seine/kit'
import { Admission } from './admission.ts'
import { isCanary } from './canaries.ts'
import { Discovery } from './discovery.ts'
import { type EndpointInputs, endpointsOf, sameEndpoints } from './endpoint.ts'
import { type ExportDefaults, sameExportDefaults, withExportTo } from './export-defaults.ts'
import { GatewayApi } from './gateway-api/gateway-api.ts'
import { refOfKey } from './gateway-api/objects.ts'
import { serviceHostname } from './host.ts'
import { localityOfLabels } from './locality.ts'
import { MeshSettings } from './mesh-settings.ts'
import { NetworkRegistry } from './network-registry.ts'
import { NETWORK_LABEL } from './networks.ts'
import { inboundMtls } from './peer-authentication.ts'
import type { MeshService } from './service.ts'
import { ServiceRegistry } from './service-registry.ts'
import { SliceRegistry } from './slice-registry.ts'
import { type ChangeSet, isEmpty, type MeshSnapshot } from './snapshot.ts'
import { UnreachableEndpoints } from './unreachable-endpoints.ts'
import { emptySnapshot, PLAIN, Update } from './update.ts'
import { fromPod, fromWorkloadEntry, sameWorkload, selects, type Workload } from './workload.ts'
import { WorkloadRegistry } from './workload-registry.ts'

/** What the settings say of where it holds, if it does not itself. */
const EXPORTED: ReadonlySet<MeshResource['kind']> = new Set([
  'Service',
  'ServiceEntry',
  'VirtualService',
  'DestinationRule',
])

/** What a source tells: resources that are there now, and the names of those that are gone. */
export interface ResourceChange {
  readonly upserts: readonly MeshResource[]
  readonly deletes: readonly ResourceRef[]
}

/** An object, as it was written last and as it is in force; either may be missing. */
export interface ModelObject {
  /** Undefined for one that was removed and stays in force as it is still needed. */
  readonly written: MeshResource | undefined
  /** Undefined for one of which no version has been good yet. */
  readonly inForce: MeshResource | undefined
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
  readonly #services = new ServiceRegistry()
  readonly #workloads = new WorkloadRegistry()
  readonly #slices = new SliceRegistry()
  /** The labels of each node. */
  readonly #nodes = new Map<string, Readonly<Record<string, string>>>()
  readonly #settings = new MeshSettings()
  readonly #discovery = new Discovery()
  readonly #networks = new NetworkRegistry()
  readonly #unreachable = new UnreachableEndpoints()
  readonly #admission = new Admission()
  readonly #gatewayApi = new GatewayApi()
  /** By what objects were learned that do not say where they hold. */
  #exports: ExportDefaults = defaultMeshConfig
  #snapshot: MeshSnapshot = emptySnapshot()

  /** The newest snapshot. */
  get snapshot(): MeshSnapshot {
    return this.#snapshot
  }

  /** All resources, by key, as the sources gave them. */
  get resources(): ReadonlyMap<string, MeshResource> {
    return this.#resources
  }

  /** Every object, as it was written last and as it is in force. */
  *objects(): Iterable<ModelObject> {
    for (const written of this.#resources.values()) yield { written, inForce: this.#inForce(written) }
    // A rule with a subset that is still routed to outlives its removal.
    for (const inForce of this.#snapshot.destinationRules.values())
      if (!this.#resources.has(keyOf(refOf(inForce)))) yield { written: undefined, inForce }
  }

  #inForce(written: MeshResource): MeshResource | undefined {
    switch (written.kind) {
      case 'VirtualService':
      case 'DestinationRule': {
        const kept = isCanary(written) ? undefined : this.#admission.kept(written)
        return kept ? kept.version : written
      }
      case 'ConfigMap':
        return this.#settings.inForce(written)
      default:
        return written
    }
  }

  /**
   * Takes a change in and returns the snapshot after it; the same snapshot when nothing of the mesh changed.
   *
   * @param isAdmitted what is written is in force already, in the mesh that it was read from: it is not judged
   */
  apply(change: ResourceChange, isAdmitted = false): ModelUpdate {
    const update = new Update(this.#snapshot)
    for (const ref of change.deletes) this.#remove(ref, update)
    for (const resource of change.upserts) this.#upsert(resource, update)
    this.#settings.refresh()
    update.setConfig(this.#settings.config)
    this.#refreshDiscovery(update)
    this.#refreshExports(update)
    this.#refreshAssignment(update)
    this.#refreshServices(update)
    this.#refreshNetworks(update)
    this.#refreshWorkloads(update)
    this.#refreshEndpoints(update)
    this.#refreshUnreachable(update)
    this.#refreshGatewayApi(update)
    this.#admission.admit(update, isAdmitted)
    const problems = this.#problems()
    if (
      isEmpty(update.changes) &&
      !update.changesStatuses &&
      JSON.stringify(problems) === JSON.stringify(this.#snapshot.problems)
    ) {
      return { snapshot: this.#snapshot, changes: update.changes }
    }
    this.#snapshot = update.finish(problems)
    return { snapshot: this.#snapshot, changes: update.changes }
  }

  /** Learns what is in namespaces that the mesh sees now, and forgets what is in those that it does not see any more. */
  #refreshDiscovery(update: Update): void {
    const changed = this.#discovery.take(update.config.discoverySelectors, update.current('namespaces'))
    if (changed.size === 0) return
    for (const resource of this.#resources.values()) {
      const { namespace } = resource.metadata
      if (!changed.has(namespace) || isCanary(resource)) continue
      if (this.#discovery.sees(namespace)) this.#enter(resource, update)
      else this.#leave(resource, update)
    }
  }

  /** Where the settings say of more objects, or of fewer, where they hold, those are learned anew. */
  #refreshExports(update: Update): void {
    const defaults = update.config
    if (sameExportDefaults(defaults, this.#exports)) return
    this.#exports = defaults
    for (const resource of this.#resources.values()) {
      if (!EXPORTED.has(resource.kind)) continue
      this.#forget(resource, update)
      this.#learn(resource, update)
    }
  }

  /** Where the settings, or the root namespace, put workloads into other networks, those are learned anew. */
  #refreshAssignment(update: Update): void {
    const namespace = this.#resources.get(
      keyOf({ kind: 'Namespace', namespace: '', name: update.config.rootNamespace }),
    )
    const before = this.#networks.networks.assignment.networks
    const label = namespace?.metadata.labels[NETWORK_LABEL]
    if (!this.#networks.assign(this.#settings.networks, label, namespace && refOf(namespace))) return
    const { networks } = this.#networks
    update.setNetworks(networks, [...before, ...networks.assignment.networks])
    for (const resource of this.#resources.values()) {
      if (resource.kind !== 'Pod' && resource.kind !== 'WorkloadEntry') continue
      this.#forget(resource, update)
      this.#learn(resource, update)
    }
    for (const hostname of update.current('services').keys()) update.dirtyEndpoints.add(hostname)
  }

  /** Services that came, changed or went may be gateways of networks. */
  #refreshNetworks(update: Update): void {
    for (const hostname of update.changes.services)
      this.#networks.writeService(hostname, this.#services.get(hostname))
    const changed = this.#networks.refresh(hostname => this.#services.get(hostname))
    update.setNetworks(this.#networks.networks, changed)
  }

  /** Which endpoints the clients of other networks can't reach is looked at where endpoints, or gateways, are others. */
  #refreshUnreachable(update: Update): void {
    const { gateways } = this.#networks.networks
    const endpoints = update.current('endpoints')
    const clients = this.#workloads.networks
    for (const hostname of this.#unreachable.touched(update.changes, endpoints, clients))
      this.#unreachable.write(hostname, this.#services.get(hostname), endpoints.get(hostname), gateways)
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
      if (isCanary(resource) || !this.#sees(resource)) return
      this.#admission.moved(resource)
      this.#gatewayApi.moved(resource)
      return
    }
    this.#resources.set(key, resource)
    if (resource.kind === 'Node') {
      this.#placeNode(resource.metadata.name, resource.metadata.labels, update)
      return
    }
    if (old && this.#isSameWorkload(old, resource)) return
    if (old) this.#forget(old, update)
    this.#learn(resource, update)
  }

  #learn(resource: MeshResource, update: Update): void {
    // What only some proxies get is no part of what all get: see `canaries.ts`.
    if (isCanary(resource)) return
    // The settings say what is seen, wherever they are.
    if (resource.kind === 'ConfigMap') this.#settings.write(resource)
    if (this.#sees(resource)) this.#enter(resource, update)
  }

  #sees({ metadata }: MeshResource): boolean {
    return this.#discovery.sees(metadata.namespace)
  }

  #enter(resource: MeshResource, update: Update): void {
    const { name, namespace, labels } = resource.metadata
    const key = `${namespace}/${name}`
    switch (resource.kind) {
      case 'VirtualService':
      case 'DestinationRule':
        this.#admission.write(withExportTo(resource, this.#exports))
        return
      case 'PeerAuthentication':
      case 'AuthorizationPolicy':
      case 'Sidecar':
      case 'EnvoyFilter':
        update.set(PLAIN[resource.kind], key, resource)
        return
      case 'Secret':
        update.set('secrets', key, resource)
        this.#gatewayApi.write(resource)
        return
      case 'Gateway':
        if (isKubernetesGateway(resource)) this.#gatewayApi.write(resource)
        else update.set('gateways', key, resource)
        return
      case 'Service':
      case 'ServiceEntry':
        for (const hostname of this.#services.add(withExportTo(resource, this.#exports)))
          update.dirtyServices.add(hostname)
        return
      case 'Pod':
      case 'WorkloadEntry':
        this.#learnWorkload(this.#workloadOf(resource), update)
        return
      case 'EndpointSlice':
        this.#noteSlice(this.#slices.add(resource), update)
        return
      case 'Namespace':
        update.namespaces().set(name, labels)
        update.changes.namespaces.add(name)
        this.#gatewayApi.write(resource)
        return
      default:
        // The snapshot holds nothing else of the other kinds; analysis reads them from `resources`.
        this.#gatewayApi.write(resource)
        return
    }
  }

  #forget(resource: MeshResource, update: Update): void {
    if (isCanary(resource)) return
    if (resource.kind === 'ConfigMap') this.#settings.remove(resource)
    if (this.#sees(resource)) this.#leave(resource, update)
  }

  #leave(resource: MeshResource, update: Update): void {
    const { name, namespace } = resource.metadata
    const key = `${namespace}/${name}`
    switch (resource.kind) {
      case 'VirtualService':
      case 'DestinationRule':
        this.#admission.remove(resource)
        return
      case 'PeerAuthentication':
      case 'AuthorizationPolicy':
      case 'Sidecar':
      case 'EnvoyFilter':
        update.delete(PLAIN[resource.kind], key)
        return
      case 'Secret':
        update.delete('secrets', key)
        this.#gatewayApi.remove(resource)
        return
      case 'Gateway':
        if (isKubernetesGateway(resource)) this.#gatewayApi.remove(resource)
        else update.delete('gateways', key)
        return
      case 'Service':
      case 'ServiceEntry':
        for (const hostname of this.#services.remove(resource)) update.dirtyServices.add(hostname)
        return
      case 'Pod':
      case 'WorkloadEntry':
        this.#forgetWorkload(this.#workloadOf(resource), update)
        return
      case 'EndpointSlice':
        this.#noteSlice(this.#slices.remove(resource), update)
        return
      case 'Namespace':
        update.namespaces().delete(name)
        update.changes.namespaces.add(name)
        this.#gatewayApi.remove(resource)
        return
      case 'Node':
        this.#placeNode(name, undefined, update)
        return
      default:
        this.#gatewayApi.remove(resource)
        return
    }
  }

  #learnWorkload(workload: Workload | undefined, update: Update): void {
    if (!workload) return
    this.#workloads.add(workload)
    this.#noteWorkload(workload, update)
  }

  #forgetWorkload(workload: Workload | undefined, update: Update): void {
    if (!workload) return
    this.#workloads.remove(workload)
    this.#noteWorkload(workload, update)
  }

  /** A node is where its pods are: where its labels say another place, they have moved. */
  #placeNode(name: string, labels: Readonly<Record<string, string>> | undefined, update: Update): void {
    const before = localityOfLabels(this.#nodes.get(name) ?? {})
    if (labels) this.#nodes.set(name, labels)
    else this.#nodes.delete(name)
    if (localityOfLabels(labels ?? {}) === before) return
    for (const pod of this.#resources.values()) {
      if (pod.kind !== 'Pod' || pod.spec.nodeName !== name || !this.#sees(pod)) continue
      const workload = this.#workloadOf(pod)
      this.#forgetWorkload(workload, update)
      this.#learnWorkload(workload, update)
    }
  }

  #workloadOf(resource: MeshResource): Workload | undefined {
    const { assignment } = this.#networks.networks
    if (resource.kind === 'Pod')
      return fromPod(resource, this.#nodes.get(resource.spec.nodeName ?? ''), assignment)
    return resource.kind === 'WorkloadEntry' ? fromWorkloadEntry(resource, assignment) : undefined
  }

  /** Whether two versions of an object stand for the same workload: a pod's status says much that does not matter here. */
  #isSameWorkload(old: MeshResource, resource: MeshResource): boolean {
    const [before, after] = [this.#workloadOf(old), this.#workloadOf(resource)]
    return before !== undefined && after !== undefined && sameWorkload(before, after)
  }

  /** The services that may have the workload as an endpoint, and its name, are looked at again. */
  #noteWorkload(workload: Workload, update: Update): void {
    update.dirtyWorkloads.add(`${workload.namespace}/${workload.name}`)
    for (const hostname of this.#services.of(workload.namespace))
      if (isSelected(this.#services.get(hostname), workload)) update.dirtyEndpoints.add(hostname)
    for (const address of workload.addresses)
      for (const hostname of this.#slices.naming(address)) update.dirtyEndpoints.add(hostname)
  }

  #noteSlice(hostname: string | undefined, update: Update): void {
    if (hostname !== undefined) update.dirtyEndpoints.add(hostname)
  }

  #refreshServices(update: Update): void {
    for (const hostname of update.dirtyServices) {
      const service = this.#services.get(hostname)
      if (service) update.services().set(hostname, service)
      else if (update.current('services').has(hostname)) update.services().delete(hostname)
      else continue
      update.changes.services.add(hostname)
      update.dirtyEndpoints.add(hostname)
    }
  }

  /** Takes over what objects of the Gateway API come to now. */
  #refreshGatewayApi(update: Update): void {
    for (const hostname of update.changes.services)
      this.#gatewayApi.writeService(hostname, this.#services.get(hostname))
    const { routes, gateways, backendTls, statuses } = this.#gatewayApi.update()
    for (const [key, gateway] of gateways) update.replace('gateways', key, gateway)
    for (const [key, route] of routes) update.replace('virtualServices', key, route)
    for (const [key, tls] of backendTls) {
      const [namespace = '', name = ''] = key.split('/')
      update.replace('backendTls', serviceHostname(name, namespace), tls)
    }
    for (const [key, status] of statuses) update.setStatus(keyOf(refOfKey(key)), status)
  }

  #refreshWorkloads(update: Update): void {
    for (const name of update.dirtyWorkloads) {
      const before = this.#snapshot.workloads.get(name)
      const after = this.#workloads.named(name)
      if (before === after) continue
      if (after) update.workloads().set(name, after)
      else update.workloads().delete(name)
      update.changes.workloads.add(name)
    }
  }

  #refreshEndpoints(update: Update): void {
    const all = update.changesModes ? update.current('services').keys() : []
    for (const hostname of new Set([...update.dirtyEndpoints, ...all])) {
      const service = this.#services.get(hostname)
      const before = update.endpointsBefore(hostname)
      const after = service && endpointsOf(service, this.#inputsFor(service, update))
      if (!after) {
        if (!before) continue
        update.endpoints().delete(hostname)
      } else if (!before || !sameEndpoints(before, after)) {
        update.endpoints().set(hostname, after)
      } else continue
      update.changes.endpoints.add(hostname)
    }
  }

  #inputsFor(service: MeshService, update: Update): EndpointInputs {
    const policies = { peerAuthentications: update.current('peerAuthentications'), config: update.config }
    return {
      workloads: this.#workloads.of(service.namespace),
      slices: this.#slices.of(service.hostname),
      workloadAt: address => this.#workloads.at(address),
      assignment: this.#networks.networks.assignment,
      takesMutualTls: (target, port) => inboundMtls(policies, target).modeOf(port) !== 'DISABLE',
    }
  }

  #problems(): Problem[] {
    return [
      ...this.#services.problems,
      ...this.#settings.problems,
      ...[...this.#networks.problems, ...this.#unreachable.problems].map(problem => this.#placed(problem)),
      ...this.#admission.problems,
      ...this.#gatewayApi.problems,
    ]
  }

  /** A problem with the place in a file where its field stands. */
  #placed(problem: Problem): Problem {
    const { resource, path = '' } = problem
    const origin = resource && this.#resources.get(keyOf(resource))?.origin
    return origin ? { ...problem, position: origin.locate(path) } : problem
  }
}

function isSelected(service: MeshService | undefined, workload: Workload): boolean {
  return service?.selector !== undefined && selects(service.selector, workload.labels)
}

function sameContent(a: MeshResource, b: MeshResource): boolean {
  if (a.metadata.resourceVersion && a.metadata.resourceVersion === b.metadata.resourceVersion) return true
  const content = ({ metadata, spec, status }: MeshResource) =>
    JSON.stringify([{ ...metadata, resourceVersion: undefined }, spec, status])
  return content(a) === content(b)
}
