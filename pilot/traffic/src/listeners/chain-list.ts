import { cidrCovers } from '@seine/api'
import type { Provenance } from '@seine/envoy'
import type {
  FilterChainMatchSchema,
  FilterChainSchema,
} from '@seine/envoy/envoy/config/listener/v3/listener_components'
import { hostCovers } from '@seine/model'
import type { Init } from '../init.ts'
import { provenanceField } from '../provenance-metadata.ts'
import { cidrRange } from './cidr-range.ts'
import type { BuiltFilters } from './filters.ts'

type ChainInit = Init<typeof FilterChainSchema>
type MatchInit = Init<typeof FilterChainMatchSchema>

/** A chain of a listener, and what connections it is for. */
export interface MatchedChain {
  readonly name: string
  /** What connections are told apart by, beside the addresses that they go to. */
  readonly match: MatchInit
  /** Those addresses, as ranges; none for any. */
  readonly ranges: readonly string[]
  readonly filters: BuiltFilters['filters']
  readonly causes: readonly Provenance[]
  /** How TLS is ended, where it is. */
  readonly tls?: Pick<ChainInit, 'transportSocket'>
  /** Whose it is: among the chains of one owner, the first that a connection fits has it. */
  readonly owner: string
}

/** Filter chains of which no two match the same, which Envoy refuses: what comes first has it. */
export class ChainList {
  readonly #chains: MatchedChain[] = []
  readonly #taken = new Set<string>()

  add(chain: MatchedChain): void {
    const { ranges } = chain
    if (ranges.length === 0) {
      if (this.#claim('', chain)) this.#chains.push(chain)
      return
    }
    const free = ranges.filter(range => !this.#isHidden(range, chain) && this.#claim(range, chain))
    if (free.length > 0) this.#chains.push({ ...chain, ranges: free })
  }

  /**
   * Envoy looks at the address first, takes the narrowest range that has it, and looks at the chains of that range
   * only. Whatever is for a wider range, or for any address, stands in the narrower one once more, unless somebody
   * has all such connections there. To be called once, when all are added.
   */
  build(): ChainInit[] {
    const ranges = [...new Set(this.#chains.flatMap(chain => chain.ranges))]
    const owners = ranges.map(
      range => [range, this.#chains.filter(one => one.ranges.includes(range))] as const,
    )
    return this.#chains.flatMap((chain, index) => {
      const more = owners.flatMap(([range, there]) =>
        this.#belongsIn(range, there, chain, index) ? [range] : [],
      )
      return [
        toChain(chain),
        ...(more.length > 0 ? [toChain({ ...chain, name: `${chain.name}:within`, ranges: more })] : []),
      ]
    })
  }

  /** Whether what the chain is for in a range has one that its owner has before it, and that is for a wider range. */
  #isHidden(range: string, { owner, match }: MatchedChain): boolean {
    return this.#chains.some(
      before =>
        before.owner === owner &&
        isAlikeButForSources(before.match, match) &&
        (before.ranges.length === 0 || before.ranges.some(wide => cidrCovers(wide, range))),
    )
  }

  #belongsIn(range: string, there: readonly MatchedChain[], chain: MatchedChain, index: number): boolean {
    if (chain.ranges.includes(range)) return false
    if (chain.ranges.length > 0 && !chain.ranges.some(wide => cidrCovers(wide, range))) return false
    const isTaken = there.some(
      other =>
        takesAllOf(other.match, chain.match) &&
        (other.owner !== chain.owner || this.#chains.indexOf(other) < index),
    )
    return !isTaken && this.#claim(range, chain)
  }

  #claim(range: string, { match }: MatchedChain): boolean {
    const key = JSON.stringify([range, match])
    if (this.#taken.has(key)) return false
    this.#taken.add(key)
    return true
  }
}

/** The chain as it stands by itself. */
export function toChain({ name, match, ranges, filters, causes, tls }: MatchedChain): ChainInit {
  const to = ranges.length === 0 ? {} : { prefixRanges: ranges.map(cidrRange) }
  return { name, filterChainMatch: { ...match, ...to }, filters, ...tls, ...provenanceField(causes) }
}

/** Whether every connection that fits `narrow` fits `wide` too. */
function takesAllOf(wide: MatchInit, narrow: MatchInit): boolean {
  const names = wide.serverNames ?? []
  const isNamed = (name: string) => names.some(one => one === name || hostCovers(one, name))
  return (
    (names.length === 0 || (narrow.serverNames ?? []).some(isNamed)) &&
    isSameOrAny(wide.transportProtocol, narrow.transportProtocol) &&
    isSameOrAny(wide.applicationProtocols, narrow.applicationProtocols) &&
    isSameOrAny(wide.sourcePrefixRanges, narrow.sourcePrefixRanges)
  )
}

/** Whether connections are told apart alike, and those from all the sources of the one are among those of the other. */
function isAlikeButForSources(wide: MatchInit, narrow: MatchInit): boolean {
  const rest = ({ sourcePrefixRanges: _, ...match }: MatchInit) => JSON.stringify(match)
  return rest(wide) === rest(narrow) && isSameOrAny(wide.sourcePrefixRanges, narrow.sourcePrefixRanges)
}

function isSameOrAny(wide: unknown, narrow: unknown): boolean {
  return wide === undefined || JSON.stringify(wide) === JSON.stringify(narrow)
}
