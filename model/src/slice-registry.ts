import type { EndpointSlice } from '@seine/api'
import { serviceHostname } from './host.ts'

/** The EndpointSlices of the mesh, by the service that they belong to and by the addresses that they name. */
export class SliceRegistry {
  readonly #byHost = new Map<string, Map<string, EndpointSlice>>()
  /** Address → how many slices of each host name it. */
  readonly #byAddress = new Map<string, Map<string, number>>()

  /** @returns the host of the slice's service; undefined for a slice of no service, which is left out. */
  add(slice: EndpointSlice): string | undefined {
    const hostname = hostOf(slice)
    if (hostname === undefined) return undefined
    const slices = this.#byHost.get(hostname) ?? new Map<string, EndpointSlice>()
    this.#byHost.set(hostname, slices.set(slice.metadata.name, slice))
    this.#count(slice, hostname, 1)
    return hostname
  }

  /** @returns the host of the slice's service. */
  remove(slice: EndpointSlice): string | undefined {
    const hostname = hostOf(slice)
    if (hostname === undefined) return undefined
    const slices = this.#byHost.get(hostname)
    slices?.delete(slice.metadata.name)
    if (slices?.size === 0) this.#byHost.delete(hostname)
    this.#count(slice, hostname, -1)
    return hostname
  }

  /** The slices of a service, in the order of their names. */
  of(hostname: string): readonly EndpointSlice[] {
    const slices = [...(this.#byHost.get(hostname)?.values() ?? [])]
    return slices.sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
  }

  /** The hosts with slices that name an address. */
  naming(address: string): Iterable<string> {
    return this.#byAddress.get(address)?.keys() ?? []
  }

  #count(slice: EndpointSlice, hostname: string, step: number): void {
    for (const address of (slice.spec.endpoints ?? []).flatMap(({ addresses }) => addresses)) {
      const hosts = this.#byAddress.get(address) ?? new Map<string, number>()
      const count = (hosts.get(hostname) ?? 0) + step
      if (count > 0) hosts.set(hostname, count)
      else hosts.delete(hostname)
      if (hosts.size > 0) this.#byAddress.set(address, hosts)
      else this.#byAddress.delete(address)
    }
  }
}

function hostOf({ metadata }: EndpointSlice): string | undefined {
  const service = metadata.labels['kubernetes.io/service-name']
  return service && serviceHostname(service, metadata.namespace)
}
