import { keyOf } from '@seine/api'
import { hasProxy, type Workload } from './workload.ts'

/**
 * The workloads of the mesh. Several objects can stand for one name (a Pod and a WorkloadEntry) or for one
 * address (a pod that goes and one that comes); which of them counts does not depend on the order in which
 * they were learnt.
 */
export class WorkloadRegistry {
  readonly #byName = new Map<string, Workload[]>()
  readonly #byAddress = new Map<string, Workload[]>()
  readonly #byNamespace = new Map<string, Map<string, Workload>>()
  /** How many workloads with proxies there are in each network; in one that is not known under the empty name. */
  readonly #byNetwork = new Map<string, number>()

  /** The networks in which workloads have proxies, sorted; the empty name is among them where one's is not known. */
  get networks(): readonly string[] {
    return [...this.#byNetwork.keys()].sort()
  }

  add(workload: Workload): void {
    insert(this.#byName, nameOf(workload), workload)
    for (const address of workload.addresses) insert(this.#byAddress, address, workload)
    const inNamespace = this.#byNamespace.get(workload.namespace) ?? new Map<string, Workload>()
    this.#byNamespace.set(workload.namespace, inNamespace.set(keyOf(workload.ref), workload))
    this.#count(workload, 1)
  }

  remove(workload: Workload): void {
    withdraw(this.#byName, nameOf(workload), workload)
    for (const address of workload.addresses) withdraw(this.#byAddress, address, workload)
    const inNamespace = this.#byNamespace.get(workload.namespace)
    const known = inNamespace?.get(keyOf(workload.ref))
    if (known) this.#count(known, -1)
    inNamespace?.delete(keyOf(workload.ref))
  }

  #count(workload: Workload, step: number): void {
    if (!hasProxy(workload)) return
    const network = workload.membership?.network ?? ''
    const count = (this.#byNetwork.get(network) ?? 0) + step
    if (count > 0) this.#byNetwork.set(network, count)
    else this.#byNetwork.delete(network)
  }

  /** The workload that a name, `namespace/name`, stands for. */
  named(name: string): Workload | undefined {
    return this.#byName.get(name)?.[0]
  }

  /** The workload that has an address. */
  at(address: string): Workload | undefined {
    return this.#byAddress.get(address)?.[0]
  }

  /** All workloads of a namespace. */
  of(namespace: string): readonly Workload[] {
    return [...(this.#byNamespace.get(namespace)?.values() ?? [])]
  }
}

function nameOf({ namespace, name }: Workload): string {
  return `${namespace}/${name}`
}

function insert(lists: Map<string, Workload[]>, key: string, workload: Workload): void {
  lists.set(key, [...(lists.get(key) ?? []), workload].sort(byPrecedence))
}

function withdraw(lists: Map<string, Workload[]>, key: string, workload: Workload): void {
  const left = (lists.get(key) ?? []).filter(one => keyOf(one.ref) !== keyOf(workload.ref))
  if (left.length > 0) lists.set(key, left)
  else lists.delete(key)
}

/** What takes requests comes first; then pods, whose kind is the first by name. */
function byPrecedence(a: Workload, b: Workload): number {
  if (a.ready !== b.ready) return a.ready ? -1 : 1
  return keyOf(a.ref) < keyOf(b.ref) ? -1 : 1
}
