import { durationMs } from '@seine/api'
import { duration, type EncodedResource, type Provenance } from '@seine/envoy'
import { TrafficDirection } from '@seine/envoy/envoy/config/core/v3/base'
import { ListenerSchema } from '@seine/envoy/envoy/config/listener/v3/listener'
import type {
  FilterChainMatchSchema,
  FilterChainSchema,
} from '@seine/envoy/envoy/config/listener/v3/listener_components'
import type { MeshSnapshot } from '@seine/model'
import { type Addresses, familiesOf, wildcards } from '../address-families.ts'
import type { Egress } from '../egress.ts'
import { encode } from '../encode.ts'
import type { Init } from '../init.ts'
import { BLACK_HOLE_CLUSTER, SidecarPort, VIRTUAL_OUTBOUND } from '../names.ts'
import type { Outside } from '../outside.ts'
import type { FilterChainContext, TrafficPlugin } from '../plugin.ts'
import { provenanceField } from '../provenance-metadata.ts'
import type { Proxy } from '../proxy.ts'
import { unknownHostRoute } from '../routes/unknown-host.ts'
import { ChainList, type MatchedChain } from './chain-list.ts'
import { cidrRange } from './cidr-range.ts'
import { type BuiltFilters, httpChain, listenerFilters, meshTcp, onDemandChain, tcpChain } from './filters.ts'
import { exceptOn } from './inspected-ports.ts'
import { listenerName, listeningOn } from './listening.ts'
import type { OnDemandPorts } from './on-demand.ts'
import { causesOf, type ListenerTarget } from './targets.ts'
import { tcpDestination } from './tcp-routing.ts'

type ListenerInit = Init<typeof ListenerSchema>
type ChainInit = Init<typeof FilterChainSchema>
type MatchInit = Init<typeof FilterChainMatchSchema>

/** What all outbound listeners of one workload are made from. */
export interface OutboundListenerContext {
  readonly snapshot: MeshSnapshot
  readonly proxy: Proxy
  readonly plugins: readonly TrafficPlugin[]
  readonly egress: Egress
  /** What happens to connections that nothing in the mesh is there for; on a port of its own where one is given. */
  outside(port?: number): Outside
  /** Some route may lead to what is looked up by the name in each request. */
  readonly looksUpHosts: boolean
}

/** Ports that Envoy listens on for itself: a listener of a service there would be refused. */
const RESERVED_PORTS: ReadonlySet<number> = new Set([
  SidecarPort.outbound,
  SidecarPort.inbound,
  SidecarPort.prometheus,
])

/** A socket of its own: nothing is captured on its way to it. */
const BOUND: ListenerInit = { bindToPort: true }

/** What Envoy calls the transport of what is not TLS. */
const PLAINTEXT = 'raw_buffer'

/** What the HTTP inspector calls a plaintext connection that speaks HTTP. */
export const PLAINTEXT_HTTP = ['http/1.0', 'http/1.1', 'h2c']

/**
 * The listener that takes all captured outbound connections and hands each to the one for its destination.
 *
 * @param listened the ports that have listeners, which look at the first bytes themselves where they need to
 */
export function virtualOutbound(
  context: OutboundListenerContext,
  listened: readonly number[],
): EncodedResource {
  const requests = unknownRequests(context)
  const rest = elsewhere(context, context.outside(), SidecarPort.outbound)
  // A connection that really goes to 15001 would be handed on to itself for ever.
  const loop = tcpChain(chainContext(context, 'tcp', SidecarPort.outbound, undefined), [], {
    statPrefix: BLACK_HOLE_CLUSTER,
    clusterSpecifier: { case: 'cluster', value: BLACK_HOLE_CLUSTER },
  })
  return encode(
    ListenerSchema,
    VIRTUAL_OUTBOUND,
    {
      name: VIRTUAL_OUTBOUND,
      ...listeningOn(wildcards(familiesOf(context.proxy.addresses)), SidecarPort.outbound),
      trafficDirection: TrafficDirection.OUTBOUND,
      useOriginalDst: true,
      ...(requests
        ? {
            listenerFilters: [
              exceptOn(
                listenerFilters.httpInspector,
                [...listened].sort((a, b) => a - b),
              ),
            ],
            ...inspectionLimits(context),
          }
        : {}),
      filterChains: [
        {
          name: 'virtualOutbound-blackhole',
          filterChainMatch: { destinationPort: SidecarPort.outbound },
          filters: loop.filters,
        },
        ...(requests
          ? [
              {
                name: 'virtualOutbound-catchall-http',
                filterChainMatch: { applicationProtocols: PLAINTEXT_HTTP },
                filters: requests.filters,
                ...provenanceField(context.outside().causes),
              },
            ]
          : []),
        {
          name: 'virtualOutbound-catchall-tcp',
          filters: rest.filters,
          ...provenanceField(context.outside().causes),
        },
      ],
    },
    [...rest.provenance, ...context.outside().causes],
  )
}

/** Requests to ports that the mesh does not know, where their hosts are looked up. */
function unknownRequests(context: OutboundListenerContext): BuiltFilters | undefined {
  const outside = context.outside()
  if (!outside.requests) return undefined
  return httpChain(chainContext(context, 'http', SidecarPort.outbound, undefined), context.plugins, {
    statPrefix: outside.requests.cluster,
    looksUpHosts: true,
    routeSpecifier: {
      case: 'routeConfig',
      value: {
        name: 'unknown',
        virtualHosts: [
          {
            name: 'allow_any',
            domains: ['*'],
            includeRequestAttemptCount: !outside.hidesAttempts,
            routes: [unknownHostRoute(outside)],
          },
        ],
        validateClusters: false,
      },
    },
  })
}

/** `10.96.0.12_9000`: connections to a port of one service, one listener for each address it has for itself. */
export function addressedListeners(
  context: OutboundListenerContext,
  target: ListenerTarget,
): EncodedResource[] {
  const { port, detected } = target
  const tcp = targetChain(context, target)
  const causes = target.routing.provenance
  return target.addresses.map(address => {
    const name = `${address}_${port}`
    const chains = new ChainList()
    const provenance = [...causesOf(target), ...tcp.provenance, ...addMatched(chains, context, target)]
    const http = detected ? routedChain(context, name, port) : undefined
    if (http) chains.add({ ...httpChainOf(http), causes })
    const rest = {
      name: http ? 'PassthroughFilterChain' : chainName(target),
      filters: tcp.filters,
      ...provenanceField(causes),
    }
    return listener(
      name,
      [address],
      port,
      {
        ...(detected || asksForNames(target) ? inspection(context, detected) : {}),
        ...chainsOf(chains.build(), rest),
      },
      [...provenance, ...(http?.provenance ?? [])],
    )
  })
}

/** Adds the chains of connections that go elsewhere than the rest of a target's. @returns what shaped them. */
function addMatched(
  chains: ChainList,
  context: OutboundListenerContext,
  target: ListenerTarget,
): readonly Provenance[] {
  return target.matched.flatMap(({ serverNames, ranges, sources, routing }) => {
    const { filters, provenance } = targetChain(context, { ...target, routing })
    const causes = routing.provenance
    const from = sources.length > 0 ? { sourcePrefixRanges: sources.map(cidrRange) } : {}
    const to = ranges.length > 0 ? ranges : target.ranges
    const own = [chainName(target), ...ranges, ...sources].join(':')
    const rest = { filters, causes, ranges: to, owner: chainName(target) }
    if (serverNames.length === 0) chains.add({ name: own, match: from, ...rest })
    for (const name of serverNames)
      chains.add({ name: `${own}:${name}`, match: { ...from, ...byServerName(name) }, ...rest })
    return provenance
  })
}

function asksForNames({ serverName, matched }: ListenerTarget): boolean {
  return serverName !== undefined || matched.some(({ serverNames }) => serverNames.length > 0)
}

/**
 * `0.0.0.0_80`, or `::_80` where there is no IPv4: connections to a port, whatever address they go to. Plaintext HTTP is routed by host where
 * services speak it on this port; what goes to a range of addresses, or asks for a name over TLS, goes to the
 * service of that; the rest to a service that is found by the port alone, or past the mesh.
 *
 * Where a sidecar asks for what its workload calls, connections to the `onDemand` ranges go to the cluster for their
 * address, unless they are HTTP.
 *
 * A Sidecar can have connections taken at an address, captured or on a socket of its own: `127.0.0.1_80`.
 *
 * @returns undefined for a port that Envoy needs for itself.
 */
export function portListener(
  context: OutboundListenerContext,
  port: number,
  http: boolean,
  targets: readonly ListenerTarget[],
  onDemand: Pick<OnDemandPorts, 'ports' | 'ranges'>,
): EncodedResource | undefined {
  if (RESERVED_PORTS.has(port)) return undefined
  const place = context.egress.listenerOf(port)?.place
  const addresses = place?.addresses ?? wildcards(familiesOf(context.proxy.addresses))
  const name = listenerName(addresses, port)
  if (context.egress.isProxy(port)) {
    // All that comes are requests.
    const { filters, provenance } = routedChain(context, name, port)
    const causes = context.egress.causeOf(port)
    const filterChains = [
      { name: causes.length > 0 ? 'http-proxy' : 'mesh-http-proxy', filters, ...provenanceField(causes) },
    ]
    return listener(name, addresses, port, { filterChains, ...(place?.bound ? BOUND : {}) }, [
      ...causes,
      ...provenance,
    ])
  }
  const chains = new ChainList()
  const provenance: Provenance[] = [...context.egress.causeOf(port)]
  const asks = onDemand.ports.has(port)
  const routed = http || targets.some(({ detected }) => detected)
  const table = routed ? routedChain(context, name, port) : undefined
  if (table) provenance.push(...table.provenance)
  // What all services of the port share names none of them: each that came would end its connections. What a
  // Sidecar put at an address of its own choice is there because of that.
  const shared = place?.addresses === undefined ? [] : context.egress.causeOf(port)
  if (table && http) chains.add({ ...httpChainOf(table), causes: shared })
  if (asks) {
    const asking = onDemandChain(chainContext(context, 'tcp', port, undefined), context.plugins)
    provenance.push(...asking.provenance)
    const own = { name: 'on-demand', causes: shared, ranges: onDemand.ranges, owner: 'on-demand' }
    addDetected(chains, { ...own, match: {}, filters: asking.filters }, table)
  }
  let rest: ChainInit | undefined
  for (const target of targets) {
    const built = targetChain(context, target)
    const { serverName, ranges } = target
    provenance.push(...causesOf(target), ...built.provenance, ...addMatched(chains, context, target))
    if (serverName === undefined && ranges.length === 0) {
      rest ??= {
        name: chainName(target),
        filters: built.filters,
        ...provenanceField(target.routing.provenance),
      }
      continue
    }
    const named = serverName === undefined ? {} : byServerName(serverName)
    const causes = target.routing.provenance
    const own = { name: chainName(target), causes, ranges, owner: chainName(target) }
    addDetected(chains, { ...own, match: named, filters: built.filters }, target.detected ? table : undefined)
  }
  if (!rest) {
    const outside = context.outside(port)
    const passed = elsewhere(context, outside, port)
    rest = {
      name: 'PassthroughFilterChain',
      filters: passed.filters,
      ...provenanceField([...shared, ...outside.causes]),
    }
    provenance.push(...passed.provenance, ...outside.causes)
  }
  // Waiting for the first bytes would stall protocols in which the server speaks first.
  const inspected = routed || targets.some(asksForNames)
  const parts: ListenerInit = {
    ...(inspected ? inspection(context, routed) : {}),
    ...chainsOf(chains.build(), rest),
  }
  return listener(name, addresses, port, { ...parts, ...(place?.bound ? BOUND : {}) }, provenance)
}

/**
 * Adds a chain and, where there is a table of requests, one for plaintext HTTP. Envoy chooses step by step and never
 * goes back: what is in the clear and no HTTP finds the first one only where that is said once more for plaintext.
 */
function addDetected(chains: ChainList, chain: MatchedChain, table: BuiltFilters | undefined): void {
  chains.add(chain)
  if (!table) return
  const { name } = chain
  chains.add({ ...chain, name: `${name}:http`, match: plaintextHttp(), filters: table.filters })
  chains.add({ ...chain, name: `${name}:plaintext`, match: { transportProtocol: PLAINTEXT } })
}

function byServerName(name: string): MatchInit {
  return { serverNames: [name], transportProtocol: 'tls' }
}

/** The chain of plaintext HTTP that is routed by host, whatever address it goes to. */
function httpChainOf({ filters }: BuiltFilters): Omit<MatchedChain, 'causes'> {
  return { name: 'http', match: plaintextHttp(), ranges: [], filters, owner: 'http' }
}

function plaintextHttp(): MatchInit {
  return { transportProtocol: PLAINTEXT, applicationProtocols: PLAINTEXT_HTTP }
}

function chainsOf(chains: readonly ChainInit[], rest: ChainInit): ListenerInit {
  return chains.length === 0
    ? { filterChains: [rest] }
    : { filterChains: [...chains], defaultFilterChain: rest }
}

/** What a listener needs to tell TLS, and HTTP, from the rest. */
function inspection({ snapshot }: Pick<OutboundListenerContext, 'snapshot'>, http: boolean): ListenerInit {
  return {
    listenerFilters: http
      ? [listenerFilters.tlsInspector, listenerFilters.httpInspector]
      : [listenerFilters.tlsInspector],
    ...inspectionLimits({ snapshot }),
  }
}

/** How long first bytes are waited for. */
function inspectionLimits({ snapshot }: Pick<OutboundListenerContext, 'snapshot'>): ListenerInit {
  return {
    listenerFiltersTimeout: duration(durationMs(snapshot.config.protocolDetectionTimeout)),
    continueOnListenerFiltersTimeout: true,
  }
}

function listener(
  name: string,
  addresses: Addresses,
  port: number,
  parts: ListenerInit,
  provenance: readonly Provenance[],
): EncodedResource {
  const init: ListenerInit = {
    name,
    ...listeningOn(addresses, port),
    trafficDirection: TrafficDirection.OUTBOUND,
    bindToPort: false,
    ...parts,
  }
  return encode(ListenerSchema, name, init, provenance)
}

/** Requests, routed by the table of the port. */
function routedChain(context: OutboundListenerContext, name: string, port: number): BuiltFilters {
  return httpChain(chainContext(context, 'http', port, undefined), context.plugins, {
    statPrefix: `outbound_${name}`,
    looksUpHosts: context.looksUpHosts,
    routeSpecifier: {
      case: 'rds',
      value: {
        routeConfigName: String(port),
        configSource: {
          resourceApiVersion: 2,
          initialFetchTimeout: duration(0),
          configSourceSpecifier: { case: 'ads', value: {} },
        },
      },
    },
  })
}

/** Connections to a service's port as they are. */
function targetChain(context: OutboundListenerContext, target: ListenerTarget): BuiltFilters {
  const chain = chainContext(context, 'tcp', target.port, target.service)
  const built = tcpChain(chain, context.plugins, tcpDestination(target.routing))
  // The cluster of a port that is detected says that it sends HTTP: what is not tells the server so.
  const { clusters, statPrefix } = target.routing
  const mayBeDetected = target.detected || clusters.some(({ name }) => name !== statPrefix)
  return mayBeDetected && target.meshed ? { ...built, filters: [meshTcp(), ...built.filters] } : built
}

/** Connections that nothing in the mesh is there for: they pass, or they end. */
function elsewhere(context: OutboundListenerContext, { cluster }: Outside, port: number): BuiltFilters {
  return tcpChain(chainContext(context, 'tcp', port, undefined), context.plugins, {
    statPrefix: cluster,
    clusterSpecifier: { case: 'cluster', value: cluster },
  })
}

function chainName({ service, port }: ListenerTarget): string {
  return `${service.hostname}:${port}`
}

function chainContext(
  { snapshot, proxy }: OutboundListenerContext,
  protocol: 'http' | 'tcp',
  port: number,
  service: FilterChainContext['service'],
): FilterChainContext {
  return { snapshot, proxy, direction: 'outbound', protocol, security: 'unknown', service, port }
}
