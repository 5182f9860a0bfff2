import { canonicalCidr } from '@seine/api'
import type { CidrRange } from '@seine/envoy/envoy/config/core/v3/address'
import type { FilterChain, FilterChainMatch } from '@seine/envoy/envoy/config/listener/v3/listener_components'

/** What a chain matches by, each with its values; none is the value "whatever". */
type Dimensions = readonly ReadonlySet<string>[]

/**
 * Which filter chains Envoy could not choose between, as some connection would be of both; or which one says a value
 * twice. Envoy compares values, not what they cover: 10.0.0.0/8 and 10.1.0.0/16 are two.
 */
export function chainConflict(chains: readonly FilterChain[]): string | undefined {
  const known = new Map<string, { readonly name: string; readonly dimensions: Dimensions }[]>()
  for (const { name, filterChainMatch } of chains) {
    const lists = filterChainMatch ? valuesOf(filterChainMatch) : []
    const dimensions = lists.map(values => new Set(values.length > 0 ? values : ['']))
    if (lists.some((values, index) => values.length > 0 && values.length !== dimensions[index]?.size))
      return `filter chain ${name || 'without a name'} has a value twice among what it matches`
    const key = `${filterChainMatch?.destinationPort ?? ''} ${filterChainMatch?.transportProtocol ?? ''}`
    const others = known.get(key) ?? []
    const other = others.find(one => overlap(one.dimensions, dimensions))
    if (other)
      return `the filter chains ${other.name || 'without a name'} and ${name || 'without a name'} match the same connections`
    known.set(key, [...others, { name, dimensions }])
  }
  return undefined
}

const NOTHING: ReadonlySet<string> = new Set([''])

function overlap(some: Dimensions, others: Dimensions): boolean {
  const count = Math.max(some.length, others.length)
  for (let index = 0; index < count; index++) {
    const own = some[index] ?? NOTHING
    if (![...(others[index] ?? NOTHING)].some(value => own.has(value))) return false
  }
  return true
}

function valuesOf(match: FilterChainMatch): string[][] {
  return [
    match.prefixRanges.map(rangeText),
    match.serverNames.map(name => name.toLowerCase()),
    match.applicationProtocols,
    match.directSourcePrefixRanges.map(rangeText),
    [match.sourceType === 0 ? '' : String(match.sourceType)],
    match.sourcePrefixRanges.map(rangeText),
    match.sourcePorts.map(String),
  ]
}

/** A range with the bits that it does not say cleared. */
function rangeText({ addressPrefix, prefixLen = 0 }: CidrRange): string {
  const text = `${addressPrefix}/${prefixLen}`
  return canonicalCidr(text) ?? text
}
