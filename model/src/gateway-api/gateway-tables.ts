import type { ServedGateway, ServedListener } from './derived.ts'
import { ANY_HOST, covers } from './hostnames.ts'
import type { Query, Reader } from './incremental.ts'
import { GATEWAY_NAME_LABEL, kindOfKey, listed, objectOf } from './inputs.ts'
import { clientCertificate } from './listener-tls.ts'
import { type GatewayListeners, gatewayListeners, type ListenerState } from './listeners.ts'
import { GROUP, objectKey } from './objects.ts'
import { routeState } from './route-conflicts.ts'

/** A host at one listener, with the routes that decide there; without any it is refused. */
export interface HostEntry {
  readonly listener: string
  readonly host: string
  readonly port: number
  readonly kind: 'http' | 'https' | 'tls' | 'tcp'
  /** Keys of routes. */
  readonly routes: readonly string[]
}

/** What a Gateway's workloads listen for, and for which hosts. */
export interface GatewayTables {
  readonly gateways: readonly ServedGateway[]
  readonly hosts: Readonly<Record<string, HostEntry>>
}

/** The listeners and hosts of a Gateway, by `namespace/name`. */
export const gatewayTables: Query<GatewayTables | undefined> = {
  name: 'tables',
  compute(key, read) {
    const all = read.ask(gatewayListeners, key)
    if (!all || (!all.accepted.ok && all.accepted.reason !== 'ListenersNotValid')) return undefined
    const usable = all.listeners.filter(({ programmed }) => programmed.ok)
    const attached = attachedTo(read, key, all)
    const gateway = objectOf(read, 'Gateway', all.namespace, all.name)
    const { secret } = gateway ? clientCertificate(read, gateway) : {}
    const gateways: ServedGateway[] = []
    const hosts: Record<string, HostEntry> = {}
    for (const listener of usable) {
      const id = listenerId(listener)
      const byHost = attached.get(id) ?? new Map<string, string[]>()
      const entries = hostEntries(listener, byHost, usable)
      for (const entry of entries) hosts[`${id} ${entry.host}`] = entry
      gateways.push({
        ...servedGateway(all, listener, entries),
        ...(secret === undefined ? {} : { clientCertificate: secret }),
      })
    }
    return { gateways, hosts }
  },
}

/** A listener's name among all of its Gateway. */
export function listenerId({ owner, name }: Pick<ListenerState, 'owner' | 'name'>): string {
  return owner.kind === 'Gateway' ? name : `${owner.namespace}~${owner.name}~${name}`
}

/** Routes by listener and host. */
function attachedTo(
  read: Reader,
  gateway: string,
  all: GatewayListeners,
): Map<string, Map<string, string[]>> {
  const [namespace = '', name = ''] = gateway.split('/')
  const parents = [
    objectKey('Gateway', namespace, name),
    ...all.sets.filter(one => one.allowed).map(one => objectKey('ListenerSet', one.namespace, one.name)),
  ]
  const found = new Map<string, Map<string, string[]>>()
  for (const route of new Set(parents.flatMap(parent => listed(read, 'routesOf', parent)))) {
    for (const { listeners } of read.ask(routeState, route)?.parents ?? []) {
      for (const one of listeners) {
        if (one.gateway !== gateway) continue
        const id = listenerId({ owner: one.owner, name: one.listener })
        const hosts = found.get(id) ?? new Map<string, string[]>()
        found.set(id, hosts)
        for (const host of one.hosts) {
          const routes = hosts.get(host) ?? []
          if (!routes.includes(route)) hosts.set(host, [...routes, route])
        }
      }
    }
  }
  return found
}

/**
 * The hosts of a listener. What another listener of the port is closer to is not this one's, even where that has
 * no route for it.
 */
function hostEntries(
  listener: ListenerState,
  attached: ReadonlyMap<string, readonly string[]>,
  all: readonly ListenerState[],
): HostEntry[] {
  const kind = kindOf(listener)
  const base = { listener: listenerId(listener), port: listener.port, kind }
  const neighbours = all.filter(
    other => other !== listener && other.port === listener.port && other.protocol === listener.protocol,
  )
  const closer = neighbours.filter(({ hostname }) => covers(listener.hostname, hostname))
  const entries = [...attached]
    .filter(([host]) => !closer.some(({ hostname }) => covers(hostname, host)))
    .map(([host, routes]): HostEntry => ({ ...base, host, routes: ofKind(routes, listener) }))
  if (kind === 'tcp' || kind === 'tls') return entries
  const refused = new Set<string>()
  // Listeners for plain HTTP share a table; of those with TLS each has one of its own.
  if (kind === 'https') for (const { hostname } of closer) refused.add(hostname)
  else if (neighbours.some(({ hostname }) => covers(hostname, listener.hostname)))
    refused.add(listener.hostname)
  for (const { host } of entries) refused.delete(host)
  return [...entries, ...[...refused].map((host): HostEntry => ({ ...base, host, routes: [] }))]
}

/** What is routed at a listener; TLS that is ended there leaves connections. */
function kindOf({ protocol, passthrough }: ListenerState): HostEntry['kind'] {
  if (protocol === 'HTTP') return 'http'
  if (protocol === 'HTTPS') return 'https'
  return passthrough ? 'tls' : 'tcp'
}

/** TLS that is ended is routed by the host that was asked for, before what is routed without. */
function ofKind(routes: readonly string[], { protocol }: ListenerState): readonly string[] {
  if (protocol !== 'TLS') return routes
  const byHost = routes.filter(key => kindOfKey(key) === 'TLSRoute')
  return byHost.length > 0 ? byHost : routes
}

/** The name of the gateway that a listener is in the mesh. */
export function servedName(gateway: string, listener: string): string {
  return `${gateway}~${listener}`
}

function servedGateway(
  { namespace, name }: GatewayListeners,
  listener: ListenerState,
  entries: readonly HostEntry[],
): ServedGateway {
  // TLS that is ended and handed on by host needs a chain for each.
  const hosts =
    listener.protocol === 'TLS' && !listener.passthrough && entries.length > 0
      ? entries.map(({ host }) => [host])
      : [[listener.hostname]]
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'Gateway',
    metadata: { name: servedName(name, listenerId(listener)), namespace, labels: {}, annotations: {} },
    spec: {
      selector: { [GATEWAY_NAME_LABEL]: name },
      servers: hosts.map((own, index) => server(listener, own, index, { namespace, name })),
    },
    derivedFrom: { kind: 'Gateway', group: GROUP, namespace, name },
  }
}

function server(
  listener: ListenerState,
  hosts: readonly string[],
  index: number,
  gateway: { namespace: string; name: string },
): ServedListener {
  const { protocol, port, owner } = listener
  const path = `spec.listeners[${listener.index}]`
  const cause =
    owner.kind === 'Gateway'
      ? { kind: 'Gateway', group: GROUP, ...gateway, path }
      : { kind: 'ListenerSet', namespace: owner.namespace, name: owner.name, path }
  const id = listenerId(listener)
  return {
    port: { number: port, name: index === 0 ? id : `${id}~${index}`, protocol },
    hosts: hosts.map(host => (host === ANY_HOST ? '*/*' : `*/${host}`)),
    cause,
    ...tlsOf(listener),
  }
}

function tlsOf(listener: ListenerState): Partial<ServedListener> {
  const { protocol, passthrough, certificates, clientAuthorities, clientCertificateOptional } = listener
  if (protocol !== 'HTTPS' && protocol !== 'TLS') return {}
  if (passthrough) return { tls: { mode: 'PASSTHROUGH' } }
  const mode =
    clientAuthorities === undefined ? 'SIMPLE' : clientCertificateOptional ? 'OPTIONAL_MUTUAL' : 'MUTUAL'
  return {
    tls: { mode },
    certificates,
    ...(clientAuthorities === undefined ? {} : { clientAuthorities, clientCertificateOptional }),
  }
}
