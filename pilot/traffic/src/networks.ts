import type { Provenance } from '@seine/envoy'
import type { Endpoint, NetworkGateway, Networks, ServiceEndpoints } from '@seine/model'
import { familyOf } from '@seine/model'
import type { AddressFamilies } from './address-families.ts'
import { consecutive, type EndpointGroup } from './locality.ts'

/** From where a client sees the mesh's networks. */
export interface NetworkView {
  /** The network that the client is in; empty where that is not known. */
  readonly network: string
  readonly families: AddressFamilies
  readonly gateways: Networks['gateways']
  /** Does not go by gateways: what they lead to is out of its reach. */
  readonly isConfined?: boolean
}

/**
 * How a client reaches an endpoint: directly, or by one of these gateways, of which there are none where it can't. As in
 * Istio, an endpoint is reached directly in the client's own network, and in one that has no gateways; and a client
 * whose network is not known goes by the gateways of all that are.
 */
export function wayTo(
  { membership, address }: Pick<Endpoint, 'membership' | 'address'>,
  { network, families, gateways, isConfined }: NetworkView,
): 'directly' | readonly NetworkGateway[] {
  const found = membership && membership.network !== network ? gateways.get(membership.network) : undefined
  if (!found) return address === '' ? NO_WAY : 'directly'
  if (isConfined) return NO_WAY
  return families === 'dual' ? found : found.filter(one => familyOf(one.address) === families)
}

const NO_WAY: readonly NetworkGateway[] = []

/** A text that is the same where clients reach endpoints in the same ways; false where networks say nothing of them. */
export function waysKey({ networks }: ServiceEndpoints, view: NetworkView): string | false {
  if (networks.length === 0) return false
  const { network, families, gateways, isConfined } = view
  return JSON.stringify([network, families, isConfined, networks.map(one => gateways.get(one))])
}

/** A place that a client connects to: an endpoint, or a gateway with the endpoints for which it stands. */
export interface Reached {
  readonly endpoint: Endpoint
  readonly weight: number
  /** Set for a gateway. */
  readonly by?: { readonly gateway: NetworkGateway; readonly endpoints: readonly Endpoint[] }
}

/** A group of endpoints as a client reaches them. */
export interface ReachedGroup extends Omit<EndpointGroup, 'endpoints'> {
  readonly reached: readonly Reached[]
}

/** A place in the making. */
interface Entry {
  readonly priority: number
  readonly endpoint: Endpoint
  readonly gateway: NetworkGateway | undefined
  readonly endpoints: Endpoint[]
  weight: number
}

/**
 * Groups of endpoints with gateways in the place of what they lead to, in the same localities. Weights of endpoints are
 * added up and shared by the gateways of their network; they are multiplied before, so that they can be. Each gateway is
 * there once, where it is preferred most, with the weight of all that it leads to there: Envoy passes over an address
 * that a cluster has already.
 */
export function throughGateways(groups: readonly EndpointGroup[], view: NetworkView): ReachedGroup[] {
  const ways = new Map<Endpoint, readonly NetworkGateway[]>()
  for (const endpoint of groups.flatMap(({ endpoints }) => endpoints)) {
    const way = wayTo(endpoint, view)
    if (way !== 'directly') ways.set(endpoint, way)
  }
  if (ways.size === 0)
    return groups.map(({ endpoints, ...group }) => ({
      ...group,
      reached: endpoints.map(endpoint => ({ endpoint, weight: Math.max(endpoint.weight, 1) })),
    }))
  const scale = [...ways.values()].reduce((all, way) => commonMultiple(all, Math.max(way.length, 1)), 1)
  // Of groups whose shares are said, the weights are not those of their endpoints: fractions of them must not be lost.
  const isShared = groups.some(({ weight, endpoints }) => weight !== totalOf(endpoints))
  const factor = scale * (isShared ? 1000 : 1)
  const known = new Map<string, Entry>()
  const made = groups.map(({ endpoints, ...group }) => {
    const share = isShared ? group.weight / totalOf(endpoints) : 1
    const entries: Entry[] = []
    for (const endpoint of endpoints) {
      const weight = Math.max(endpoint.weight, 1) * share * factor
      const way = ways.get(endpoint)
      if (!way) entries.push({ ...group, endpoint, gateway: undefined, endpoints: [], weight })
      for (const gateway of way ?? []) {
        const key = `${gateway.address} ${gateway.port}`
        const there = known.get(key)
        if (there && there.priority !== group.priority) continue
        const entry = there ?? {
          ...group,
          endpoint: asEndpoint(gateway, endpoint),
          gateway,
          endpoints: [],
          weight: 0,
        }
        entry.weight += weight / (way?.length ?? 1)
        entry.endpoints.push(endpoint)
        if (there) continue
        known.set(key, entry)
        entries.push(entry)
      }
    }
    return { group, entries }
  })
  const filled = made.flatMap(({ group, entries }) => {
    const reached = entries.map(({ endpoint, gateway, endpoints, weight }) => ({
      endpoint,
      weight: Math.max(Math.round(weight), 1),
      ...(gateway ? { by: { gateway, endpoints } } : {}),
    }))
    const weight = reached.reduce((sum, one) => sum + one.weight, 0)
    return reached.length > 0 ? [{ ...group, weight, reached }] : []
  })
  return consecutive(filled)
}

function totalOf(endpoints: readonly Endpoint[]): number {
  return endpoints.reduce((sum, { weight }) => sum + Math.max(weight, 1), 0)
}

/** A gateway takes mutual TLS of whoever it leads to. */
function asEndpoint({ address, port, locality }: NetworkGateway, behind: Endpoint): Endpoint {
  return {
    ...behind,
    address,
    additionalAddresses: [],
    port,
    meshed: true,
    locality: behind.locality || locality,
  }
}

function commonMultiple(a: number, b: number): number {
  let [x, y] = [a, b]
  while (y > 0) [x, y] = [y, x % y]
  return (a / x) * b
}

/** How many endpoints a text names, or objects that say which network something is in. */
const NAMED = 3

/** Why gateways stand where they do: what says that they are gateways, and that endpoints are in their networks. */
export function causesOfGateways(groups: readonly ReachedGroup[]): Provenance[] {
  const all = groups.flatMap(({ reached }) => reached.flatMap(({ by }) => by ?? []))
  const members = all.flatMap(({ endpoints }) =>
    endpoints.flatMap(({ membership }) => membership?.cause ?? []),
  )
  const distinct = [...new Map(members.map(cause => [JSON.stringify(cause), cause])).values()]
  return [...all.map(({ gateway }) => gateway.cause), ...distinct.slice(0, NAMED)]
}

/** What people should know of endpoints that a client can't reach. */
export function notesOfUnreached(endpoints: readonly Endpoint[], view: NetworkView): string[] {
  const byNetwork = new Map<string, Endpoint[]>()
  for (const endpoint of endpoints) {
    const network = endpoint.membership?.network ?? ''
    byNetwork.set(network, [...(byNetwork.get(network) ?? []), endpoint])
  }
  return [...byNetwork].sort().map(([network, list]) => {
    const names = list.map(({ workload, address }) =>
      workload ? `${workload.name}.${workload.namespace}` : address || 'one without an address',
    )
    const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : ''
    const who = `${names.slice(0, NAMED).join(', ')}${more} in the network ${network} ${names.length > 1 ? 'are' : 'is'} left out`
    return `${who}: ${reasonFor(network, view)}`
  })
}

function reasonFor(network: string, { network: own, gateways, families, isConfined }: NetworkView): string {
  const all = gateways.get(network)
  if (!all || own === network) return 'it has no address, and no gateway leads there from here'
  if (isConfined) return 'the client does not go by gateways'
  if (families !== 'dual' && !all.some(({ address }) => familyOf(address) === families))
    return 'the client has no address of the family of its gateways'
  return 'a gateway passes on mutual TLS between sidecars only, and that is not spoken to it'
}
