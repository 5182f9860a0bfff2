import { type Destination, DestinationIndex } from '../destination-clusters.ts'
import { noneOnDemand, type OnDemandPorts, OnDemandTargets } from './on-demand.ts'
import { type ListenerTarget, sameTargets } from './targets.ts'

const NONE: readonly ListenerTarget[] = []

/** The targets of all hosts as the clients of one scope see them, and what follows from them. */
export class ScopeTargets {
  readonly #byHost: Map<string, readonly ListenerTarget[]>
  readonly #destinations: DestinationIndex
  readonly #onDemand: OnDemandTargets
  /** Until a port or a target is another. */
  #ports: OnDemandPorts | undefined

  /** `onDemand` are the same targets as those by hostname, and are copied. */
  constructor(
    byHost: ReadonlyMap<string, readonly ListenerTarget[]> = new Map(),
    onDemand = new OnDemandTargets(),
  ) {
    this.#byHost = new Map(byHost)
    this.#destinations = new DestinationIndex(this.#byHost)
    this.#onDemand = onDemand.copy()
  }

  /** Takes the targets of a host in place of those that it had. @returns whether they make other listeners. */
  replace(hostname: string, targets: readonly ListenerTarget[]): boolean {
    const old = this.#byHost.get(hostname) ?? NONE
    if (old === targets) return false
    if (targets.length > 0) this.#byHost.set(hostname, targets)
    else this.#byHost.delete(hostname)
    this.#destinations.replace(old, targets)
    for (const target of old) this.#onDemand.remove(target)
    for (const target of targets) this.#onDemand.add(target)
    const areOthers = !sameTargets(old, targets)
    if (areOthers) this.#ports = undefined
    return areOthers
  }

  /** Takes note that other ports have route tables. */
  forgetPorts(): void {
    this.#ports = undefined
  }

  /** What has listeners for clients with demands. `httpPorts` are the ports that have route tables. */
  onDemand(httpPorts: ReadonlyMap<number, unknown>): OnDemandPorts {
    this.#ports ??= this.#onDemand.ports(httpPorts)
    return this.#ports
  }

  /** What has listeners for all other clients. */
  all(): OnDemandPorts {
    return noneOnDemand(this.#byHost.values())
  }

  /** What the cluster for an address stands for, by its name; undefined for an address that no service has. */
  destination(name: string): Destination | undefined {
    return this.#destinations.get(name)
  }
}
