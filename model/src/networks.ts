import { canonicalCidr, cidrCovers, formatPath, type MeshNetworks } from '@seine/api'
import type { ResourceRef } from '@seine/kit'
import type { Cause } from './gateway-api/derived.ts'

/**
 * The label by which a pod or an entry says which network it is in, a Service that it is the gateway of one, and the root
 * namespace where all others are.
 */
export const NETWORK_LABEL = 'topology.istio.io/network'
/** The label by which such a Service says at which of its ports it takes connections from other networks. */
export const GATEWAY_PORT_LABEL = 'networking.istio.io/gatewayPort'
/** The port where the label does not say one, Istio's. */
export const DEFAULT_GATEWAY_PORT = 15443

/** The network that something is in, and what says so. */
export interface Membership {
  readonly network: string
  readonly cause: Cause
}

/** Where connections into a network from others go. */
export interface NetworkGateway {
  readonly network: string
  /** An IP address. */
  readonly address: string
  readonly port: number
  /** Where endpoints behind it are that do not say it themselves; empty where that is not said. */
  readonly locality: string
  readonly cause: Cause
}

/** The networks of the mesh, as far as they matter to traffic. */
export interface Networks {
  /** By network, those with at least one, in the order of their addresses. */
  readonly gateways: ReadonlyMap<string, readonly NetworkGateway[]>
  readonly assignment: NetworkAssignment
}

/** What holds the mesh's networks, or the namespace that has the label; undefined where nothing does. */
type WrittenIn = ResourceRef | undefined

/**
 * Which network something is in that does not say it itself: that of the narrowest range that has its address, else the
 * one of the whole registry, else the one that the root namespace's label names. Immutable.
 */
export class NetworkAssignment {
  /** The same text for assignments that are equal. */
  readonly key: string
  /** The narrowest first. */
  readonly #ranges: readonly { readonly range: string; readonly member: Membership }[]
  readonly #rest: Membership | undefined

  constructor(networks: MeshNetworks, settings: WrittenIn, label: string | undefined, namespace: WrittenIn) {
    const listed = Object.entries(networks.networks).flatMap(([network, { endpoints = [] }]) =>
      endpoints.map((endpoint, index) => ({ network, endpoint, index })),
    )
    const memberOf = (network: string, index: number, field: string): Membership => ({
      network,
      cause: {
        ...(settings ?? NOWHERE),
        path: formatPath(['data', 'meshNetworks', 'networks', network, 'endpoints', index, field]),
      },
    })
    this.#ranges = listed
      .flatMap(({ network, endpoint: { fromCidr }, index }) => {
        const range = fromCidr === undefined ? undefined : canonicalCidr(fromCidr)
        return range === undefined ? [] : [{ range, member: memberOf(network, index, 'fromCidr') }]
      })
      .sort((a, b) => lengthOf(b.range) - lengthOf(a.range))
    const whole = listed.find(({ endpoint }) => endpoint.fromRegistry !== undefined)
    this.#rest = whole
      ? memberOf(whole.network, whole.index, 'fromRegistry')
      : label
        ? { network: label, cause: { ...(namespace ?? NOWHERE), path: LABEL_PATH } }
        : undefined
    this.key = JSON.stringify([this.#ranges, this.#rest])
  }

  /** The networks that something may be put into. */
  get networks(): readonly string[] {
    return [...this.#ranges.map(({ member }) => member), ...(this.#rest ? [this.#rest] : [])].map(
      ({ network }) => network,
    )
  }

  /**
   * The network of something.
   *
   * @param own what it says itself
   * @param address one of its addresses, in canonical form; undefined for one that has none that is known
   * @param isOutside it is no workload of the mesh, and so in no network unless that is said of it
   */
  of(own: Membership | undefined, address: string | undefined, isOutside = false): Membership | undefined {
    if (own) return own
    const isIp = address !== undefined && (/^[\d.]+$/.test(address) || address.includes(':'))
    const found = isIp ? this.#ranges.find(({ range }) => cidrCovers(range, address)) : undefined
    return found?.member ?? (isOutside ? undefined : this.#rest)
  }
}

const NOWHERE: ResourceRef = { kind: 'ConfigMap', namespace: '', name: '' }

/** Where the label stands in an object. */
export const LABEL_PATH = `metadata.labels["${NETWORK_LABEL}"]`

function lengthOf(range: string): number {
  return Number(range.slice(range.indexOf('/') + 1))
}

/** What labels say of the network of the object that has them. */
export function labelledNetwork(
  labels: Readonly<Record<string, string>>,
  ref: ResourceRef,
  path = LABEL_PATH,
): Membership | undefined {
  const network = labels[NETWORK_LABEL]
  return network ? { network, cause: { ...ref, path } } : undefined
}
