import type { Provenance } from '@seine/envoy'
import {
  byAge,
  hostCovers,
  type MeshSnapshot,
  type ServedGateway,
  type ServedListener,
  type ServerKind,
  selects,
  serverConflict,
  serverKind,
} from '@seine/model'
import { type Addresses, familiesOf, wildcards } from '../address-families.ts'
import type { Proxy } from '../proxy.ts'
import { servicesOf } from '../proxy-resources.ts'

/** A host of a server, and the namespace whose virtual services may claim it; `*` stands for any. */
export interface ServerHost {
  readonly namespace: string
  readonly host: string
}

/** A server of a Gateway that a proxy serves. */
export interface BoundServer {
  readonly gateway: ServedGateway
  /** `namespace/name` of the Gateway. */
  readonly gatewayName: string
  readonly server: ServedListener
  readonly kind: ServerKind
  readonly hosts: readonly ServerHost[]
  readonly cause: Provenance
}

/** What a proxy listens on, with the servers that share it. All of them take TLS, or none does. */
export interface GatewayPort {
  /** The addresses that it listens on; the first is in its name. */
  readonly bind: Addresses
  readonly port: number
  readonly servers: readonly BoundServer[]
}

/**
 * The ports that a gateway workload listens on, by the Gateways whose selector it fits, the oldest first. As in
 * Istio: the number of a server is a port of the workload's own Service, and Envoy listens on the target of that;
 * on one port HTTP servers share a route table, servers with TLS share it by server name, and what does not go
 * with the oldest is left out, as is what would take a port that the proxy has for itself.
 */
export function gatewayPorts(snapshot: MeshSnapshot, proxy: Proxy): GatewayPort[] {
  const ports = new Map<string, { bind: Addresses; port: number; servers: BoundServer[] }>()
  const targets = targetPorts(snapshot, proxy)
  const any = wildcards(familiesOf(proxy.addresses))
  for (const gateway of [...snapshot.gateways.values()].sort(byAge)) {
    if (!selects(gateway.spec.selector, proxy.labels)) continue
    // Where the Gateway API has a Gateway's workloads: elsewhere somebody else's may have its name.
    if (gateway.derivedFrom && gateway.metadata.namespace !== proxy.namespace) continue
    for (const [index, server] of gateway.spec.servers.entries()) {
      const bound = bind(gateway, server, index)
      const addresses: Addresses = server.bind ? [server.bind] : any
      for (const port of targets.get(server.port.number) ?? [server.port.number]) {
        const key = `${addresses[0]}_${port}`
        const found = ports.get(key) ?? { bind: addresses, port, servers: [] }
        const kinds = found.servers.map(({ kind }) => kind)
        // Analysis tells of those that are left out.
        if (serverConflict(bound.kind, port, kinds)) continue
        found.servers.push(bound)
        ports.set(key, found)
      }
    }
  }
  return [...ports.values()].sort((a, b) => a.port - b.port || (a.bind[0] < b.bind[0] ? -1 : 1))
}

/** Whether a proxy has a server that passes connections of other networks on. */
export function passesOn({ gateways }: MeshSnapshot, proxy: Proxy): boolean {
  if (proxy.type !== 'router') return false
  return [...gateways.values()].some(
    ({ spec }) =>
      selects(spec.selector, proxy.labels) &&
      spec.servers.some(server => serverKind(server) === 'auto-passthrough'),
  )
}

function bind(gateway: ServedGateway, server: ServedListener, index: number): BoundServer {
  const { namespace, name } = gateway.metadata
  return {
    gateway,
    gatewayName: `${namespace}/${name}`,
    server,
    kind: serverKind(server),
    hosts: server.hosts.map(host => hostOf(host, namespace)),
    cause: server.cause ?? { kind: gateway.kind, namespace, name, path: `spec.servers[${index}]` },
  }
}

function hostOf(text: string, own: string): ServerHost {
  const slash = text.indexOf('/')
  if (slash < 0) return { namespace: '*', host: text }
  const namespace = text.slice(0, slash)
  return { namespace: namespace === '.' ? own : namespace, host: text.slice(slash + 1) }
}

/** The ports of the workload that each port of its own services leads to. */
export function targetPorts(snapshot: MeshSnapshot, proxy: Proxy): Map<number, number[]> {
  const found = new Map<number, Set<number>>()
  const workload = snapshot.workloads.get(`${proxy.namespace}/${proxy.name}`)
  for (const service of servicesOf(snapshot, proxy)) {
    for (const { number, targetPort } of service.ports) {
      const target = typeof targetPort === 'string' ? workload?.namedPorts.get(targetPort) : targetPort
      if (typeof targetPort === 'string' && target === undefined) continue
      found.set(number, (found.get(number) ?? new Set()).add(target ?? number))
    }
  }
  return new Map([...found].map(([number, ports]) => [number, [...ports].sort((a, b) => a - b)]))
}

/**
 * The hosts under which a virtual service of a namespace is reached at a server: of two that cover each other,
 * the narrower one.
 */
export function hostsAt({ hosts }: BoundServer, claimed: readonly string[], namespace: string): string[] {
  const open = hosts.filter(host => host.namespace === '*' || host.namespace === namespace)
  const found = claimed.flatMap(claim =>
    open.flatMap(({ host }) => {
      if (host === claim || host === '*' || hostCovers(host, claim)) return [claim]
      return claim === '*' || hostCovers(claim, host) ? [host] : []
    }),
  )
  return [...new Set(found)]
}
