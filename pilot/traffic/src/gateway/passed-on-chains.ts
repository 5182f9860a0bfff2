import { hostCovers, type MeshService } from '@seine/model'
import { type EffectivePolicy, effectivePolicy } from '../destination-rules.ts'
import { connectionLimits, type TcpDestination, tcpChain } from '../listeners/filters.ts'
import { byServerNameChain } from '../listeners/server-name-cluster.ts'
import { gatewayConnectionFields } from '../listeners/tcp-routing.ts'
import type { FilterChainContext } from '../plugin.ts'
import { isServedAt, MESH_ALPNS, type PassedOnPort, passedOnPorts } from './auto-passthrough.ts'
import type { GatewayChain } from './chains.ts'
import type { GatewayListenerContext } from './listeners.ts'
import type { BoundServer } from './servers.ts'

/**
 * The chains of a server that passes connections of other networks on. One is for all services that its wildcards cover,
 * which takes the cluster's name from the server name, so that the listener stays as it is when services come and go; those
 * have one of their own, for each port and subset, of which a rule says more than its cluster can hold, and those that
 * the server names. The caller's protocol names say that it is of the mesh. No policy judges here, as in Istio, since
 * nobody knows who calls.
 */
export function passedOnChains(
  context: GatewayListenerContext,
  bound: BoundServer,
  port: number,
): GatewayChain[] {
  const open = openHosts(bound)
  const { services, config } = context.indexed.snapshot
  const own = [...services.values()]
    .filter(service => isServedAt(bound, service, context.proxy.namespace))
    .sort((a, b) => (a.hostname < b.hostname ? -1 : 1))
    .flatMap(service =>
      ownChains(context, service, port, !open.some(host => hostCovers(host, service.hostname))),
    )
  if (open.length === 0) return own
  const limits = connectionLimits(effectivePolicy(undefined, undefined, port, config).connectionPool)
  const built = byServerNameChain(chainContext(context, port, undefined), context.plugins, limits)
  return [...own, { match: matchOf(open.includes('*') ? [] : open), built }]
}

/** The hosts of a server that stand for the services of all namespaces. */
function openHosts({ hosts }: BoundServer): string[] {
  const open = hosts.filter(({ namespace, host }) => namespace === '*' && host.startsWith('*'))
  return [...new Set(open.map(({ host }) => host))]
}

function ownChains(
  context: GatewayListenerContext,
  service: MeshService,
  port: number,
  always: boolean,
): GatewayChain[] {
  const rule = context.ruleFor(service.hostname)
  // Nearly all services have no rule, and nothing more is asked of them.
  if (!rule && !always) return []
  const { config } = context.indexed.snapshot
  const common = ofConnections(effectivePolicy(undefined, undefined, port, config))
  return passedOnPorts(service, rule, config)
    .filter(({ policy }) => always || ofConnections(policy) !== common)
    .map(one => ownChain(context, service, one, port))
}

/** What a policy says of connections, beside what a cluster can hold, as a text to compare. */
function ofConnections({ connectionPool, loadBalancer }: EffectivePolicy): string {
  const { idleTimeout, maxConnectionDuration } = connectionPool?.tcp ?? {}
  return JSON.stringify([
    idleTimeout ?? null,
    maxConnectionDuration ?? null,
    loadBalancer?.consistentHash?.useSourceIp ?? false,
  ])
}

/** The same as fields of Envoy's TCP proxy. */
function fieldsOf(
  { indexed, ruleFor }: GatewayListenerContext,
  { hostname }: MeshService,
  { port, subset }: PassedOnPort,
): Partial<TcpDestination> {
  const to = { host: hostname, port: port.number, subset: subset?.name ?? '' }
  // It passes on what is there already, whatever else rules say of the way.
  const { tunnelingConfig: _, ...fields } = gatewayConnectionFields([{ to, named: hostname }], {
    ruleFor,
    snapshot: indexed.snapshot,
  })
  return fields
}

function ownChain(
  context: GatewayListenerContext,
  service: MeshService,
  one: PassedOnPort,
  port: number,
): GatewayChain {
  const { name, causes } = one
  const built = tcpChain(chainContext(context, port, service), context.plugins, {
    statPrefix: name,
    clusterSpecifier: { case: 'cluster', value: name },
    ...fieldsOf(context, service, one),
  })
  return { name, match: matchOf([name]), built, causes }
}

function chainContext(
  { indexed, proxy }: GatewayListenerContext,
  port: number,
  service: MeshService | undefined,
): FilterChainContext {
  return {
    snapshot: indexed.snapshot,
    proxy,
    // To policies it is a way out of the gateway.
    direction: 'outbound',
    protocol: 'tcp',
    security: 'unknown',
    service: service && { hostname: service.hostname, name: service.name, namespace: service.namespace },
    port,
  }
}

function matchOf(serverNames: readonly string[]): GatewayChain['match'] {
  return {
    transportProtocol: 'tls',
    ...(serverNames.length > 0 ? { serverNames: [...serverNames] } : {}),
    applicationProtocols: [...MESH_ALPNS],
  }
}
