import type { Provenance } from '@seine/envoy'
import {
  type MeshService,
  type MeshSnapshot,
  type RoutedService,
  type RoutedTcp,
  resolveHost,
  type ServicePort,
  selects,
} from '@seine/model'
import { clusterNameOf, resolveDestination } from '../destination.ts'
import type { EffectivePolicy } from '../destination-rules.ts'
import { BLACK_HOLE_CLUSTER, outboundClusterName } from '../names.ts'
import { connectionLimits, type TcpDestination } from './filters.ts'

/** What decides where connections to a TCP port of a service go. */
export interface TcpRoutingInputs {
  readonly snapshot: MeshSnapshot
  readonly service: MeshService
  readonly port: ServicePort
  /** What a DestinationRule asks for on this port. */
  readonly policy: EffectivePolicy
  readonly virtualService: RoutedService | undefined
  /** The client's. */
  readonly namespace: string
  readonly sourceLabels: Readonly<Record<string, string>>
}

/** Where connections to a TCP port go, as plain data: equal data makes equal listeners. */
export interface TcpRouting {
  readonly statPrefix: string
  readonly clusters: readonly { readonly name: string; readonly weight: number }[]
  readonly idleTimeout: string | undefined
  readonly maxConnectionDuration: string | undefined
  readonly hashesSource: boolean
  readonly provenance: readonly Provenance[]
}

/** The first TCP route that holds for this client and port; without one, the service itself. */
export function tcpRouting(inputs: TcpRoutingInputs): TcpRouting {
  const { service, port, policy, virtualService } = inputs
  const own = outboundClusterName(port.number, '', service.hostname)
  const routes = virtualService?.spec.tcp ?? []
  const index = routes.findIndex(route => applies(route, inputs))
  const found = virtualService && routes[index] ? { virtualService, route: routes[index], index } : undefined
  return {
    statPrefix: own,
    clusters: found
      ? clustersOf(found.route, found.virtualService, inputs)
      : [{ name: clusterOf(service.hostname, inputs), weight: 1 }],
    // Of what a policy says, this holds for a connection; the rest is the cluster's.
    idleTimeout: policy.connectionPool?.tcp?.idleTimeout,
    maxConnectionDuration: policy.connectionPool?.tcp?.maxConnectionDuration,
    // Of what a request can be told apart by, a connection has the address it comes from.
    hashesSource: policy.loadBalancer?.consistentHash?.useSourceIp ?? false,
    provenance: [
      { ...service.ref, path: `spec.ports[${service.ports.indexOf(port)}]` },
      ...(found ? [found.route.cause ?? causeOf(found.virtualService, found.index)] : []),
    ],
  }
}

/** The same as the fields of Envoy's TCP proxy. */
export function tcpDestination(routing: TcpRouting): TcpDestination {
  const [only, ...others] = routing.clusters
  const { idleTimeout, maxConnectionDuration } = routing
  return {
    statPrefix: routing.statPrefix,
    clusterSpecifier:
      only && others.length === 0
        ? { case: 'cluster', value: only.name }
        : { case: 'weightedClusters', value: { clusters: [...routing.clusters] } },
    ...connectionLimits({ tcp: { idleTimeout, maxConnectionDuration } }),
    ...(routing.hashesSource ? { hashPolicy: [{ policySpecifier: { case: 'sourceIp', value: {} } }] } : {}),
  }
}

function clustersOf(
  { route: targets, brokenWeight = 0 }: RoutedTcp,
  owner: RoutedService,
  { snapshot, port }: TcpRoutingInputs,
): TcpRouting['clusters'] {
  const [first] = targets
  const isAlone = targets.length === 1 && brokenWeight === 0
  const weighed = isAlone && first ? [{ ...first, weight: 1 }] : targets.filter(({ weight }) => weight)
  // What has no destination is closed.
  const broken = brokenWeight > 0 ? [{ name: BLACK_HOLE_CLUSTER, weight: brokenWeight }] : []
  const clusters = weighed.map(({ destination, weight }) => {
    const host = resolveHost(destination.host, owner.metadata.namespace)
    const resolved = resolveDestination(snapshot.services, { ...destination, host }, port.number)
    return { name: clusterNameOf(resolved), weight: weight ?? 1 }
  })
  return [...clusters, ...broken]
}

function clusterOf(host: string, { snapshot, port }: TcpRoutingInputs): string {
  const destination = { host, port: { number: port.number } }
  return clusterNameOf(resolveDestination(snapshot.services, destination, port.number))
}

function applies({ match }: RoutedTcp, { port, namespace, sourceLabels }: TcpRoutingInputs): boolean {
  if (!match?.length) return true
  return match.some(
    one =>
      (one.port === undefined || one.port === port.number) &&
      (!one.gateways?.length || one.gateways.includes('mesh')) &&
      (one.sourceNamespace === undefined || one.sourceNamespace === namespace) &&
      selects(one.sourceLabels, sourceLabels),
  )
}

function causeOf({ kind, metadata }: RoutedService, index: number): Provenance {
  return { kind, namespace: metadata.namespace, name: metadata.name, path: `spec.tcp[${index}]` }
}
