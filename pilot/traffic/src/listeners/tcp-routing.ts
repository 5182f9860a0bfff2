import type { DestinationRule, TrafficPolicy } from '@seine/api'
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
import { clusterNameOf, type ResolvedDestination, resolveDestination } from '../destination.ts'
import { effectivePolicy } from '../destination-rules.ts'
import { BLACK_HOLE_CLUSTER, outboundClusterName } from '../names.ts'
import { connectionLimits, type TcpDestination } from './filters.ts'

/** What decides where connections to a TCP port of a service go. */
export interface TcpRoutingInputs {
  readonly snapshot: MeshSnapshot
  readonly service: MeshService
  readonly port: ServicePort
  readonly virtualService: RoutedService | undefined
  /** The client's. */
  readonly namespace: string
  readonly sourceLabels: Readonly<Record<string, string>>
  /** What applies to the traffic of a host after routing. */
  ruleFor(hostname: string): DestinationRule | undefined
}

/** Where connections to a TCP port go, as plain data: equal data makes equal listeners. */
export interface TcpRouting {
  readonly statPrefix: string
  readonly clusters: readonly { readonly name: string; readonly weight: number }[]
  readonly idleTimeout: string | undefined
  readonly maxConnectionDuration: string | undefined
  readonly hashesSource: boolean
  /** The proxy that connections go through. */
  readonly tunnel: TrafficPolicy['tunnel']
  readonly provenance: readonly Provenance[]
}

/** The first TCP route that holds for this client and port; without one, the service itself. */
export function tcpRouting(inputs: TcpRoutingInputs): TcpRouting {
  const { service, port, virtualService, ruleFor } = inputs
  const policy = effectivePolicy(ruleFor(service.hostname), undefined, port.number)
  const own = outboundClusterName(port.number, '', service.hostname)
  const routes = virtualService?.spec.tcp ?? []
  const index = routes.findIndex(route => applies(route, inputs))
  const found = virtualService && routes[index] ? { virtualService, route: routes[index], index } : undefined
  const targets = found
    ? targetsOf(found.route, found.virtualService, inputs)
    : [{ to: resolveOwn(service.hostname, inputs), weight: 1 }]
  // What has no destination is closed.
  const broken = found?.route.brokenWeight ?? 0
  return {
    statPrefix: own,
    clusters: [
      ...targets.map(({ to, weight }) => ({ name: clusterNameOf(to), weight })),
      ...(broken > 0 ? [{ name: BLACK_HOLE_CLUSTER, weight: broken }] : []),
    ],
    tunnel: commonTunnel(
      targets.map(({ to }) => to),
      inputs,
    ),
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
    ...(routing.tunnel
      ? {
          tunnelingConfig: {
            hostname: authorityOf(routing.tunnel.targetHost, routing.tunnel.targetPort),
            usePost: routing.tunnel.protocol === 'POST',
          },
        }
      : {}),
    ...(routing.hashesSource ? { hashPolicy: [{ policySpecifier: { case: 'sourceIp', value: {} } }] } : {}),
  }
}

interface Weighted {
  readonly to: ResolvedDestination
  readonly weight: number
}

function targetsOf(
  { route: targets, brokenWeight = 0 }: RoutedTcp,
  owner: RoutedService,
  { snapshot, port }: TcpRoutingInputs,
): Weighted[] {
  const [first] = targets
  const isAlone = targets.length === 1 && brokenWeight === 0
  const weighed = isAlone && first ? [{ ...first, weight: 1 }] : targets.filter(({ weight }) => weight)
  return weighed.map(({ destination, weight }) => {
    const host = resolveHost(destination.host, owner.metadata.namespace)
    const to = resolveDestination(snapshot.services, { ...destination, host }, port.number)
    return { to, weight: weight ?? 1 }
  })
}

function resolveOwn(host: string, { snapshot, port }: TcpRoutingInputs): ResolvedDestination {
  return resolveDestination(snapshot.services, { host, port: { number: port.number } }, port.number)
}

/** The tunnel that all destinations ask for. One TCP proxy has one: where they differ, it has none. */
function commonTunnel(
  targets: readonly ResolvedDestination[],
  { ruleFor }: TcpRoutingInputs,
): TcpRouting['tunnel'] {
  const [tunnel, ...others] = targets.map(({ host, port, subset }) => {
    const rule = ruleFor(host)
    const chosen = rule?.spec.subsets?.find(({ name }) => name === subset)
    return effectivePolicy(rule, chosen, port).tunnel
  })
  return others.every(other => JSON.stringify(other) === JSON.stringify(tunnel)) ? tunnel : undefined
}

function authorityOf(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
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
