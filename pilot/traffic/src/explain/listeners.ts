import type { CidrRange } from '@seine/envoy/envoy/config/core/v3/address'
import type { Listener } from '@seine/envoy/envoy/config/listener/v3/listener'
import type { FilterChain, FilterChainMatch } from '@seine/envoy/envoy/config/listener/v3/listener_components'
import { inRange } from './addresses.ts'

/** What the listener filters find out about a connection before any filter chain is chosen. */
export interface ConnectionFacts {
  readonly destinationAddress: string
  readonly destinationPort: number
  readonly transport: 'raw_buffer' | 'tls'
  readonly serverName: string
  readonly applicationProtocols: readonly string[]
  readonly sourceAddress: string
}

/** The listener that takes a captured connection: one for the address and port, one for the port, or the one that captures. */
export function findListener(
  listeners: ReadonlyMap<string, Listener>,
  capturing: string,
  address: string,
  port: number,
): Listener | undefined {
  const bound = [...listeners.values()].filter(
    listener => listener.name !== capturing && portOf(listener) === port,
  )
  return (
    bound.find(listener => addressesOf(listener).includes(address)) ??
    bound.find(listener => addressesOf(listener).includes(address.includes(':') ? '::' : '0.0.0.0')) ??
    listeners.get(capturing)
  )
}

function addressesOf({ address, additionalAddresses }: Listener): string[] {
  return [address, ...additionalAddresses.map(one => one.address)].flatMap(one =>
    one?.address.case === 'socketAddress' ? [one.address.value.address] : [],
  )
}

function portOf(listener: Listener): number | undefined {
  const address = listener.address?.address
  if (address?.case !== 'socketAddress') return undefined
  return address.value.portSpecifier.case === 'portValue' ? address.value.portSpecifier.value : undefined
}

/** A chain that was not chosen, and why not. */
export interface PassedChain {
  readonly name: string
  readonly why: string
}

/**
 * The filter chain for a connection. Envoy goes through the criteria one after the other and at each keeps
 * only the chains that match most exactly; what is left at the end is the one.
 */
export function findFilterChain(
  listener: Listener,
  facts: ConnectionFacts,
): { chain: FilterChain | undefined; passed: readonly PassedChain[] } {
  const passed: PassedChain[] = []
  let left = [...listener.filterChains]
  for (const { name, score, seen } of CRITERIA) {
    const scored = left.map(chain => ({ chain, at: score(chain.filterChainMatch, facts) }))
    for (const { chain, at } of scored)
      if (at < 0) passed.push({ name: chain.name, why: `${name} is ${seen(facts)}` })
    const best = Math.max(-1, ...scored.map(({ at }) => at))
    left = scored.filter(({ at }) => at >= 0 && at === best).map(({ chain }) => chain)
  }
  return { chain: left[0] ?? listener.defaultFilterChain, passed }
}

interface Criterion {
  readonly name: string
  /** Below 0: does not match; 0: says nothing of it; above: how exactly it matches. */
  readonly score: (match: FilterChainMatch | undefined, facts: ConnectionFacts) => number
  readonly seen: (facts: ConnectionFacts) => string
}

const CRITERIA: readonly Criterion[] = [
  {
    name: 'the destination port',
    score: (match, { destinationPort }) => {
      const wanted = match?.destinationPort
      return wanted === undefined ? 0 : wanted === destinationPort ? 1 : -1
    },
    seen: ({ destinationPort }) => String(destinationPort),
  },
  {
    name: 'the destination address',
    score: (match, { destinationAddress }) => rangesScore(match?.prefixRanges ?? [], destinationAddress),
    seen: ({ destinationAddress }) => destinationAddress,
  },
  {
    name: 'the server name',
    score: (match, { serverName }) => serverNamesScore(match?.serverNames ?? [], serverName),
    seen: ({ serverName }) => serverName || 'not given',
  },
  {
    name: 'the transport',
    score: (match, { transport }) =>
      match === undefined || match.transportProtocol === ''
        ? 0
        : match.transportProtocol === transport
          ? 1
          : -1,
    seen: ({ transport }) => (transport === 'tls' ? 'TLS' : 'plaintext'),
  },
  {
    name: 'the protocol',
    score: (match, { applicationProtocols }) => {
      const wanted = match?.applicationProtocols ?? []
      if (wanted.length === 0) return 0
      return wanted.some(protocol => applicationProtocols.includes(protocol)) ? 1 : -1
    },
    seen: ({ applicationProtocols }) => applicationProtocols.join(', ') || 'not known',
  },
  {
    name: 'the source address',
    score: (match, { sourceAddress }) => rangesScore(match?.sourcePrefixRanges ?? [], sourceAddress),
    seen: ({ sourceAddress }) => sourceAddress || 'not known',
  },
]

function rangesScore(ranges: readonly CidrRange[], address: string): number {
  if (ranges.length === 0) return 0
  const lengths = ranges
    .filter(range => inRange(address, range.addressPrefix, range.prefixLen ?? 0))
    .map(range => 1 + (range.prefixLen ?? 0))
  return Math.max(-1, ...lengths)
}

function serverNamesScore(names: readonly string[], serverName: string): number {
  if (names.length === 0) return 0
  const wanted = serverName.toLowerCase()
  const scores = names.map(name => {
    const lower = name.toLowerCase()
    if (lower === wanted) return 1_000
    return lower.startsWith('*.') && wanted.endsWith(lower.slice(1)) ? lower.length : -1
  })
  return Math.max(-1, ...scores)
}
