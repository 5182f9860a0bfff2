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

/** The virtual services of a snapshot that apply to sidecars, by host, oldest first. Delegates have no hosts. */
export class VirtualServiceIndex {
  readonly #exact = new Map<string, RoutedService[]>()
  readonly #wildcards: [host: string, service: RoutedService][] = []
  readonly #all: readonly RoutedService[]
  #senders: ReadonlyMap<string, readonly RoutedService[]> | undefined

  constructor(snapshot: MeshSnapshot) {
    this.#all = [...snapshot.virtualServices.values()]
      .filter(service => service.spec.hosts?.length && appliesToSidecars(service))
      .sort(inOrder)
    for (const service of this.#all) {
      for (const host of virtualServiceHosts(service)) {
        if (host.startsWith('*')) this.#wildcards.push([host, service])
        else this.#exact.set(host, [...(this.#exact.get(host) ?? []), service])
      }
    }
    this.#wildcards.sort((a, b) => b[0].length - a[0].length)
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
    const exact = this.#exact.get(hostname)?.find(visible)
    return (
      exact ?? this.#wildcards.find(([host, service]) => hostCovers(host, hostname) && visible(service))?.[1]
    )
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

  /** Those with a destination that a service of this host serves, as seen from the namespace. */
  sendingTo(hostname: string, namespace: string): RoutedService[] {
    const senders = this.#indexSenders()
    const found = new Set(senders.get(hostname))
    if (hostname.startsWith('*'))
      for (const [host, services] of senders)
        if (hostCovers(hostname, host)) for (const service of services) found.add(service)
    return [...found].filter(service => isExportedTo(service, namespace))
  }

  /** Made when first asked for: only clients with a Sidecar do. */
  #indexSenders(): ReadonlyMap<string, readonly RoutedService[]> {
    if (this.#senders) return this.#senders
    const senders = new Map<string, RoutedService[]>()
    for (const service of this.#all) {
      for (const host of new Set(destinationsOf(service).map(destination => destination.host)))
        senders.set(host, [...(senders.get(host) ?? []), service])
    }
    this.#senders = senders
    return senders
  }

  /** The hosts that virtual services claim, wildcards among them. */
  *hosts(): Iterable<string> {
    yield* this.#exact.keys()
    for (const [host] of this.#wildcards) yield host
  }
}

function isExportedTo(service: RoutedService, namespace: string): boolean {
  return visibleIn(exportScopes(service.spec.exportTo), service.metadata.namespace, namespace)
}
