import type { DestinationRule, TrafficPolicy } from '@seine/api'
import type { Provenance } from '@seine/envoy'
import {
  gatewayName,
  MESH_GATEWAY,
  type MeshService,
  type MeshSnapshot,
  type RoutedService,
  type RoutedTcp,
  resolveHost,
  type ServicePort,
  selects,
} from '@seine/model'
import { clusterNameOf, type ResolvedDestination, resolveDestination } from '../destination.ts'
import { type EffectivePolicy, effectivePolicy } from '../destination-rules.ts'
import { type LookUp, lookUpOf } from '../dynamic-dns.ts'
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
  /** What is looked up for each connection, where something is. */
  readonly lookUp: LookUp | undefined
  readonly provenance: readonly Provenance[]
}

/** Where connections go that can be told apart from the others by how they come. */
export interface MatchedRouting {
  /** Names that they ask for over TLS; none for any connection. */
  readonly serverNames: readonly string[]
  /** Addresses that they go to; none for those of the service. */
  readonly ranges: readonly string[]
  /** Addresses that they come from; none for any. */
  readonly sources: readonly string[]
  readonly routing: TcpRouting
}

/** Where connections to a port go: the routes that ask for more than the port, and what holds for the rest. */
export interface TcpRoutings {
  readonly matched: readonly MatchedRouting[]
  readonly rest: TcpRouting
}

/**
 * The routes of connections that hold for this client and port. The first route without further conditions decides
 * for the rest; without one, it goes to the service itself. Routes by server name (`tls`) come before the others.
 */
export function tcpRoutings(inputs: TcpRoutingInputs): TcpRoutings {
  const { virtualService } = inputs
  const { spec } = virtualService ?? {}
  const matched: MatchedRouting[] = []
  for (const [index, route] of (spec?.tls ?? []).entries())
    for (const match of route.match)
      if (virtualService && holds(match, inputs, virtualService))
        matched.push({
          serverNames: match.sniHosts,
          ranges: match.destinationSubnets ?? [],
          sources: [],
          routing: routingBy(inputs, { route, path: `spec.tls[${index}]` }),
        })
  for (const [index, route] of (spec?.tcp ?? []).entries()) {
    const found = { route, path: `spec.tcp[${index}]` }
    if (!route.match?.length) return { matched, rest: routingBy(inputs, found) }
    for (const match of route.match) {
      if (!virtualService || !holds(match, inputs, virtualService)) continue
      const ranges = match.destinationSubnets ?? []
      if (ranges.length === 0 && match.sourceSubnet === undefined)
        return { matched, rest: routingBy(inputs, found) }
      const sources = match.sourceSubnet === undefined ? [] : [match.sourceSubnet]
      matched.push({ serverNames: [], ranges, sources, routing: routingBy(inputs, found) })
    }
  }
  return { matched, rest: routingBy(inputs, undefined) }
}

interface FoundRoute {
  readonly route: Pick<RoutedTcp, 'route' | 'brokenWeight' | 'cause'>
  readonly path: string
}

function routingBy(inputs: TcpRoutingInputs, found: FoundRoute | undefined): TcpRouting {
  const { service, port, virtualService, ruleFor } = inputs
  const policy = effectivePolicy(ruleFor(service.hostname), undefined, port.number, inputs.snapshot.config)
  const own = outboundClusterName(port.number, '', service.hostname)
  const targets =
    found && virtualService
      ? targetsOf(found.route, virtualService, inputs)
      : [{ to: resolveOwn(service.hostname, inputs), named: service.hostname, weight: 1 }]
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
    lookUp: firstLookUp(targets, inputs),
    // Of what a policy says, this holds for a connection; the rest is the cluster's.
    idleTimeout: policy.connectionPool?.tcp?.idleTimeout,
    maxConnectionDuration: policy.connectionPool?.tcp?.maxConnectionDuration,
    // Of what a request can be told apart by, a connection has the address it comes from.
    hashesSource: policy.loadBalancer?.consistentHash?.useSourceIp ?? false,
    provenance: [
      { ...service.ref, path: `spec.ports[${port.index}]` },
      ...(found && virtualService ? [found.route.cause ?? causeOf(virtualService, found.path)] : []),
    ],
  }
}

/** The same as the fields of Envoy's TCP proxy. */
export function tcpDestination(routing: TcpRouting): TcpDestination {
  const [only, ...others] = routing.clusters
  return {
    statPrefix: routing.statPrefix,
    clusterSpecifier:
      only && others.length === 0
        ? { case: 'cluster', value: only.name }
        : { case: 'weightedClusters', value: { clusters: [...routing.clusters] } },
    ...connectionFields(routing),
  }
}

/** What holds for connections wherever they go. */
type ConnectionPolicy = Pick<
  TcpRouting,
  'idleTimeout' | 'maxConnectionDuration' | 'hashesSource' | 'tunnel' | 'lookUp'
>

function connectionFields(policy: ConnectionPolicy): Partial<TcpDestination> {
  const { idleTimeout, maxConnectionDuration, tunnel, hashesSource, lookUp } = policy
  return {
    ...(lookUp ? { lookUp } : {}),
    ...connectionLimits({ tcp: { idleTimeout, maxConnectionDuration } }),
    ...(tunnel
      ? {
          tunnelingConfig: {
            hostname: authorityOf(tunnel.targetHost, tunnel.targetPort),
            usePost: tunnel.protocol === 'POST',
          },
        }
      : {}),
    ...(hashesSource ? { hashPolicy: [{ policySpecifier: { case: 'sourceIp', value: {} } }] } : {}),
  }
}

/**
 * What rules say of connections that a gateway takes for some destinations. Timeouts, and whether the caller's address
 * chooses the endpoint, are those of the first, as in Istio: what was called has no rule of its own there.
 */
export function gatewayConnectionFields(
  named: readonly Named[],
  inputs: Pick<TcpRoutingInputs, 'ruleFor' | 'snapshot'>,
): Partial<TcpDestination> {
  const targets = named.map(({ to }) => to)
  const [first] = targets
  const { connectionPool, loadBalancer }: Partial<EffectivePolicy> = first ? policyOf(first, inputs) : {}
  return connectionFields({
    idleTimeout: connectionPool?.tcp?.idleTimeout,
    maxConnectionDuration: connectionPool?.tcp?.maxConnectionDuration,
    hashesSource: loadBalancer?.consistentHash?.useSourceIp ?? false,
    tunnel: commonTunnel(targets, inputs),
    lookUp: firstLookUp(named, inputs),
  })
}

/** Where a destination leads, with the full name that it says. */
export interface Named {
  readonly to: ResolvedDestination
  readonly named: string
}

interface Weighted extends Named {
  readonly weight: number
}

function targetsOf(
  { route: targets, brokenWeight = 0 }: FoundRoute['route'],
  owner: RoutedService,
  { snapshot, port }: TcpRoutingInputs,
): Weighted[] {
  const [first] = targets
  const isAlone = targets.length === 1 && brokenWeight === 0
  const weighed = isAlone && first ? [{ ...first, weight: 1 }] : targets.filter(({ weight }) => weight)
  return weighed.map(({ destination, weight }) => {
    const host = resolveHost(destination.host, owner.metadata.namespace)
    const to = resolveDestination(snapshot.services, { ...destination, host }, port.number)
    return { to, named: host, weight: weight ?? 1 }
  })
}

function resolveOwn(host: string, { snapshot, port }: TcpRoutingInputs): ResolvedDestination {
  return resolveDestination(snapshot.services, { host, port: { number: port.number } }, port.number)
}

/** One connection is for one name: where several destinations are looked up, the first says which. */
function firstLookUp(
  targets: readonly Named[],
  { snapshot }: Pick<TcpRoutingInputs, 'snapshot'>,
): LookUp | undefined {
  return targets
    .map(({ to, named }) => lookUpOf(snapshot.services, to, named))
    .find(found => found !== undefined)
}

/** The tunnel that all destinations ask for. One TCP proxy has one: where they differ, it has none. */
function commonTunnel(
  targets: readonly ResolvedDestination[],
  inputs: Pick<TcpRoutingInputs, 'ruleFor' | 'snapshot'>,
): TcpRouting['tunnel'] {
  const [tunnel, ...others] = targets.map(target => policyOf(target, inputs).tunnel)
  return others.every(other => JSON.stringify(other) === JSON.stringify(tunnel)) ? tunnel : undefined
}

function policyOf(
  { host, port, subset }: ResolvedDestination,
  { ruleFor, snapshot }: Pick<TcpRoutingInputs, 'ruleFor' | 'snapshot'>,
): EffectivePolicy {
  const rule = ruleFor(host)
  const chosen = rule?.spec.subsets?.find(({ name }) => name === subset)
  return effectivePolicy(rule, chosen, port, snapshot.config)
}

function authorityOf(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

type L4Match = Pick<
  NonNullable<RoutedTcp['match']>[number],
  'port' | 'gateways' | 'sourceNamespace' | 'sourceLabels'
>

function holds(
  { port: wanted, gateways, sourceNamespace, sourceLabels: labels }: L4Match,
  { port, namespace, sourceLabels }: TcpRoutingInputs,
  { metadata }: RoutedService,
): boolean {
  return (
    (wanted === undefined || wanted === port.number) &&
    (!gateways?.length || gateways.some(name => gatewayName(name, metadata.namespace) === MESH_GATEWAY)) &&
    (sourceNamespace === undefined || sourceNamespace === namespace) &&
    selects(labels, sourceLabels)
  )
}

function causeOf({ kind, metadata }: RoutedService, path: string): Provenance {
  return { kind, namespace: metadata.namespace, name: metadata.name, path }
}
