import type { Destination, TcpRoute, TlsRoute } from '@seine/api'
import { duration, type EncodedResource, type Provenance } from '@seine/envoy'
import { TrafficDirection } from '@seine/envoy/envoy/config/core/v3/base'
import { ListenerSchema } from '@seine/envoy/envoy/config/listener/v3/listener'
import type {
  FilterChainMatchSchema,
  FilterChainSchema,
} from '@seine/envoy/envoy/config/listener/v3/listener_components'
import {
  destinationsOf,
  findService,
  gatewayName,
  gatewaysOf,
  hostCovers,
  type RoutedService,
  type RoutedTcp,
  type RoutedTls,
  resolveHost,
  selects,
  virtualServiceHosts,
} from '@seine/model'
import { inboundTlsSocket } from '../clusters/transport-security.ts'
import { clusterNameOf, resolveDestination } from '../destination.ts'
import { encode } from '../encode.ts'
import type { Init } from '../init.ts'
import { clientAuthorityName } from '../listeners/authorities.ts'
import { cidrRange } from '../listeners/cidr-range.ts'
import {
  type BuiltFilters,
  httpChain,
  listenerFilters,
  type TcpDestination,
  tcpChain,
} from '../listeners/filters.ts'
import { listenerName, listeningOn } from '../listeners/listening.ts'
import { serverTlsSocket } from '../listeners/server-tls.ts'
import { gatewayConnectionFields } from '../listeners/tcp-routing.ts'
import { weightedTargets } from '../listeners/weighted-targets.ts'
import type { FilterChainContext, TrafficPlugin } from '../plugin.ts'
import { proxySettingsOf } from '../proxy-settings.ts'
import { type GatewayChain, GatewayChains } from './chains.ts'
import { passedOnChains } from './passed-on-chains.ts'
import { type GatewayContext, gatewayServices, routeTableName } from './routes.ts'
import { type BoundServer, type GatewayPort, hostsAt } from './servers.ts'

type ChainInit = Init<typeof FilterChainSchema>
type MatchInit = Init<typeof FilterChainMatchSchema>

/** What a gateway's listeners are made from. */
export interface GatewayListenerContext extends GatewayContext {
  readonly plugins: readonly TrafficPlugin[]
}

/**
 * `0.0.0.0_8080`: the listener of a port. One for plaintext has a chain; where TLS comes in, each server has one
 * for the names that it serves.
 *
 * @returns undefined where nothing is routed: a listener without chains is none.
 */
export function gatewayListener(
  context: GatewayListenerContext,
  { bind, port, servers }: GatewayPort,
): EncodedResource | undefined {
  const name = listenerName(bind, port)
  const chains = new GatewayChains()
  for (const bound of servers) {
    if (bound.kind === 'http') {
      // They share the table, and so the chain.
      if (bound === servers[0])
        chains.add(bound, { match: {}, built: requests(context, bound, port, servers.some(isGrpcWeb)) })
      continue
    }
    if (bound.kind === 'https') {
      const built = requests(context, bound, port)
      for (const match of byServerName(bound.hosts.map(({ host }) => host)))
        chains.add(bound, { match, built, tls: tlsOf(context, bound) })
      continue
    }
    if (bound.kind === 'auto-passthrough') {
      for (const chain of passedOnChains(context, bound, port)) chains.add(bound, chain)
      continue
    }
    for (const { match, ranges, targets, causes } of connectionRoutes(context, bound)) {
      const built = connections(context, bound, port, targets)
      const tls = bound.kind === 'tls' ? tlsOf(context, bound) : {}
      chains.add(bound, { match, ranges, built, causes, tls })
    }
  }
  if (chains.isEmpty) return undefined
  const behindProxy = proxySettingsOf(context.indexed.snapshot, context.proxy).gatewayTopology?.proxyProtocol
  const takesTls = servers.some(({ kind }) => kind !== 'http' && kind !== 'tcp')
  return encode(
    ListenerSchema,
    name,
    {
      name,
      ...listeningOn(bind, port),
      trafficDirection: TrafficDirection.OUTBOUND,
      ...(takesTls || behindProxy
        ? {
            listenerFilters: [
              ...(behindProxy ? [listenerFilters.proxyProtocol] : []),
              ...(takesTls ? [listenerFilters.tlsInspector] : []),
            ],
            // Who sends no greeting is not waited for.
            listenerFiltersTimeout: duration(15_000),
          }
        : {}),
      filterChains: chains.build(),
    },
    [...servers.map(({ cause }) => cause), ...chains.provenance],
  )
}

function isGrpcWeb({ server }: BoundServer): boolean {
  return server.port.protocol.toUpperCase() === 'GRPC-WEB'
}

function requests(
  context: GatewayListenerContext,
  bound: BoundServer,
  port: number,
  grpcWeb = false,
): BuiltFilters {
  return httpChain(chainContext(context, bound, port, 'http'), context.plugins, {
    statPrefix: `outbound_${bound.server.bind || '0.0.0.0'}_${port}`,
    isGrpcWeb: grpcWeb,
    looksUpHosts: leadsToDynamicHosts(context),
    routeSpecifier: {
      case: 'rds',
      value: {
        routeConfigName: routeTableName(bound, port),
        configSource: {
          resourceApiVersion: 2,
          initialFetchTimeout: duration(0),
          configSourceSpecifier: { case: 'ads', value: {} },
        },
      },
    },
  })
}

/** Whether a route of some gateway leads to what is looked up by the name in each request. */
function leadsToDynamicHosts(context: GatewayListenerContext): boolean {
  const { services } = context.indexed.snapshot
  return gatewayServices(context).some(service =>
    destinationsOf(service).some(({ host }) => findService(services, host)?.resolution === 'dynamic-dns'),
  )
}

function connections(
  context: GatewayListenerContext,
  bound: BoundServer,
  port: number,
  targets: TcpDestination,
): BuiltFilters {
  return tcpChain(chainContext(context, bound, port, 'tcp'), context.plugins, targets)
}

function chainContext(
  { indexed, proxy }: GatewayListenerContext,
  { server }: BoundServer,
  port: number,
  protocol: 'http' | 'tcp',
): FilterChainContext {
  const security = server.tls?.mode === 'ISTIO_MUTUAL' ? 'mutual_tls' : 'none'
  return {
    snapshot: indexed.snapshot,
    proxy,
    direction: 'gateway',
    protocol,
    security,
    service: undefined,
    port,
  }
}

/** One match for all names, or for any where any is taken. */
function byServerName(hosts: readonly string[]): MatchInit[] {
  if (hosts.includes('*')) return [{ transportProtocol: 'tls' }]
  return [{ transportProtocol: 'tls', serverNames: [...new Set(hosts)] }]
}

function tlsOf(
  { indexed }: GatewayListenerContext,
  { server, kind, gatewayName: own }: BoundServer,
): Pick<ChainInit, 'transportSocket'> {
  const { tls } = server
  if (!tls) return {}
  if (tls.mode === 'ISTIO_MUTUAL')
    return { transportSocket: inboundTlsSocket(indexed.snapshot.config, kind === 'https') }
  const { certificates, clientCertificateOptional, clientAuthorities } = server
  const credentials = {
    certificates,
    clientCertificateOptional,
    ...(clientAuthorities === undefined
      ? {}
      : { clientAuthority: clientAuthorityName(own, server.port.name) }),
  }
  const alpn = kind === 'https' ? ['h2', 'http/1.1'] : []
  return { transportSocket: serverTlsSocket(tls, alpn, indexed.snapshot.config.tlsDefaults, credentials) }
}

interface ConnectionRoute extends Required<Pick<GatewayChain, 'match' | 'ranges' | 'causes'>> {
  readonly targets: TcpDestination
}

/** Where connections to a server that does not read requests go, by the virtual services bound to it. */
function connectionRoutes(context: GatewayListenerContext, bound: BoundServer): ConnectionRoute[] {
  const found: ConnectionRoute[] = []
  for (const service of gatewayServices(context)) {
    if (!gatewaysOf(service).includes(bound.gatewayName)) continue
    const hosts = hostsAt(bound, virtualServiceHosts(service), service.metadata.namespace)
    if (hosts.length === 0) continue
    found.push(
      ...(bound.kind === 'passthrough'
        ? passthroughRoutes(context, bound, service, hosts)
        : tcpRoutes(context, bound, service, hosts)),
    )
  }
  return found
}

function passthroughRoutes(
  context: GatewayListenerContext,
  bound: BoundServer,
  service: RoutedService,
  hosts: readonly string[],
): ConnectionRoute[] {
  return (service.spec.tls ?? []).flatMap((route, index) =>
    route.match.flatMap((match, at) => {
      if (!applies(match, context, bound, service)) return []
      const names = match.sniHosts.filter(name => hosts.some(host => host === name || hostCovers(host, name)))
      if (names.length === 0) return []
      return byServerName(names).map(one => ({
        match: one,
        ranges: match.destinationSubnets ?? [],
        targets: targetsOf(context, bound, service, route),
        causes: [route.cause ?? causeOf(service, `spec.tls[${index}].match[${at}]`)],
      }))
    }),
  )
}

function tcpRoutes(
  context: GatewayListenerContext,
  bound: BoundServer,
  service: RoutedService,
  hosts: readonly string[],
): ConnectionRoute[] {
  const named: readonly MatchInit[] = bound.kind === 'tls' ? byServerName(hosts) : [{}]
  return (service.spec.tcp ?? []).flatMap((route, index) => {
    const matches: readonly NonNullable<TcpRoute['match']>[number][] = route.match?.length
      ? route.match
      : [{}]
    return matches.flatMap((match, at) => {
      if (!applies(match, context, bound, service)) return []
      const path = route.match?.length ? `spec.tcp[${index}].match[${at}]` : `spec.tcp[${index}]`
      return named.map(one => ({
        match: {
          ...one,
          ...(match.sourceSubnet ? { sourcePrefixRanges: [cidrRange(match.sourceSubnet)] } : {}),
        },
        ranges: match.destinationSubnets ?? [],
        targets: targetsOf(context, bound, service, route),
        causes: [route.cause ?? causeOf(service, path)],
      }))
    })
  })
}

type L4Match = NonNullable<TcpRoute['match']>[number] | TlsRoute['match'][number]

function applies(
  match: L4Match,
  { proxy }: GatewayListenerContext,
  { server, gatewayName: own }: BoundServer,
  { metadata }: RoutedService,
): boolean {
  if (match.port !== undefined && match.port !== server.port.number) return false
  if (match.gateways?.length)
    return match.gateways.some(name => gatewayName(name, metadata.namespace) === own)
  if (match.sourceNamespace !== undefined && match.sourceNamespace !== proxy.namespace) return false
  return selects(match.sourceLabels, proxy.labels)
}

function targetsOf(
  context: GatewayListenerContext,
  { server }: BoundServer,
  { metadata }: RoutedService,
  { route, brokenWeight }: RoutedTcp | RoutedTls,
): TcpDestination {
  const { services } = context.indexed.snapshot
  const resolved = (destination: Destination) => {
    const host = resolveHost(destination.host, metadata.namespace)
    return { to: resolveDestination(services, { ...destination, host }, server.port.number), named: host }
  }
  const targets = route.filter(({ weight }) => route.length === 1 || weight)
  return {
    ...weightedTargets(route, destination => clusterNameOf(resolved(destination).to), brokenWeight),
    ...gatewayConnectionFields(
      targets.map(({ destination }) => resolved(destination)),
      { ruleFor: context.ruleFor, snapshot: context.indexed.snapshot },
    ),
  }
}

function causeOf({ kind, metadata }: RoutedService, path: string): Provenance {
  return { kind, namespace: metadata.namespace, name: metadata.name, path }
}
