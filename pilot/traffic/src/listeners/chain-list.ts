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
    const free = ranges.filter(range => this.#claim(range, chain))
    if (free.length > 0) this.#chains.push({ ...chain, ranges: free })
  }

  /**
   * Envoy looks at the address first, takes the narrowest range that has it, and looks at the chains of that range
   * only. Whatever is for a wider range, or for any address, stands in the narrower one once more, unless somebody
   * has all such connections there. To be called once, when all are added.
   */
  build(): ChainInit[] {
    const ranges = [...new Set(this.#chains.flatMap(chain => chain.ranges))]
    return this.#chains.flatMap((chain, index) => {
      const more = ranges.filter(range => this.#belongsIn(range, chain, index))
      return [
        toChain(chain),
        ...(more.length > 0 ? [toChain({ ...chain, name: `${chain.name}:within`, ranges: more })] : []),
      ]
    })
  }

  #belongsIn(range: string, chain: MatchedChain, index: number): boolean {
    if (chain.ranges.includes(range)) return false
    if (chain.ranges.length > 0 && !chain.ranges.some(wide => cidrCovers(wide, range))) return false
    const isTaken = this.#chains.some(
      (other, at) =>
        other.ranges.includes(range) &&
        takesAllOf(other.match, chain.match) &&
        (other.owner !== chain.owner || at < index),
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

function toChain({ name, match, ranges, filters, causes }: MatchedChain): ChainInit {
  const to = ranges.length === 0 ? {} : { prefixRanges: ranges.map(cidrRange) }
  return { name, filterChainMatch: { ...match, ...to }, filters, ...provenanceField(causes) }
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

function isSameOrAny(wide: unknown, narrow: unknown): boolean {
  return wide === undefined || JSON.stringify(wide) === JSON.stringify(narrow)
}
