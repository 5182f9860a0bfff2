import { any } from '@seine/envoy'
import { ConfigSchema as SetFilterStateSchema } from '@seine/envoy/envoy/extensions/filters/network/set_filter_state/v3/set_filter_state'
import { CelSchema } from '@seine/envoy/envoy/extensions/formatter/cel/v3/cel'
import { BLACK_HOLE_CLUSTER, PASSED_ON_PREFIX } from '../names.ts'
import type { FilterChainContext, TrafficPlugin } from '../plugin.ts'
import { type BuiltFilters, type TcpDestination, tcpChain } from './filters.ts'

/** The connection's own cluster, by the name under which Envoy's TCP proxy looks for it. */
export const CLUSTER_STATE = 'envoy.tcp_proxy.cluster'

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
  const config = any(SetFilterStateSchema, {
    onNewConnection: [
      {
        key: { case: 'objectKey', value: CLUSTER_STATE },
        value: {
          case: 'formatString',
          value: {
            format: {
              case: 'textFormatSource',
              value: { specifier: { case: 'inlineString', value: CLUSTER } },
            },
            formatters: [
              { name: 'cel', typedConfig: any(CelSchema, { celConfig: { enableStringFunctions: true } }) },
            ],
          },
        },
      },
    ],
  })
  const cluster = {
    name: 'envoy.filters.network.set_filter_state',
    configType: { case: 'typedConfig' as const, value: config },
  }
  return { ...built, filters: [cluster, ...built.filters] }
}
