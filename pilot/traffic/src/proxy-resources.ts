import { durationMs } from '@seine/api'
import { type EncodedResource, TypeUrl } from '@seine/envoy'
import { type MeshService, type MeshSnapshot, selects } from '@seine/model'
import { builtInClusters, inboundCluster } from './clusters/inbound.ts'
import { type InboundPort, virtualInbound } from './listeners/inbound.ts'
import {
  detectedListeners,
  httpListener,
  type OutboundListenerContext,
  tcpListeners,
  virtualOutbound,
} from './listeners/outbound.ts'
import type { IndexedSnapshot, OutboundScope } from './outbound-scope.ts'
import type { TrafficPlugin } from './plugin.ts'
import type { Proxy } from './proxy.ts'
import { routeConfigurationShell, routeConfigurationTable } from './routes/route-configuration.ts'

/** The outbound listeners of a workload, in the order of their names. */
export function outboundListeners(
  indexed: IndexedSnapshot,
  scope: OutboundScope,
  proxy: Proxy,
  plugins: readonly TrafficPlugin[],
): EncodedResource[] {
  const context: OutboundListenerContext = { snapshot: indexed.snapshot, proxy, plugins }
  const byName = new Map<string, EncodedResource>()
  const add = (listener: EncodedResource) => {
    if (!byName.has(listener.name)) byName.set(listener.name, listener)
  }
  add(virtualOutbound(context))
  for (const port of scope.httpPorts.keys()) add(httpListener(context, port))
  for (const [hostname, targets] of [...scope.targets].sort(([a], [b]) => (a < b ? -1 : 1))) {
    for (const found of targets) {
      const target = { ...found, virtualService: indexed.virtualServices.find(hostname, proxy.namespace) }
      for (const listener of found.port.protocol === 'auto'
        ? detectedListeners(context, target)
        : tcpListeners(context, target))
        add(listener)
    }
  }
  return sorted(byName)
}

/** The inbound listener and clusters of a workload. */
export function inboundResources(
  snapshot: MeshSnapshot,
  proxy: Proxy,
  plugins: readonly TrafficPlugin[],
): { listener: EncodedResource; clusters: EncodedResource[] } {
  const ports = inboundPorts(snapshot, proxy)
  return {
    listener: virtualInbound({ snapshot, proxy, plugins, ports }),
    clusters: [
      ...builtInClusters(durationMs(snapshot.config.connectTimeout)),
      ...ports.map(port => inboundCluster(port.port, port.protocol, [port.provenance])),
    ],
  }
}

/** The ports that services declare for the workload. Where two services declare one port, the first by name says what it speaks. */
function inboundPorts(snapshot: MeshSnapshot, proxy: Proxy): InboundPort[] {
  const services = servicesOf(snapshot, proxy).sort((a, b) => (a.hostname < b.hostname ? -1 : 1))
  const found = new Map<number, InboundPort>()
  const workload = snapshot.workloads.get(`${proxy.namespace}/${proxy.name}`)
  for (const service of services) {
    for (const [index, port] of service.ports.entries()) {
      const target =
        typeof port.targetPort === 'string'
          ? workload?.namedPorts.get(port.targetPort)
          : (port.targetPort ?? port.number)
      if (target === undefined || found.has(target)) continue
      found.set(target, {
        port: target,
        protocol: port.protocol,
        service,
        provenance: { ...service.ref, path: `spec.ports[${index}]` },
      })
    }
  }
  return [...found.values()].sort((a, b) => a.port - b.port)
}

/** The services that a workload is part of. */
export function servicesOf(
  snapshot: MeshSnapshot,
  proxy: Pick<Proxy, 'namespace' | 'labels'>,
): MeshService[] {
  const found: MeshService[] = []
  for (const service of snapshot.services.values()) if (isServedBy(service, proxy)) found.push(service)
  return found
}

/** Whether a service's selector takes the workload in. */
export function isServedBy(service: MeshService, proxy: Pick<Proxy, 'namespace' | 'labels'>): boolean {
  return (
    service.namespace === proxy.namespace &&
    service.selector !== undefined &&
    selects(service.selector, proxy.labels)
  )
}

/** A route configuration by name: with its hosts to come by VHDS, or as a whole table. */
export function routeConfiguration(
  { snapshot: { config } }: IndexedSnapshot,
  scope: OutboundScope,
  name: string,
  whole: boolean,
): EncodedResource | undefined {
  const port = Number(name)
  if (!scope.httpPorts.has(port)) return undefined
  return whole
    ? scope.routeTable(port, hosts => routeConfigurationTable(port, config, hosts))
    : routeConfigurationShell(port, config)
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
