import type { Destination } from '@seine/api'
import { findService, type MeshService } from '@seine/model'
import { outboundClusterName } from './names.ts'

/** Where a destination leads. */
export interface ResolvedDestination {
  /** The service's host, which may be a wildcard that covers the name that was asked for. */
  readonly host: string
  readonly port: number
  readonly subset: string
}

/**
 * Where a destination with a full name leads. Its port is the named one, or the service's only one, or the one
 * that the client called. An ExternalName service leads to what it stands for, where that is in the mesh.
 */
export function resolveDestination(
  services: ReadonlyMap<string, MeshService>,
  { host, port: named, subset = '' }: Destination,
  called: number,
): ResolvedDestination {
  const service = findService(services, host)
  const only = service?.ports.length === 1 ? service.ports[0]?.number : undefined
  const port = named?.number ?? only ?? called
  if (!service) return { host, port, subset }
  const meant = standsFor(services, service, port)
  return meant ? { host: meant.hostname, port, subset: '' } : { host: service.hostname, port, subset }
}

/** The service of the mesh that an ExternalName service is another name for on a port. */
export function standsFor(
  services: ReadonlyMap<string, MeshService>,
  { externalName }: MeshService,
  port: number,
): MeshService | undefined {
  const meant = externalName === undefined ? undefined : services.get(externalName)
  return meant?.ports.some(({ number }) => number === port) ? meant : undefined
}

/** The name of the cluster for a destination. */
export function clusterNameOf({ host, port, subset }: ResolvedDestination): string {
  return outboundClusterName(port, subset, host)
}
