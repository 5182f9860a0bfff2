import type { TcpRoute, VirtualService } from '@seine/api'
import { durationMs } from '@seine/api'
import { duration, type EncodedResource, type Provenance } from '@seine/envoy'
import { TrafficDirection } from '@seine/envoy/envoy/config/core/v3/base'
import { ListenerSchema } from '@seine/envoy/envoy/config/listener/v3/listener'
import { type MeshService, type MeshSnapshot, resolveHost, type ServicePort } from '@seine/model'
import type { EffectivePolicy } from '../destination-rules.ts'
import { encode } from '../encode.ts'
import type { Init } from '../init.ts'
import {
  BLACK_HOLE_CLUSTER,
  outboundClusterName,
  PASSTHROUGH_CLUSTER,
  SidecarPort,
  VIRTUAL_OUTBOUND,
} from '../names.ts'
import type { FilterChainContext, TrafficPlugin } from '../plugin.ts'
import type { Proxy } from '../proxy.ts'
import { type BuiltFilters, httpChain, listenerFilters, type TcpDestination, tcpChain } from './filters.ts'

type ListenerInit = Init<typeof ListenerSchema>
type AddressInit = NonNullable<ListenerInit['address']>

/** What all outbound listeners of one workload are made from. */
export interface OutboundListenerContext {
  readonly snapshot: MeshSnapshot
  readonly proxy: Proxy
  readonly plugins: readonly TrafficPlugin[]
}

/** A port of a service that is served by a listener of its own on the service's address. */
export interface TcpTarget {
  readonly service: MeshService
  readonly port: ServicePort
  /** What a DestinationRule asks for on this port. */
  readonly policy: EffectivePolicy
  readonly virtualService: VirtualService | undefined
}

/** The listener that takes all captured outbound connections and hands each to the one for its destination. */
export function virtualOutbound(context: OutboundListenerContext): EncodedResource {
  const passes = context.snapshot.config.outboundTrafficPolicy.mode === 'ALLOW_ANY'
  const cluster = passes ? PASSTHROUGH_CLUSTER : BLACK_HOLE_CLUSTER
  const built = tcpChain(chainContext(context, 'tcp', SidecarPort.outbound, undefined), context.plugins, {
    statPrefix: cluster,
    clusterSpecifier: { case: 'cluster', value: cluster },
  })
  return encode(
    ListenerSchema,
    VIRTUAL_OUTBOUND,
    {
      name: VIRTUAL_OUTBOUND,
      address: socketAddress('0.0.0.0', SidecarPort.outbound),
      trafficDirection: TrafficDirection.OUTBOUND,
      useOriginalDst: true,
      filterChains: [{ name: 'virtualOutbound-catchall-tcp', filters: built.filters }],
    },
    built.provenance,
  )
}

/** `0.0.0.0_80`: requests to a port that HTTP services have, whatever address they go to. What is not HTTP passes or ends. */
export function httpListener(context: OutboundListenerContext, port: number): EncodedResource {
  const passes = context.snapshot.config.outboundTrafficPolicy.mode === 'ALLOW_ANY'
  const cluster = passes ? PASSTHROUGH_CLUSTER : BLACK_HOLE_CLUSTER
  const rest = tcpChain(chainContext(context, 'tcp', port, undefined), context.plugins, {
    statPrefix: cluster,
    clusterSpecifier: { case: 'cluster', value: cluster },
  })
  return detectingListener(context, '0.0.0.0', port, rest, [])
}

/** `10.96.0.12_9000` for a port whose protocol is detected: requests are routed, anything else goes to the service as it is. */
export function detectedListeners(context: OutboundListenerContext, target: TcpTarget): EncodedResource[] {
  const { service, port } = target
  const rest = tcpChain(
    chainContext(context, 'tcp', port.number, service),
    context.plugins,
    tcpDestination(context, target),
  )
  const provenance = [{ ...service.ref, path: `spec.ports[${service.ports.indexOf(port)}]` }]
  return service.addresses
    .filter(address => !address.includes('/'))
    .map(address => detectingListener(context, address, port.number, rest, provenance))
}

function detectingListener(
  context: OutboundListenerContext,
  address: string,
  port: number,
  rest: BuiltFilters,
  provenance: readonly Provenance[],
): EncodedResource {
  const name = `${address}_${port}`
  const http = httpChain(chainContext(context, 'http', port, undefined), context.plugins, {
    statPrefix: `outbound_${name}`,
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
  return encode(
    ListenerSchema,
    name,
    {
      name,
      address: socketAddress(address, port),
      trafficDirection: TrafficDirection.OUTBOUND,
      bindToPort: false,
      listenerFilters: [listenerFilters.tlsInspector, listenerFilters.httpInspector],
      listenerFiltersTimeout: duration(durationMs(context.snapshot.config.protocolDetectionTimeout)),
      continueOnListenerFiltersTimeout: true,
      filterChains: [
        {
          name: 'http',
          filterChainMatch: { transportProtocol: 'raw_buffer', applicationProtocols: ['http/1.1', 'h2c'] },
          filters: http.filters,
        },
      ],
      defaultFilterChain: { name: 'PassthroughFilterChain', filters: rest.filters },
    },
    [...provenance, ...http.provenance, ...rest.provenance],
  )
}

/** `10.96.0.12_9000`: connections to a TCP port of one service. */
export function tcpListeners(context: OutboundListenerContext, target: TcpTarget): EncodedResource[] {
  const { service, port } = target
  const addresses = service.addresses.filter(address => !address.includes('/'))
  // A service without an address of its own can only be told apart by its port.
  const bound = addresses.length > 0 ? addresses : ['0.0.0.0']
  return bound.map(address => tcpListener(context, target, address, port.number))
}

function tcpListener(
  context: OutboundListenerContext,
  target: TcpTarget,
  address: string,
  port: number,
): EncodedResource {
  const { service, virtualService } = target
  const name = `${address}_${port}`
  const built = tcpChain(
    chainContext(context, 'tcp', port, service),
    context.plugins,
    tcpDestination(context, target),
  )
  const provenance: Provenance[] = [
    { ...service.ref, path: `spec.ports[${service.ports.indexOf(target.port)}]` },
    ...built.provenance,
  ]
  if (virtualService)
    provenance.push({
      kind: virtualService.kind,
      namespace: virtualService.metadata.namespace,
      name: virtualService.metadata.name,
      path: 'spec.tcp',
    })
  return encode(
    ListenerSchema,
    name,
    {
      name,
      address: socketAddress(address, port),
      trafficDirection: TrafficDirection.OUTBOUND,
      bindToPort: false,
      filterChains: [{ name: `${service.hostname}:${port}`, filters: built.filters }],
    },
    provenance,
  )
}

function tcpDestination(
  context: OutboundListenerContext,
  { service, port, virtualService, policy }: TcpTarget,
): TcpDestination {
  const statPrefix = outboundClusterName(port.number, '', service.hostname)
  const common = { statPrefix, ...connectionFields(policy) }
  const route = virtualService?.spec.tcp?.find(one => tcpApplies(one, port.number, context.proxy))
  const targets = (route?.route ?? []).filter(({ weight }) => weight !== 0 || route?.route.length === 1)
  const clusterOf = (destination: TcpRoute['route'][number]['destination']) => {
    const hostname = resolveHost(destination.host, virtualService?.metadata.namespace ?? service.namespace)
    return outboundClusterName(destination.port?.number ?? port.number, destination.subset ?? '', hostname)
  }
  const [only, ...others] = targets
  if (!only) return { ...common, clusterSpecifier: { case: 'cluster', value: statPrefix } }
  if (others.length === 0)
    return { ...common, clusterSpecifier: { case: 'cluster', value: clusterOf(only.destination) } }
  const clusters = targets.map(({ destination, weight }) => ({
    name: clusterOf(destination),
    weight: weight ?? 0,
  }))
  return { ...common, clusterSpecifier: { case: 'weightedClusters', value: { clusters } } }
}

/** What of a policy holds for a connection and not for a cluster. Of a request's hashes, TCP has the source's address. */
function connectionFields({ connectionPool, loadBalancer }: EffectivePolicy) {
  const { idleTimeout, maxConnectionDuration } = connectionPool?.tcp ?? {}
  return {
    ...(idleTimeout === undefined ? {} : { idleTimeout: duration(durationMs(idleTimeout)) }),
    ...(maxConnectionDuration === undefined
      ? {}
      : { maxDownstreamConnectionDuration: duration(durationMs(maxConnectionDuration)) }),
    ...(loadBalancer?.consistentHash?.useSourceIp
      ? { hashPolicy: [{ policySpecifier: { case: 'sourceIp' as const, value: {} } }] }
      : {}),
  }
}

function tcpApplies(route: TcpRoute, port: number, proxy: Proxy): boolean {
  if (!route.match?.length) return true
  return route.match.some(match => {
    const labelsHold = Object.entries(match.sourceLabels ?? {}).every(
      ([name, value]) => proxy.labels[name] === value,
    )
    return (
      (match.port === undefined || match.port === port) &&
      (!match.gateways?.length || match.gateways.includes('mesh')) &&
      (match.sourceNamespace === undefined || match.sourceNamespace === proxy.namespace) &&
      labelsHold
    )
  })
}

function chainContext(
  { snapshot, proxy }: OutboundListenerContext,
  protocol: 'http' | 'tcp',
  port: number,
  service: MeshService | undefined,
): FilterChainContext {
  return { snapshot, proxy, direction: 'outbound', protocol, security: 'unknown', service, port }
}

/** A TCP address in the form Envoy takes. */
export function socketAddress(address: string, port: number): AddressInit {
  return {
    address: { case: 'socketAddress', value: { address, portSpecifier: { case: 'portValue', value: port } } },
  }
}
