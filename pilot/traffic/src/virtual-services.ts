import {
  appliesToSidecars,
  byAge,
  destinationsOf,
  exportScopes,
  hostCovers,
  type MeshSnapshot,
  type RoutedService,
  virtualServiceHosts,
  visibleIn,
} from '@seine/model'

/** Routes that clients have for a service come before those that the service has for all; else the oldest does. */
function inOrder(a: RoutedService, b: RoutedService): number {
  return Number(b.derivation?.consumer ?? false) - Number(a.derivation?.consumer ?? false) || byAge(a, b)
}

type ByHost = ReadonlyMap<string, readonly RoutedService[]>

/** The virtual services of a snapshot: by the hosts that they are for, and by those that they send to. */
export class VirtualServiceIndex {
  /** Those that apply to sidecars, by host, wildcards among these, each list in the order in which they decide. */
  readonly #byHost: ByHost
  /** All of them, by the hosts of their destinations. */
  readonly #senders: ByHost
  /** The wildcards among the hosts, the longest first. */
  readonly #wildcards: readonly string[]

  private constructor(byHost: ByHost, senders: ByHost, wildcards: readonly string[]) {
    this.#byHost = byHost
    this.#senders = senders
    this.#wildcards = wildcards
  }

  /** The index of a snapshot, made from that of the one before and the keys of what changed; or from nothing. */
  static of(
    after: MeshSnapshot,
    before?: { readonly index: VirtualServiceIndex; readonly snapshot: MeshSnapshot },
    changed: Iterable<string> = after.virtualServices.keys(),
  ): VirtualServiceIndex {
    const byHost = new Map(before ? before.index.#byHost : [])
    const senders = new Map(before ? before.index.#senders : [])
    for (const key of changed) {
      const old = before?.snapshot.virtualServices.get(key)
      const now = after.virtualServices.get(key)
      if (old) for (const host of hostsOf(old)) remove(byHost, host, old)
      if (old) for (const host of targetsOf(old)) remove(senders, host, old)
      if (now) for (const host of hostsOf(now)) insert(byHost, host, now)
      if (now) for (const host of targetsOf(now)) insert(senders, host, now)
    }
    const wildcards = [...byHost.keys()].filter(host => host.startsWith('*'))
    return new VirtualServiceIndex(
      byHost,
      senders,
      wildcards.sort((a, b) => b.length - a.length),
    )
  }

  /**
   * The one that decides for the host as seen from the namespace, of those that are imported there: an exact
   * host wins, then the longest wildcard.
   */
  find(
    hostname: string,
    namespace: string,
    isImported: (service: RoutedService) => boolean = () => true,
  ): RoutedService | undefined {
    const visible = (service: RoutedService) => isExportedTo(service, namespace) && isImported(service)
    const exact = this.#byHost.get(hostname)?.find(visible)
    if (exact) return exact
    for (const host of this.#wildcards) {
      const found = hostCovers(host, hostname) ? this.#byHost.get(host)?.find(visible) : undefined
      if (found) return found
    }
    return undefined
  }

  /** Whether any decides for the host, seen from wherever. */
  concerns(hostname: string): boolean {
    return this.#byHost.has(hostname) || this.#wildcards.some(host => hostCovers(host, hostname))
  }

  /** The one that names the very host, as seen from the namespace, where one does. */
  naming(
    hostname: string,
    namespace: string,
    isImported?: (service: RoutedService) => boolean,
  ): RoutedService | undefined {
    const found = this.find(hostname, namespace, isImported)
    return found && virtualServiceHosts(found).includes(hostname) ? found : undefined
  }

  /** Those for sidecars with a destination that a service of this host serves, as seen from the namespace. */
  sendingTo(hostname: string, namespace: string): RoutedService[] {
    return this.senders(hostname).filter(
      service => isForSidecars(service) && isExportedTo(service, namespace),
    )
  }

  /** All with a destination that a host covers, whoever they are for. */
  senders(pattern: string): RoutedService[] {
    const found = new Set(this.#senders.get(pattern))
    if (pattern.startsWith('*'))
      for (const [host, services] of this.#senders)
        if (hostCovers(pattern, host)) for (const service of services) found.add(service)
    return [...found]
  }

  /** The hosts that virtual services for sidecars claim, wildcards among them. */
  hosts(): Iterable<string> {
    return this.#byHost.keys()
  }

  /** The wildcards among those hosts. */
  wildcards(): Iterable<string> {
    return this.#wildcards
  }
}

function hostsOf(service: RoutedService): Iterable<string> {
  return isForSidecars(service) ? new Set(virtualServiceHosts(service)) : []
}

/** Delegates have no hosts, and are in force as part of who delegates to them. */
function isForSidecars(service: RoutedService): boolean {
  return (service.spec.hosts ?? []).length > 0 && appliesToSidecars(service)
}

function targetsOf(service: RoutedService): Iterable<string> {
  return new Set(destinationsOf(service).map(({ host }) => host))
}

function insert(lists: Map<string, readonly RoutedService[]>, host: string, service: RoutedService): void {
  const known = lists.get(host)
  lists.set(host, known ? [...known, service].sort(inOrder) : [service])
}

function remove(lists: Map<string, readonly RoutedService[]>, host: string, service: RoutedService): void {
  const left = (lists.get(host) ?? []).filter(other => other !== service)
  if (left.length > 0) lists.set(host, left)
  else lists.delete(host)
}

function isExportedTo(service: RoutedService, namespace: string): boolean {
  return visibleIn(exportScopes(service.spec.exportTo), service.metadata.namespace, namespace)
}
