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
 * waits.
 */
export function onDemandPorts(
  targets: Iterable<readonly ListenerTarget[]>,
  httpPorts: ReadonlyMap<number, unknown>,
): OnDemandPorts {
  const byPort = new Map<number, ListenerTarget[]>()
  for (const list of targets)
    for (const target of list) {
      const known = byPort.get(target.port)
      if (known) known.push(target)
      else byPort.set(target.port, [target])
    }
  const ports = new Set<number>()
  const ranges = new Set<string>()
  const others: ListenerTarget[] = []
  for (const [port, list] of byPort) {
    const isAsked = list.every(isFoundByAddress)
    const detects = httpPorts.has(port) || list.some(({ detected }) => detected)
    for (const target of list) {
      if (!isAsked || !isPlain(target) || (detects && !target.detected)) others.push(target)
      else {
        ports.add(port)
        for (const address of target.addresses) ranges.add(rangeOf(address))
      }
    }
  }
  return { ports, ranges: [...ranges].sort(), targets: byHostname(others) }
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
