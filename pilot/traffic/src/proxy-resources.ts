import { type EncodedResource, TypeUrl } from '@seine/envoy'
import {
  allAddresses,
  type Endpoint,
  type MeshService,
  type MeshSnapshot,
  type ServicePort,
  selects,
  targetOf,
} from '@seine/model'
import { builtInClusters, inboundCluster } from './clusters/inbound.ts'
import { unknownHostClusters } from './clusters/unknown-hosts.ts'
import type { IndexedSnapshot } from './indexed-snapshot.ts'
import { type IngressSettings, ingressPorts, settingsOfServicePort } from './ingress.ts'
import { type InboundPort, inboundListeners } from './listeners/inbound.ts'
import {
  addressedListeners,
  type OutboundListenerContext,
  portListener,
  virtualOutbound,
} from './listeners/outbound.ts'
import type { ListenerTarget } from './listeners/targets.ts'
import type { OutboundScope } from './outbound-scope.ts'
import type { TrafficPlugin } from './plugin.ts'
import type { Proxy } from './proxy.ts'
import { proxySettingsOf, routeHeadersOf } from './proxy-settings.ts'
import { routeConfigurationShell, routeConfigurationTable } from './routes/route-configuration.ts'
import { sidecarOf } from './sidecar-of.ts'

/**
 * The outbound listeners of a workload, in the order of their names. `asks` is whether Envoy asks where connections to
 * addresses go; else each service of bytes has a listener.
 */
export function outboundListeners(
  indexed: IndexedSnapshot,
  scope: OutboundScope,
  proxy: Proxy,
  plugins: readonly TrafficPlugin[],
  asks: boolean,
): EncodedResource[] {
  const context: OutboundListenerContext = {
    snapshot: indexed.snapshot,
    proxy,
    plugins,
    egress: scope.egress,
    outside: port => scope.outside(port),
    looksUpHosts: scope.looksUpHosts,
  }
  const byName = new Map<string, EncodedResource>()
  const add = (listener: EncodedResource) => {
    if (!byName.has(listener.name)) byName.set(listener.name, listener)
  }
  const byPort = new Map<number, ListenerTarget[]>([...scope.httpPorts.keys()].map(port => [port, []]))
  const onDemand = scope.listenersOf(asks)
  for (const port of onDemand.ports) if (!byPort.has(port)) byPort.set(port, [])
  for (const target of onDemand.targets) {
    for (const listener of addressedListeners(context, target)) add(listener)
    if (target.addresses.length === 0 || target.ranges.length > 0)
      byPort.set(target.port, [...(byPort.get(target.port) ?? []), target])
  }
  for (const [port, targets] of byPort) {
    const listener = portListener(context, port, scope.httpPorts.has(port), targets, onDemand)
    if (listener) add(listener)
  }
  add(virtualOutbound(context, [...new Set([...byPort.keys(), ...onDemand.targets.map(({ port }) => port)])]))
  return sorted(byName)
}

/** The inbound listeners and clusters of a workload. */
export function inboundResources(
  snapshot: MeshSnapshot,
  proxy: Proxy,
  plugins: readonly TrafficPlugin[],
): { listeners: EncodedResource[]; clusters: EncodedResource[] } {
  const ports = inboundPorts(snapshot, proxy)
  const { keepsCase } = routeHeadersOf(proxySettingsOf(snapshot, proxy))
  return {
    listeners: inboundListeners({ snapshot, proxy, plugins, ports }),
    clusters: [
      ...builtInClusters(snapshot.config, proxy, keepsCase),
      ...unknownHostClusters(snapshot.config, proxy, keepsCase),
      ...ports.map(port => inboundCluster(port, proxy, snapshot.config, keepsCase)),
    ],
  }
}

/** The ports of the workload that its Sidecar or services declare. */
function inboundPorts(snapshot: MeshSnapshot, proxy: Proxy): readonly InboundPort[] {
  const sidecar = sidecarOf(snapshot, proxy)
  const declared = servicePorts(snapshot, proxy, settingsOfServicePort(sidecar))
  return ingressPorts(sidecar, proxy.addresses, declared)
}

/** The numbers of the ports of a workload that its Sidecar or services declare. */
export function servedPorts(snapshot: MeshSnapshot, proxy: Proxy): number[] {
  return inboundPorts(snapshot, proxy).map(({ port }) => port)
}

/** The ports that services declare for the workload. Where two services declare one port, the first by name says what it speaks. */
function servicePorts(snapshot: MeshSnapshot, proxy: Proxy, settings: IngressSettings): InboundPort[] {
  const services = servicesOf(snapshot, proxy).sort((a, b) => (a.hostname < b.hostname ? -1 : 1))
  const found = new Map<number, InboundPort>()
  for (const service of services) {
    for (const port of service.ports) {
      const target = targetOn(proxy, snapshot, service, port)
      if (target === undefined || found.has(target)) continue
      found.set(target, {
        port: target,
        servicePort: port.number,
        protocol: port.protocol,
        service,
        provenance: { ...service.ref, path: `spec.ports[${port.index}]` },
        settings,
      })
    }
  }
  return [...found.values()].sort((a, b) => a.port - b.port)
}

/** The workload's own port that a service's port leads to. */
function targetOn(
  proxy: Proxy,
  snapshot: MeshSnapshot,
  service: MeshService,
  port: ServicePort,
): number | undefined {
  const { number, targetPort } = port
  if (service.selector === undefined) return ownEndpoints(snapshot, service, proxy, number)[0]?.port
  const workload = snapshot.workloads.get(`${proxy.namespace}/${proxy.name}`)
  if (workload) return targetOf(port, workload)
  return typeof targetPort === 'string' ? undefined : (targetPort ?? number)
}

/** The services that a workload is part of. */
export function servicesOf(snapshot: MeshSnapshot, proxy: WorkloadIdentity): MeshService[] {
  const found: MeshService[] = []
  for (const service of snapshot.services.values())
    if (isServedBy(snapshot, service, proxy)) found.push(service)
  return found
}

/** What tells which services a workload is part of. */
export type WorkloadIdentity = Pick<Proxy, 'namespace' | 'labels' | 'addresses'>

/** Whether a workload is one of a service's: its selector takes it in or, without one, an endpoint has its address. */
export function isServedBy(snapshot: MeshSnapshot, service: MeshService, proxy: WorkloadIdentity): boolean {
  if (service.namespace !== proxy.namespace) return false
  if (service.selector !== undefined) return selects(service.selector, proxy.labels)
  return service.ports.some(port => ownEndpoints(snapshot, service, proxy, port.number).length > 0)
}

function ownEndpoints(
  { endpoints }: MeshSnapshot,
  { hostname }: MeshService,
  { addresses }: WorkloadIdentity,
  port: number,
): readonly Endpoint[] {
  const all = endpoints.get(hostname)?.byPort.get(port) ?? []
  return all.filter(endpoint => allAddresses(endpoint).some(address => addresses.includes(address)))
}

/** A route configuration by name: with its hosts to come by VHDS, or as a whole table. */
export function routeConfiguration(
  scope: OutboundScope,
  name: string,
  { virtualHostDiscovery, onDemand }: Proxy,
): EncodedResource | undefined {
  const port = Number(name)
  if (!scope.httpPorts.has(port)) return undefined
  const takesAnyHost = scope.httpPorts.get(port)?.has('*') ?? false
  return virtualHostDiscovery
    ? routeConfigurationShell(port, scope.outside(port), { takesAnyHost, onDemand })
    : scope.routeTable(port, hosts => routeConfigurationTable(port, scope.outside(port), hosts))
}

function sorted(byName: ReadonlyMap<string, EncodedResource>): EncodedResource[] {
  return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** The xDS types that configuration consists of. */
export const CONFIG_TYPES = [
  TypeUrl.cluster,
  TypeUrl.endpoint,
  TypeUrl.listener,
  TypeUrl.route,
  TypeUrl.virtualHost,
] as const
