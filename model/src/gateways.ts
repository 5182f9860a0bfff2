import type { VirtualService } from '@seine/api'

/** The name that stands for all sidecars among the gateways of a virtual service. */
export const MESH_GATEWAY = 'mesh'

/** A gateway's full name, `namespace/name`, as a resource of a namespace writes it; `mesh` stays what it is. */
export function gatewayName(written: string, namespace: string): string {
  return written === MESH_GATEWAY || written.includes('/') ? written : `${namespace}/${written}`
}

/** The full names of the gateways that a virtual service is for: `mesh` where it names none. */
export function gatewaysOf({ spec, metadata }: VirtualService): string[] {
  if (!spec.gateways?.length) return [MESH_GATEWAY]
  return spec.gateways.map(name => gatewayName(name, metadata.namespace))
}
