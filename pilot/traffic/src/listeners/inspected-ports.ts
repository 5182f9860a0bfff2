import type { ListenerSchema } from '@seine/envoy/envoy/config/listener/v3/listener'
import type { ListenerFilterChainMatchPredicateSchema } from '@seine/envoy/envoy/config/listener/v3/listener_components'
import type { Init } from '../init.ts'
import type { listenerFilters } from './filters.ts'

type ListenerInit = Init<typeof ListenerSchema>
type Inspector = (typeof listenerFilters)['tlsInspector']
type Predicate = Init<typeof ListenerFilterChainMatchPredicateSchema>

/** A listener filter for some destination ports; none where there are no ports. */
export function onlyOn(
  filter: Inspector,
  ports: readonly number[],
): NonNullable<ListenerInit['listenerFilters']> {
  if (ports.length === 0) return []
  return [{ ...filter, filterDisabled: { rule: { case: 'notMatch', value: anyOf(ports) } } }]
}

/** A listener filter for all destination ports but some. */
export function exceptOn(
  filter: Inspector,
  ports: readonly number[],
): NonNullable<ListenerInit['listenerFilters']>[number] {
  return ports.length === 0 ? filter : { ...filter, filterDisabled: anyOf(ports) }
}

function anyOf(ports: readonly number[]): Predicate {
  const [only, ...others] = ports.map(
    (start): Predicate => ({ rule: { case: 'destinationPortRange', value: { start, end: start + 1 } } }),
  )
  if (only && others.length === 0) return only
  return { rule: { case: 'orMatch', value: { rules: only ? [only, ...others] : [] } } }
}
