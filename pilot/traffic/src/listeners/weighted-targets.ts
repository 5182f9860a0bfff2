import type { Destination, L4RouteDestination } from '@seine/api'
import { BLACK_HOLE_CLUSTER } from '../names.ts'
import type { TcpDestination } from './filters.ts'

/** A TCP proxy's clusters, which share connections by weight. */
export type WeightedTargets = Pick<TcpDestination, 'statPrefix' | 'clusterSpecifier'>

/**
 * The clusters of a route's destinations. A lone one gets everything, whatever its weight.
 *
 * @param brokenWeight the share of connections that has nowhere to go and is closed
 */
export function weightedTargets(
  routed: readonly L4RouteDestination[],
  clusterOf: (destination: Destination) => string,
  brokenWeight = 0,
): WeightedTargets {
  const isAlone = routed.length === 1 && brokenWeight === 0
  const weighed = isAlone ? routed.map(one => ({ ...one, weight: 1 })) : routed.filter(one => one.weight)
  const clusters = [
    ...weighed.map(({ destination, weight }) => ({ name: clusterOf(destination), weight: weight ?? 1 })),
    ...(brokenWeight > 0 ? [{ name: BLACK_HOLE_CLUSTER, weight: brokenWeight }] : []),
  ]
  const [only, ...others] = clusters
  return {
    statPrefix: only?.name ?? '',
    clusterSpecifier:
      only && others.length === 0
        ? { case: 'cluster', value: only.name }
        : { case: 'weightedClusters', value: { clusters } },
  }
}
