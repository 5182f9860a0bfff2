import { celFormatted, onNewConnection, stateObject } from '../filter-state.ts'
import { BLACK_HOLE_CLUSTER, CLUSTER_STATE, PASSED_ON_PREFIX } from '../names.ts'
import type { FilterChainContext, TrafficPlugin } from '../plugin.ts'
import { type BuiltFilters, type TcpDestination, tcpChain } from './filters.ts'

/** No other name than one that sidecars offer each other leads anywhere: there are other clusters at a gateway. */
const SERVER_NAME = 'connection.requested_server_name'
const CLUSTER = `%CEL(${SERVER_NAME}.startsWith('${PASSED_ON_PREFIX}') ? ${SERVER_NAME} : '${BLACK_HOLE_CLUSTER}')%`

/** The network filters of a chain that sends each connection to the cluster that is called as what its TLS asks for. */
export function byServerNameChain(
  context: FilterChainContext,
  plugins: readonly TrafficPlugin[],
  limits: Partial<TcpDestination>,
): BuiltFilters {
  const built = tcpChain({ ...context, serviceOfCluster: true }, plugins, {
    statPrefix: 'passed_on',
    // The state of the connection names another one.
    clusterSpecifier: { case: 'cluster', value: BLACK_HOLE_CLUSTER },
    ...limits,
  })
  const cluster = onNewConnection(stateObject(CLUSTER_STATE, celFormatted(CLUSTER)))
  return { ...built, filters: [cluster, ...built.filters] }
}
