import { canonicalCidr, canonicalIp } from '@seine/api'
import type { Provenance } from '@seine/envoy'
import type {
  FilterChainMatchSchema,
  FilterChainSchema,
} from '@seine/envoy/envoy/config/listener/v3/listener_components'
import type { Init } from '../init.ts'
import { ChainList, type MatchedChain, toChain } from '../listeners/chain-list.ts'
import type { BuiltFilters } from '../listeners/filters.ts'
import type { BoundServer } from './servers.ts'

type ChainInit = Init<typeof FilterChainSchema>
type MatchInit = Init<typeof FilterChainMatchSchema>

/** A chain of a gateway's listener. */
export interface GatewayChain {
  /** What connections are told apart by, beside the addresses that they go to. */
  readonly match: MatchInit
  /** Those addresses, as ranges or single ones; none for any. */
  readonly ranges?: readonly string[]
  readonly built: BuiltFilters
  readonly causes?: readonly Provenance[]
  readonly tls?: Pick<ChainInit, 'transportSocket'>
  /** Its name where it has one of its own. */
  readonly name?: string
}

/**
 * The chains of a gateway's listener, of which no two match the same, which Envoy refuses: the older Gateway's has it.
 * Within a server, the first that a connection fits has it.
 */
export class GatewayChains {
  readonly provenance: Provenance[] = []
  readonly #chains: MatchedChain[] = []
  readonly #taken = new Set<string>()

  get isEmpty(): boolean {
    return this.#chains.length === 0
  }

  add(
    { server, cause, gatewayName }: BoundServer,
    { match, ranges: written = [], built, causes = [], tls = {}, name }: GatewayChain,
  ): void {
    const ranges = written.map(range => canonicalCidr(range) ?? canonicalIp(range) ?? range)
    const names = match.serverNames ?? []
    const { sourcePrefixRanges = [], applicationProtocols = [] } = match
    const rest = JSON.stringify([sourcePrefixRanges, applicationProtocols, ranges])
    const keyOf = (serverName: string) => `${serverName} ${match.transportProtocol ?? ''} ${rest}`
    const free = (names.length === 0 ? [''] : names).filter(one => !this.#taken.has(keyOf(one)))
    if (free.length === 0) return
    for (const one of free) this.#taken.add(keyOf(one))
    const all = [cause, ...causes, ...built.provenance]
    this.#chains.push({
      name: name ?? `${server.name || server.port.name}-${this.#chains.length}`,
      match: names.length === 0 ? match : { ...match, serverNames: free },
      ranges,
      filters: built.filters,
      tls,
      causes: all,
      owner: `${gatewayName} ${server.port.name}`,
    })
    this.provenance.push(...all)
  }

  /** Envoy's. Where some are for ranges of addresses, they hide none that are for wider ones. */
  build(): ChainInit[] {
    if (this.#chains.every(({ ranges }) => ranges.length === 0)) return this.#chains.map(toChain)
    const list = new ChainList()
    for (const chain of this.#chains) for (const one of byName(chain)) list.add(one)
    return list.build()
  }
}

/** A chain for each of its server names: some may be taken in a range where others are not. */
function byName(chain: MatchedChain): MatchedChain[] {
  const names = chain.match.serverNames ?? []
  if (names.length < 2) return [chain]
  return names.map(serverName => ({
    ...chain,
    name: `${chain.name}:${serverName}`,
    match: { ...chain.match, serverNames: [serverName] },
  }))
}
