import { isPlain, type ListenerTarget } from './targets.ts'

/** Which targets have a listener of their own, and what stands in for the others. */
export interface OnDemandPorts {
  /** The ports whose connections are sorted out by asking, and the addresses for which that is done. */
  readonly ports: ReadonlySet<number>
  /** Ranges that hold the addresses of all targets on those ports. */
  readonly ranges: readonly string[]
  /** What has a listener of its own. Where services share an address, the first by name has it. */
  readonly targets: readonly ListenerTarget[]
}

/** For who asks for nothing: each target has a listener. */
export function noneOnDemand(targets: Iterable<readonly ListenerTarget[]>): OnDemandPorts {
  return { ports: new Set(), ranges: [], targets: byHostname([...targets].flat()) }
}

/**
 * The targets that a sidecar with demands needs no listeners for, and their ports. On a port on which some connections
 * are told apart by a range, a name, or by nothing, an address alone says nothing; there, each target has a listener. So
 * has one that declares a protocol on a port where others have it found out: its server may speak first, and finding out
 * waits. Targets come and go one by one: a mesh has thousands.
 */
export class OnDemandTargets {
  readonly #ports = new Map<number, PortTargets>()

  add(target: ListenerTarget): void {
    const port = this.#ports.get(target.port) ?? new PortTargets()
    this.#ports.set(target.port, port)
    port.add(target)
  }

  remove(target: ListenerTarget): void {
    const port = this.#ports.get(target.port)
    port?.remove(target)
    if (port?.isEmpty) this.#ports.delete(target.port)
  }

  copy(): OnDemandTargets {
    const copied = new OnDemandTargets()
    for (const [number, port] of this.#ports) copied.#ports.set(number, port.copy())
    return copied
  }

  /** What comes of them where requests to some ports are routed by route tables. */
  ports(httpPorts: ReadonlyMap<number, unknown>): OnDemandPorts {
    const ports = new Set<number>()
    const ranges = new Set<string>()
    const others: ListenerTarget[] = []
    for (const [number, port] of this.#ports) {
      const { asked, listened } = port.parted(httpPorts.has(number))
      for (const target of listened) others.push(target)
      if (asked.size > 0) ports.add(number)
      for (const range of asked.ranges) ranges.add(range)
    }
    return { ports, ranges: [...ranges].sort(), targets: byHostname(others) }
  }
}

/** Targets of which a connection's own address says where it goes, and the ranges that their addresses lie in. */
class PlainTargets {
  readonly all: Set<ListenerTarget>
  /** Range → how many addresses lie in it. */
  readonly #ranges: Map<string, number>

  constructor(all: Iterable<ListenerTarget> = [], ranges: Iterable<[string, number]> = []) {
    this.all = new Set(all)
    this.#ranges = new Map(ranges)
  }

  get size(): number {
    return this.all.size
  }

  get ranges(): Iterable<string> {
    return this.#ranges.keys()
  }

  add(target: ListenerTarget): void {
    this.all.add(target)
    for (const address of target.addresses) this.#count(rangeOf(address), 1)
  }

  remove(target: ListenerTarget): void {
    if (this.all.delete(target)) for (const address of target.addresses) this.#count(rangeOf(address), -1)
  }

  copy(): PlainTargets {
    return new PlainTargets(this.all, this.#ranges)
  }

  #count(range: string, by: number): void {
    const count = (this.#ranges.get(range) ?? 0) + by
    if (count > 0) this.#ranges.set(range, count)
    else this.#ranges.delete(range)
  }
}

const NONE = new PlainTargets()

/** The targets of one port. */
class PortTargets {
  /** Those that are plain, by whether their protocol is found out. */
  readonly #detected: PlainTargets
  readonly #declared: PlainTargets
  readonly #others: Set<ListenerTarget>

  constructor(
    detected = new PlainTargets(),
    declared = new PlainTargets(),
    others: Iterable<ListenerTarget> = [],
  ) {
    this.#detected = detected
    this.#declared = declared
    this.#others = new Set(others)
  }

  get isEmpty(): boolean {
    return this.#detected.size + this.#declared.size + this.#others.size === 0
  }

  add(target: ListenerTarget): void {
    this.#groupOf(target).add(target)
  }

  remove(target: ListenerTarget): void {
    const group = this.#groupOf(target)
    if (group instanceof PlainTargets) group.remove(target)
    else group.delete(target)
  }

  copy(): PortTargets {
    return new PortTargets(this.#detected.copy(), this.#declared.copy(), this.#others)
  }

  /** Those that are asked for, and those that have listeners. */
  parted(isRouted: boolean): { asked: PlainTargets; listened: Iterable<ListenerTarget> } {
    const others = [...this.#others]
    if (!others.every(isFoundByAddress))
      return { asked: NONE, listened: [...others, ...this.#detected.all, ...this.#declared.all] }
    const detects = isRouted || this.#detected.size > 0 || others.some(({ detected }) => detected)
    return detects
      ? { asked: this.#detected, listened: [...others, ...this.#declared.all] }
      : { asked: this.#declared, listened: others }
  }

  #groupOf(target: ListenerTarget): PlainTargets | Set<ListenerTarget> {
    if (!isPlain(target)) return this.#others
    return target.detected ? this.#detected : this.#declared
  }
}

function byHostname(targets: ListenerTarget[]): ListenerTarget[] {
  return targets.sort((a, b) => (a.service.hostname < b.service.hostname ? -1 : 1))
}

function isFoundByAddress({ addresses, ranges, place }: ListenerTarget): boolean {
  return addresses.length > 0 && ranges.length === 0 && place.addresses === undefined
}

/**
 * A range around an address that is wide enough to hold those that come later: one that grew would make its listeners
 * anew, and end their connections. For what it holds besides, Envoy asks once and is told to let it pass.
 */
function rangeOf(address: string): string {
  if (!address.includes(':')) return `${address.split('.').slice(0, 2).join('.')}.0.0/16`
  const [head = '', tail = ''] = address.split('::')
  const [before, after] = [head, tail].map(part => part.split(':').filter(group => group !== ''))
  const zeros = Array.from({ length: 8 - (before?.length ?? 0) - (after?.length ?? 0) }, () => '0')
  const groups = address.includes('::') ? [...(before ?? []), ...zeros, ...(after ?? [])] : address.split(':')
  return `${groups.slice(0, 4).join(':')}::/64`
}
