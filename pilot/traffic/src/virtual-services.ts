import type { VirtualService } from '@seine/api'
import {
  appliesToSidecars,
  byAge,
  exportScopes,
  hostCovers,
  type MeshSnapshot,
  virtualServiceHosts,
  visibleIn,
} from '@seine/model'

/** The virtual services of a snapshot that apply to sidecars, by host, oldest first. */
export class VirtualServiceIndex {
  readonly #exact = new Map<string, VirtualService[]>()
  readonly #wildcards: [host: string, service: VirtualService][] = []

  constructor(snapshot: MeshSnapshot) {
    for (const service of [...snapshot.virtualServices.values()].sort(byAge)) {
      if (!appliesToSidecars(service)) continue
      for (const host of virtualServiceHosts(service)) {
        if (host.startsWith('*')) this.#wildcards.push([host, service])
        else this.#exact.set(host, [...(this.#exact.get(host) ?? []), service])
      }
    }
    this.#wildcards.sort((a, b) => b[0].length - a[0].length)
  }

  /** The one that decides for the host as seen from the namespace: an exact host wins, then the longest wildcard. */
  find(hostname: string, namespace: string): VirtualService | undefined {
    const visible = (service: VirtualService) =>
      visibleIn(exportScopes(service.spec.exportTo), service.metadata.namespace, namespace)
    const exact = this.#exact.get(hostname)?.find(visible)
    return (
      exact ?? this.#wildcards.find(([host, service]) => hostCovers(host, hostname) && visible(service))?.[1]
    )
  }

  /** The one that names the very host, as seen from the namespace, where one does. */
  naming(hostname: string, namespace: string): VirtualService | undefined {
    const found = this.find(hostname, namespace)
    return found && virtualServiceHosts(found).includes(hostname) ? found : undefined
  }

  /** The hosts that virtual services claim, wildcards among them. */
  *hosts(): Iterable<string> {
    yield* this.#exact.keys()
    for (const [host] of this.#wildcards) yield host
  }
}
