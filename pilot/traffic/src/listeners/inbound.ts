import { durationMs, type MtlsMode, type ServerTlsSettings } from '@seine/api'
import { duration, type EncodedResource, type Provenance } from '@seine/envoy'
import { TrafficDirection } from '@seine/envoy/envoy/config/core/v3/base'
import { ListenerSchema } from '@seine/envoy/envoy/config/listener/v3/listener'
import type { FilterChainSchema } from '@seine/envoy/envoy/config/listener/v3/listener_components'
import {
  type InboundMtls,
  inboundMtls,
  isHttp,
  type MeshService,
  type MeshSnapshot,
  type Protocol,
} from '@seine/model'
import { familiesOf, wildcards } from '../address-families.ts'
import { inboundTlsSocket } from '../clusters/transport-security.ts'
import { encode } from '../encode.ts'
import type { IngressSettings } from '../ingress.ts'
import type { Init } from '../init.ts'
import {
  BLACK_HOLE_CLUSTER,
  INBOUND_PASSTHROUGH_CLUSTER,
  inboundClusterName,
  MeshAlpn,
  SidecarPort,
  TELEMETRY_METADATA,
  VIRTUAL_INBOUND,
} from '../names.ts'
import type { FilterChainContext, TrafficPlugin } from '../plugin.ts'
import { provenanceField, provenanceMetadata } from '../provenance-metadata.ts'
import type { Proxy } from '../proxy.ts'
import { connectionLimits, httpChain, listenerFilters, tcpChain } from './filters.ts'
import { exceptOn, onlyOn } from './inspected-ports.ts'
import { listeningOn } from './listening.ts'
import { PLAINTEXT_HTTP } from './outbound.ts'
import { serverTlsSocket } from './server-tls.ts'

type ListenerInit = Init<typeof ListenerSchema>
type ChainInit = Init<typeof FilterChainSchema>

/** A port that the workload serves, and the service it serves it for. */
export interface InboundPort {
  readonly port: number
  /** The service's port that leads to it. */
  readonly servicePort: number
  readonly protocol: Protocol
  readonly service: Pick<MeshService, 'hostname' | 'name' | 'namespace'> | undefined
  readonly provenance: Provenance
  /** What a Sidecar says of it. */
  readonly settings: IngressSettings
}

/** What the inbound listener of one workload is made from. */
export interface InboundContext {
  readonly snapshot: MeshSnapshot
  readonly proxy: Proxy
  readonly plugins: readonly TrafficPlugin[]
  readonly ports: readonly InboundPort[]
}

/**
 * The listener that takes all captured inbound connections, and one for each port that a Sidecar gives a socket of
 * its own: `10.1.0.1_8080`, which takes the place of an outbound one there.
 */
export function inboundListeners(context: InboundContext): EncodedResource[] {
  const mtls = inboundMtls(context.snapshot, context.proxy)
  const bound = context.ports.filter(({ settings }) => settings.bound)
  const captured = context.ports.filter(({ settings }) => !settings.bound)
  return [
    virtualInbound({ ...context, ports: captured }, mtls),
    ...bound.map(port => boundInbound(context, port, mtls)),
  ]
}

function boundInbound(context: InboundContext, port: InboundPort, mtls: InboundMtls): EncodedResource {
  const bind = port.settings.bind ?? context.proxy.addresses[0] ?? ''
  const name = `${bind}_${port.port}`
  const policies = mtls.policies.map(policyCause)
  const built = portChains(context, port, mtls)
  return encode(
    ListenerSchema,
    name,
    {
      name,
      ...listeningOn([bind, ...port.settings.alsoBound], port.port),
      trafficDirection: TrafficDirection.INBOUND,
      bindToPort: true,
      ...inspection(context, [
        ...(isBlind(port, mtls) ? [] : [listenerFilters.tlsInspector]),
        ...(port.protocol === 'auto' ? [listenerFilters.httpInspector] : []),
      ]),
      filterChains: withCauses(built, policies),
    },
    [...policies, port.provenance, ...built.flatMap(({ provenance }) => provenance)],
  )
}

/**
 * Each port has a chain for mutual TLS and, unless it is STRICT, one for plaintext; ports that no service declares
 * pass to the workload under the same rule.
 */
function virtualInbound(context: InboundContext, mtls: InboundMtls): EncodedResource {
  const policies = mtls.policies.map(policyCause)
  const built = [
    ...context.ports.flatMap(port => portChains(context, port, mtls)),
    ...passthroughChains(context, mtls),
  ]
  return encode(
    ListenerSchema,
    VIRTUAL_INBOUND,
    {
      name: VIRTUAL_INBOUND,
      ...listeningOn(wildcards(familiesOf(context.proxy.addresses)), SidecarPort.inbound),
      trafficDirection: TrafficDirection.INBOUND,
      ...inspection(context, [listenerFilters.originalDst, ...inspectors(context, mtls)]),
      filterChains: [blackHole(), ...withCauses(built, policies)],
    },
    [
      ...policies,
      ...context.ports.map(port => port.provenance),
      ...built.flatMap(({ provenance }) => provenance),
    ],
  )
}

/**
 * What reads the first bytes of connections. Where the server may be the one to speak, nothing is waited for: HTTP is
 * looked for on ports that do not say what they speak, and TLS where something depends on it.
 */
function inspectors(
  { ports }: InboundContext,
  mtls: InboundMtls,
): NonNullable<ListenerInit['listenerFilters']> {
  const detected = ports.filter(({ protocol }) => protocol === 'auto').map(({ port }) => port)
  const blind = ports.filter(port => isBlind(port, mtls)).map(({ port }) => port)
  const declared = new Set(ports.map(({ port }) => port))
  const asked = [
    ...ports.filter(port => !isBlind(port, mtls)).map(({ port }) => port),
    ...mtls.ports.filter(port => !declared.has(port) && mtls.modeOf(port) !== 'DISABLE'),
  ]
  return [
    ...(mtls.default === 'DISABLE'
      ? onlyOn(listenerFilters.tlsInspector, asked)
      : [exceptOn(listenerFilters.tlsInspector, blind)]),
    ...onlyOn(listenerFilters.httpInspector, detected),
  ]
}

/** Whether a port takes all connections alike. */
function isBlind({ port, protocol, settings }: InboundPort, mtls: InboundMtls): boolean {
  return protocol === 'tcp' && mtls.modeOf(port) === 'DISABLE' && !settings.tls
}

function inspection({ snapshot }: InboundContext, filters: NonNullable<ListenerInit['listenerFilters']>) {
  return {
    listenerFilters: filters,
    listenerFiltersTimeout: duration(durationMs(snapshot.config.protocolDetectionTimeout)),
    continueOnListenerFiltersTimeout: true,
  }
}

function withCauses(built: readonly BuiltChain[], policies: readonly Provenance[]): ChainInit[] {
  return built.map(({ chain, provenance }) => ({
    ...chain,
    metadata: { filterMetadata: provenanceMetadata([...policies, ...provenance]) },
  }))
}

function policyCause({ kind, metadata }: InboundMtls['policies'][number]): Provenance {
  return { kind, namespace: metadata.namespace, name: metadata.name, path: 'spec.mtls' }
}

interface BuiltChain {
  readonly chain: ChainInit
  readonly provenance: readonly Provenance[]
}

/** A connection that really goes to 15006 would be handed on to itself for ever. */
function blackHole(): ChainInit {
  const context = { direction: 'inbound', protocol: 'tcp' } as FilterChainContext
  const built = tcpChain(context, [], {
    statPrefix: BLACK_HOLE_CLUSTER,
    clusterSpecifier: { case: 'cluster', value: BLACK_HOLE_CLUSTER },
  })
  return {
    name: 'virtualInbound-blackhole',
    filterChainMatch: { destinationPort: SidecarPort.inbound },
    filters: built.filters,
  }
}

function portChains(context: InboundContext, port: InboundPort, mtls: InboundMtls): BuiltChain[] {
  const name = inboundClusterName(port.port)
  const mode = mtls.modeOf(port.port)
  const chains: BuiltChain[] = []
  if (mode !== 'DISABLE') chains.push(...meshChains(context, port, name, mode === 'STRICT'))
  if (mode === 'STRICT') return chains
  const { tls } = port.settings
  if (tls) chains.push(ownTlsChain(context, port, name, tls))
  else chains.push(...plaintextChains(context, port, name))
  return chains
}

/** The port, and the address where a Sidecar names one. */
function destinationOf({
  port,
  settings: { bind, bound },
}: InboundPort): NonNullable<ChainInit['filterChainMatch']> {
  if (bound || bind === undefined) return { destinationPort: port }
  const prefixLen = bind.includes(':') ? 128 : 32
  return { destinationPort: port, prefixRanges: [{ addressPrefix: bind, prefixLen }] }
}

/**
 * Mutual TLS from other sidecars. What the client says it sends decides where the port does not declare what it
 * speaks; elsewhere the port does. Proxyless gRPC clients say `h2`, as everybody does: where plaintext is not taken,
 * TLS can't be meant for the application.
 */
function meshChains(context: InboundContext, port: InboundPort, name: string, strict: boolean): BuiltChain[] {
  const http = [MeshAlpn.http, ...(strict ? ['h2'] : [])]
  if (port.protocol !== 'auto') {
    const known = isHttp(port.protocol)
    return [
      meshChain(context, port, `${name}mtls`, known, [...(known ? http : [MeshAlpn.http]), MeshAlpn.tcp]),
    ]
  }
  return [
    meshChain(context, port, `${name}mtls-http`, true, http),
    meshChain(context, port, `${name}mtls`, false, [MeshAlpn.tcp]),
  ]
}

function meshChain(
  context: InboundContext,
  port: InboundPort,
  name: string,
  http: boolean,
  applicationProtocols: string[],
): BuiltChain {
  const built = chainFilters(context, port, inboundClusterName(port.port), 'mutual_tls', http)
  return {
    chain: {
      name,
      filterChainMatch: { ...destinationOf(port), transportProtocol: 'tls', applicationProtocols },
      transportSocket: inboundTlsSocket(context.snapshot.config, http),
      filters: built.filters,
    },
    provenance: [port.provenance, ...built.provenance],
  }
}

/** TLS from outside the mesh, as a Sidecar says, for what is then plaintext. */
function ownTlsChain(
  context: InboundContext,
  port: InboundPort,
  name: string,
  tls: ServerTlsSettings,
): BuiltChain {
  const http = isHttp(port.protocol)
  const built = chainFilters(context, port, name, 'none', http)
  return {
    chain: {
      name: `${name}tls`,
      filterChainMatch: { ...destinationOf(port), transportProtocol: 'tls' },
      transportSocket: serverTlsSocket(
        tls,
        http ? ['h2', 'http/1.1'] : [],
        context.snapshot.config.tlsDefaults,
      ),
      filters: built.filters,
    },
    provenance: [port.provenance, ...built.provenance],
  }
}

/** Plaintext, and TLS that the application itself ends, which passes as bytes. */
function plaintextChains(context: InboundContext, port: InboundPort, name: string): BuiltChain[] {
  const http = isHttp(port.protocol)
  const detected = port.protocol === 'auto'
  const asHttp = chainFilters(context, port, name, 'none', true)
  const asTcp = chainFilters(context, port, name, 'none', false)
  const tls: BuiltChain = {
    chain: {
      name: `${name}tls-passthrough`,
      filterChainMatch: { ...destinationOf(port), transportProtocol: 'tls' },
      filters: asTcp.filters,
    },
    provenance: [port.provenance],
  }
  const raw = { ...destinationOf(port), transportProtocol: 'raw_buffer' }
  const chains: BuiltChain[] = [tls]
  if (http) {
    const filterChainMatch = detected ? { ...raw, applicationProtocols: PLAINTEXT_HTTP } : raw
    chains.push({
      chain: { name: `${name}plaintext-http`, filterChainMatch, filters: asHttp.filters },
      provenance: [port.provenance, ...asHttp.provenance],
    })
  }
  if (!http || detected)
    chains.push({
      chain: { name: `${name}plaintext`, filterChainMatch: raw, filters: asTcp.filters },
      provenance: [port.provenance, ...asTcp.provenance],
    })
  return chains
}

function chainFilters(
  context: InboundContext,
  port: InboundPort,
  name: string,
  security: FilterChainContext['security'],
  http: boolean,
) {
  const chain: FilterChainContext = {
    snapshot: context.snapshot,
    proxy: context.proxy,
    direction: 'inbound',
    protocol: http ? 'http' : 'tcp',
    security,
    service: port.service,
    port: port.port,
  }
  if (!http)
    return tcpChain(chain, context.plugins, {
      statPrefix: name,
      clusterSpecifier: { case: 'cluster', value: name },
      ...connectionLimits(port.settings.connectionPool),
    })
  return httpChain(chain, context.plugins, {
    statPrefix: `inbound_0.0.0.0_${port.port}`,
    isGrpcWeb: port.protocol === 'grpc-web',
    routeSpecifier: {
      case: 'routeConfig',
      value: {
        name,
        validateClusters: false,
        virtualHosts: [
          {
            name: `inbound|http|${port.servicePort}`,
            domains: ['*'],
            ...provenanceField([port.provenance]),
            routes: [
              {
                name: 'default',
                match: { pathSpecifier: { case: 'prefix', value: '/' } },
                metadata: {
                  filterMetadata: {
                    ...(port.service
                      ? { [TELEMETRY_METADATA]: { destination_service: port.service.hostname } }
                      : {}),
                    ...provenanceMetadata([port.provenance]),
                  },
                },
                action: {
                  case: 'route',
                  value: { clusterSpecifier: { case: 'cluster', value: name }, timeout: duration(0) },
                },
              },
            ],
          },
        ],
      },
    },
  })
}

/** Ports that no service declares: those with a mode of their own first, then all the others. */
function passthroughChains(context: InboundContext, mtls: InboundMtls): BuiltChain[] {
  const declared = new Set(context.ports.map(({ port }) => port))
  return [
    ...mtls.ports
      .filter(port => !declared.has(port) && port !== SidecarPort.inbound)
      .flatMap(port => undeclaredChains(context, mtls.modeOf(port), port)),
    ...undeclaredChains(context, mtls.default, undefined),
  ]
}

function undeclaredChains(
  context: InboundContext,
  mode: MtlsMode,
  destinationPort: number | undefined,
): BuiltChain[] {
  const name = destinationPort === undefined ? VIRTUAL_INBOUND : `${VIRTUAL_INBOUND}-${destinationPort}`
  const match = destinationPort === undefined ? {} : { destinationPort }
  const chains: BuiltChain[] = []
  if (mode !== 'DISABLE') {
    const built = passthroughFilters(context, 'mutual_tls', destinationPort)
    const transportSocket = inboundTlsSocket(context.snapshot.config, false)
    chains.push({
      chain: {
        name: `${name}-mtls`,
        filterChainMatch: {
          ...match,
          transportProtocol: 'tls',
          applicationProtocols: [MeshAlpn.http, MeshAlpn.tcp],
        },
        transportSocket,
        filters: built.filters,
      },
      provenance: built.provenance,
    })
  }
  if (mode !== 'STRICT') {
    const built = passthroughFilters(context, 'none', destinationPort)
    chains.push({
      chain: {
        name,
        ...(destinationPort === undefined ? {} : { filterChainMatch: match }),
        filters: built.filters,
      },
      provenance: built.provenance,
    })
  }
  return chains
}

function passthroughFilters(
  { snapshot, proxy, plugins }: InboundContext,
  security: FilterChainContext['security'],
  port = 0,
) {
  const chain: FilterChainContext = {
    snapshot,
    proxy,
    direction: 'inbound',
    protocol: 'tcp',
    security,
    service: undefined,
    port,
  }
  return tcpChain(chain, plugins, {
    statPrefix: INBOUND_PASSTHROUGH_CLUSTER,
    clusterSpecifier: { case: 'cluster', value: INBOUND_PASSTHROUGH_CLUSTER },
  })
}
