import type { EncodedResource } from '@seine/envoy'
import { allAddresses, hostAliases, type MeshService, type ServiceEndpoints } from '@seine/model'
import { hashBytes } from './encode.ts'
import { type NetworkView, wayTo } from './networks.ts'

/**
 * The type of the names that agents answer DNS from: one resource for each host, called by its full name,
 * so that a new service is one small resource and not the table again. Its bytes are JSON: see {@link nameEntry}.
 */
export const NAME_TABLE_TYPE = 'type.googleapis.com/seine.nds.v1.NameTable'

/**
 * What workloads of `namespace` get when they look a service up, `{"ips": [...], "aliases": [...]}`; undefined
 * for one that has no addresses. Headless services answer with their endpoints. A short name that is another
 * service's full one, as `isHost` tells, is left to that.
 */
export function nameEntry(
  service: MeshService,
  endpoints: ServiceEndpoints,
  namespace: string,
  isHost: (name: string) => boolean,
  view: NetworkView,
): EncodedResource | undefined {
  const ips = service.headless
    ? endpointAddresses(endpoints, view)
    : [...service.addresses.filter(address => !address.includes('/')), ...service.lookupAddresses]
  if (ips.length === 0) return undefined
  const aliases = hostAliases(service.hostname, service.namespace, namespace)
    .slice(1)
    .filter(name => !isHost(name))
  const bytes = new TextEncoder().encode(JSON.stringify({ ips, aliases }))
  return { name: service.hostname, version: hashBytes(bytes), bytes, provenance: [service.ref] }
}

/** Clients of a headless service go to its endpoints themselves, and so to those only that no gateway stands before. */
function endpointAddresses({ byPort }: ServiceEndpoints, view: NetworkView): string[] {
  const all = [...byPort.values()].flat().filter(endpoint => wayTo(endpoint, view) === 'directly')
  return [...new Set(all.flatMap(allAddresses))]
}
