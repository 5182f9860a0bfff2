import { type MeshService, type MeshSnapshot, selects, type Workload } from '@seine/model'
import { obtain } from './maps.ts'

/** `namespace/app`, the id of an application's node in the graph. */
export function nodeId(namespace: string, app: string): string {
  return `${namespace}/${app}`
}

/** What belongs to what in a snapshot. Made once for each snapshot. */
export class MeshIndex {
  readonly snapshot: MeshSnapshot
  readonly #workloadsOf = new Map<string, readonly Workload[]>()
  readonly #servicesOf = new Map<string, MeshService[]>()
  readonly #serviceNodes = new Set<string>()
  /** Those that are no endpoints because they are not ready. */
  readonly #waiting = new Map<string, Workload[]>()

  constructor(snapshot: MeshSnapshot) {
    this.snapshot = snapshot
    for (const workload of snapshot.workloads.values()) {
      if (workload.ready) continue
      obtain(this.#waiting, workload.namespace, () => []).push(workload)
    }
    for (const service of snapshot.services.values()) {
      this.#addService(service)
      const own = nodeId(service.namespace, service.name)
      if (!service.external && this.nodeOfService(service.hostname) === own) this.#serviceNodes.add(own)
    }
  }

  /** The workloads that serve a service, ready or not. */
  workloadsOf(hostname: string): readonly Workload[] {
    return this.#workloadsOf.get(hostname) ?? []
  }

  /** The services that a workload serves. */
  servicesOf({ namespace, name }: Pick<Workload, 'namespace' | 'name'>): readonly MeshService[] {
    return this.#servicesOf.get(`${namespace}/${name}`) ?? []
  }

  /** The node of the graph that calls to a service are drawn to: its application where it has exactly one, else itself. */
  nodeOfService(hostname: string): string {
    const service = this.snapshot.services.get(hostname)
    if (!service) return nodeId('external', hostname)
    if (service.external) return nodeId('external', service.name)
    const apps = new Set(this.workloadsOf(hostname).map(({ namespace, app }) => nodeId(namespace, app)))
    const [app] = apps
    return apps.size === 1 && app ? app : nodeId(service.namespace, service.name)
  }

  /** Whether calls to some service are drawn to a node of the service's own. */
  isServiceNode(id: string): boolean {
    return this.#serviceNodes.has(id)
  }

  #addService(service: MeshService): void {
    const { hostname, namespace, selector } = service
    const found = new Set<Workload>()
    if (selector)
      for (const workload of this.#waiting.get(namespace) ?? [])
        if (selects(selector, workload.labels)) found.add(workload)
    for (const endpoints of this.snapshot.endpoints.get(hostname)?.byPort.values() ?? [])
      for (const { workload } of endpoints) if (workload) found.add(workload)
    this.#workloadsOf.set(hostname, [...found])
    for (const workload of found)
      obtain(this.#servicesOf, `${workload.namespace}/${workload.name}`, () => []).push(service)
  }
}

const indexes = new WeakMap<MeshSnapshot, MeshIndex>()

/** The index of a snapshot. */
export function indexOf(snapshot: MeshSnapshot): MeshIndex {
  const known = indexes.get(snapshot)
  if (known) return known
  const index = new MeshIndex(snapshot)
  indexes.set(snapshot, index)
  return index
}
