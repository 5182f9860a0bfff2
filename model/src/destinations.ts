import type { VirtualService } from '@seine/api'
import { resolveHost } from './host.ts'

/** The full names of the hosts of a virtual service. */
export function virtualServiceHosts(service: VirtualService): string[] {
  return (service.spec.hosts ?? []).map(host => resolveHost(host, service.metadata.namespace))
}

/** Every destination a virtual service sends to, with its field path. */
export function destinationsOf(
  service: VirtualService,
): { host: string; subset: string | undefined; port: number | undefined; path: string }[] {
  const { namespace } = service.metadata
  const found: { host: string; subset: string | undefined; port: number | undefined; path: string }[] = []
  const add = (
    destination: { host: string; subset?: string | undefined; port?: { number: number } | undefined },
    path: string,
  ) =>
    found.push({
      host: resolveHost(destination.host, namespace),
      subset: destination.subset,
      port: destination.port?.number,
      path,
    })
  for (const [i, http] of (service.spec.http ?? []).entries()) {
    for (const [j, route] of (http.route ?? []).entries())
      add(route.destination, `spec.http[${i}].route[${j}].destination`)
    if (http.mirror) add(http.mirror, `spec.http[${i}].mirror`)
    for (const [j, mirror] of (http.mirrors ?? []).entries())
      add(mirror.destination, `spec.http[${i}].mirrors[${j}].destination`)
  }
  for (const kind of ['tcp', 'tls'] as const) {
    for (const [i, route] of (service.spec[kind] ?? []).entries()) {
      for (const [j, target] of route.route.entries())
        add(target.destination, `spec.${kind}[${i}].route[${j}].destination`)
    }
  }
  return found
}
