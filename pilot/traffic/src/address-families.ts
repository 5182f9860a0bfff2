import {
  type AddressFamily,
  type Endpoint,
  familyOf,
  isSocket,
  type MeshService,
  type MeshSnapshot,
  ofFamilies,
  type ServiceEndpoints,
} from '@seine/model'

/** The families of addresses that a proxy has: one of them, or both. */
export type AddressFamilies = AddressFamily | 'dual'

/** The families of a proxy's addresses. One of which none is known is taken for IPv4. */
export function familiesOf(addresses: readonly string[]): AddressFamilies {
  const found = new Set(addresses.map(familyOf))
  if (!found.has('ipv6')) return 'ipv4'
  return found.has('ipv4') ? 'dual' : 'ipv6'
}

function listOf(families: AddressFamilies): readonly AddressFamily[] {
  return families === 'dual' ? ['ipv4', 'ipv6'] : [families]
}

const WILDCARD = { ipv4: '0.0.0.0', ipv6: '::' } as const
const LOOPBACK = { ipv4: '127.0.0.1', ipv6: '::1' } as const
/** By these a sidecar calls its own application, so that the capture rules let it through. */
const OWN_SOURCE = { ipv4: '127.0.0.6', ipv6: '::6' } as const

/** The first address and the others that stand for the same, one for each family. */
export type Addresses = readonly [string, ...string[]]

/** What stands for all addresses of a proxy, IPv4 first. */
export function wildcards(families: AddressFamilies): Addresses {
  return each(families, WILDCARD)
}

/** The loopback addresses of a proxy, IPv4 first. */
export function loopbacks(families: AddressFamilies): Addresses {
  return each(families, LOOPBACK)
}

/** The addresses from which a sidecar calls its own application, IPv4 first. */
export function ownSources(families: AddressFamilies): Addresses {
  return each(families, OWN_SOURCE)
}

function each(families: AddressFamilies, addresses: Readonly<Record<AddressFamily, string>>): Addresses {
  return families === 'dual' ? [addresses.ipv4, addresses.ipv6] : [addresses[families]]
}

const services = new WeakMap<MeshService, Map<AddressFamilies, MeshService>>()
const endpointsByService = new WeakMap<ServiceEndpoints, Map<AddressFamilies, ServiceEndpoints>>()

/** A service with those of its addresses that a client can reach; the same service object each time. */
export function reachableService(service: MeshService, families: AddressFamilies): MeshService {
  return remembered(services, service, families, () => {
    const [addresses, lookupAddresses] = [service.addresses, service.lookupAddresses].map(all =>
      ofFamilies(all, listOf(families)),
    ) as [string[], string[]]
    const isSame =
      addresses.length === service.addresses.length &&
      lookupAddresses.length === service.lookupAddresses.length
    return isSame ? service : { ...service, addresses, lookupAddresses }
  })
}

/**
 * The endpoints that a client can reach, by those of their addresses that it can; the same object each time. Names, which
 * DNS resolves, stay, and sockets of the machine.
 */
export function reachableEndpoints(endpoints: ServiceEndpoints, families: AddressFamilies): ServiceEndpoints {
  if (families === 'dual') return endpoints
  return remembered(endpointsByService, endpoints, families, () => {
    const all = [...endpoints.byPort]
    const reachable = all.map(([port, list]) => [port, list.flatMap(one => byFamily(one, families))] as const)
    const isSame = all.every(([, list], index) =>
      list.every((endpoint, at) => reachable[index]?.[1][at] === endpoint),
    )
    return isSame ? endpoints : { ...endpoints, byPort: new Map(reachable) }
  })
}

const NO_ENDPOINTS: ServiceEndpoints = { byPort: new Map(), meshed: 'all', identities: [], networks: [] }

/** The endpoints of a host that a client can reach; none for a host that has none. */
export function endpointsOfHost(
  { endpoints }: Pick<MeshSnapshot, 'endpoints'>,
  hostname: string,
  families: AddressFamilies,
): ServiceEndpoints {
  return reachableEndpoints(endpoints.get(hostname) ?? NO_ENDPOINTS, families)
}

function byFamily(endpoint: Endpoint, family: AddressFamily): Endpoint[] {
  const { address, additionalAddresses } = endpoint
  const isName = /[^\d.]/.test(address) && !address.includes(':')
  // What has no address of its own is reached by that of a gateway.
  if (address === '' || isName || isSocket(address)) return [endpoint]
  const [first, ...others] = ofFamilies([address, ...additionalAddresses], [family])
  if (first === undefined) return []
  if (first === address && others.length === additionalAddresses.length) return [endpoint]
  return [{ ...endpoint, address: first, additionalAddresses: others }]
}

function remembered<T extends object>(
  known: WeakMap<T, Map<AddressFamilies, T>>,
  key: T,
  families: AddressFamilies,
  make: () => T,
): T {
  const variants = known.get(key) ?? new Map<AddressFamilies, T>()
  known.set(key, variants)
  const found = variants.get(families) ?? make()
  variants.set(families, found)
  return found
}
