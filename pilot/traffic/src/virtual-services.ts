import type { VirtualService } from '@seine/api'
import { exportScopes, hostCovers, type MeshSnapshot, resolveHost, visibleIn } from '@seine/model'

/** The virtual services of a snapshot that apply to sidecars, by host, oldest first. */
export class VirtualServiceIndex {
  readonly #exact = new Map<string, VirtualService[]>()
  readonly #wildcards: [host: string, service: VirtualService][] = []

  constructor(snapshot: MeshSnapshot) {
    const byAge = [...snapshot.virtualServices.values()].sort((a, b) => age(a) - age(b))
    for (const service of byAge) {
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
    const visible = (service: VirtualService) => visibleIn(exportScopes(service.spec.exportTo), service.metadata.namespace, namespace)
    const exact = this.#exact.get(hostname)?.find(visible)
    return exact ?? this.#wildcards.find(([host, service]) => hostCovers(host, hostname) && visible(service))?.[1]
  }

  /** Hosts without wildcard that some virtual service claims. */
  hosts(): Iterable<string> {
    return this.#exact.keys()
  }
}

/** The full names of the hosts of a virtual service. */
export function virtualServiceHosts(service: VirtualService): string[] {
  return (service.spec.hosts ?? []).map(host => resolveHost(host, service.metadata.namespace))
}

/** Every destination a virtual service sends to, with its field path. */
export function destinationsOf(service: VirtualService): { host: string; subset: string | undefined; port: number | undefined; path: string }[] {
  const { namespace } = service.metadata
  const found: { host: string; subset: string | undefined; port: number | undefined; path: string }[] = []
  const add = (destination: { host: string; subset?: string | undefined; port?: { number: number } | undefined }, path: string) =>
    found.push({ host: resolveHost(destination.host, namespace), subset: destination.subset, port: destination.port?.number, path })
  for (const [i, http] of (service.spec.http ?? []).entries()) {
    for (const [j, route] of (http.route ?? []).entries()) add(route.destination, `spec.http[${i}].route[${j}].destination`)
    if (http.mirror) add(http.mirror, `spec.http[${i}].mirror`)
    for (const [j, mirror] of (http.mirrors ?? []).entries()) add(mirror.destination, `spec.http[${i}].mirrors[${j}].destination`)
  }
  for (const kind of ['tcp', 'tls'] as const) {
    for (const [i, route] of (service.spec[kind] ?? []).entries()) {
      for (const [j, target] of route.route.entries()) add(target.destination, `spec.${kind}[${i}].route[${j}].destination`)
    }
  }
  return found
}

/** Without `gateways`, or with `mesh` among them, a virtual service is for sidecars. */
export function appliesToSidecars(service: VirtualService): boolean {
  return !service.spec.gateways?.length || service.spec.gateways.includes('mesh')
}

function age(service: VirtualService): number {
  return service.metadata.creationTimestamp ? Date.parse(service.metadata.creationTimestamp) : 0
}
