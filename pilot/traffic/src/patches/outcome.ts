import type { Message } from '@bufbuild/protobuf'
import { type Any, anyUnpack } from '@bufbuild/protobuf/wkt'
import { canonicalIp } from '@seine/api'
import { configTypeOf, endsChain, messageType, ruleMistake, TypeUrl } from '@seine/envoy'
import type { Cluster } from '@seine/envoy/envoy/config/cluster/v3/cluster'
import { Cluster_DiscoveryType } from '@seine/envoy/envoy/config/cluster/v3/cluster'
import { type Address, SocketAddress_Protocol } from '@seine/envoy/envoy/config/core/v3/address'
import type { TransportSocket } from '@seine/envoy/envoy/config/core/v3/base'
import type { Listener } from '@seine/envoy/envoy/config/listener/v3/listener'
import type { FilterChain } from '@seine/envoy/envoy/config/listener/v3/listener_components'
import type { RouteConfiguration } from '@seine/envoy/envoy/config/route/v3/route'
import type { VirtualHost } from '@seine/envoy/envoy/config/route/v3/route_components'
import { HttpConnectionManagerSchema } from '@seine/envoy/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager'
import { chainConflict } from './chain-conflicts.ts'

/**
 * Why Envoy would refuse a resource that patches have shaped, by the rules that hold within its messages and between
 * its parts; undefined for what it takes, as far as that can be told without it.
 */
export function outcomeMistake(type: string, message: Message): string | undefined {
  const found = ruleMistake(messageType(message.$typeName), message, null, false)
  if (found) return [found.path.join('.'), found.reason].filter(Boolean).join(': ')
  switch (type) {
    case TypeUrl.listener:
      return listenerMistake(message as Listener)
    case TypeUrl.cluster:
      return clusterMistake(message as Cluster)
    case TypeUrl.route:
      return domainMistake((message as RouteConfiguration).virtualHosts)
    case TypeUrl.virtualHost:
      return domainMistake([message as VirtualHost])
    default:
      return undefined
  }
}

function listenerMistake(listener: Listener): string | undefined {
  const addresses = [listener.address, ...listener.additionalAddresses.map(({ address }) => address)]
  for (const address of addresses) {
    const mistake = address && ipMistake(address)
    if (mistake) return mistake
  }
  const chains = [
    ...listener.filterChains,
    ...(listener.defaultFilterChain ? [listener.defaultFilterChain] : []),
  ]
  if (chains.length === 0 && !isUdp(listener.address)) return 'it has no filter chain'
  for (const chain of chains) {
    const mistake = chainMistake(chain)
    if (mistake) return `${chain.name ? `filter chain ${chain.name}` : 'a filter chain'}: ${mistake}`
  }
  return chainConflict(listener.filterChains)
}

function isUdp(address: Address | undefined): boolean {
  const { address: at } = address ?? {}
  return at?.case === 'socketAddress' && at.value.protocol === SocketAddress_Protocol.UDP
}

/** Names are resolved by what is told to; by itself Envoy takes addresses only. */
function ipMistake({ address }: Address): string | undefined {
  if (address.case !== 'socketAddress' || address.value.resolverName) return undefined
  const { address: ip } = address.value
  return canonicalIp(ip) === undefined ? `"${ip}" is no IP address` : undefined
}

function chainMistake({ filters, transportSocket }: FilterChain): string | undefined {
  const order = orderMistake(filters)
  if (order) return order
  const socket = socketMistake(transportSocket, 'UpstreamTlsContext')
  if (socket) return socket
  for (const { configType } of filters) {
    if (configType.case !== 'typedConfig') continue
    const manager = anyUnpack(configType.value, HttpConnectionManagerSchema)
    if (!manager) continue
    const mistake =
      orderMistake(manager.httpFilters) ??
      (manager.routeSpecifier.case === 'routeConfig'
        ? domainMistake(manager.routeSpecifier.value.virtualHosts)
        : undefined)
    if (mistake) return mistake
  }
  return undefined
}

interface Filter {
  readonly name: string
  readonly configType: { readonly case?: string | undefined; readonly value?: unknown }
  readonly disabled?: boolean
}

/**
 * Of network filters and of those of HTTP, the last ends the chain, and no other does. A chain without filters is one.
 * Where a filter's configuration comes by itself, nothing is known of it yet.
 */
function orderMistake(filters: readonly Filter[]): string | undefined {
  for (const [index, { name, configType, disabled }] of filters.entries()) {
    if (configType.case !== 'typedConfig') continue
    const ends = endsChain(configType.value as Any)
    const isLast = index === filters.length - 1
    if (ends && !isLast) {
      const next = filters[index + 1]?.name
      return `the filter ${name} ends its chain and has to be the last, but ${next} comes after it`
    }
    if (!ends && isLast)
      return `the filter ${name} is the last of its chain, and does not end it as a router or a proxy does`
    if (ends && disabled) return `the filter ${name} ends its chain and can't be disabled`
  }
  return undefined
}

const TLS = 'envoy.extensions.transport_sockets.tls.v3.'

/** @param other the TLS of the other side */
function socketMistake(socket: TransportSocket | undefined, other: string): string | undefined {
  if (!socket) return undefined
  const { name, configType } = socket
  const type = configType.case === 'typedConfig' ? configTypeOf(configType.value) : ''
  if (type === '') return `the transport socket ${name} needs its typed_config`
  return type === `${TLS}${other}` ? `${other} is not for this side of a connection` : undefined
}

/** A domain belongs to one virtual host of a table, whatever its case. */
function domainMistake(hosts: readonly VirtualHost[]): string | undefined {
  const known = new Map<string, string>()
  for (const { name, domains } of hosts)
    for (const domain of domains) {
      const key = domain.toLowerCase()
      const other = known.get(key)
      if (other !== undefined) return `the virtual hosts ${other} and ${name} both have the domain ${domain}`
      known.set(key, name)
    }
  return undefined
}

function clusterMistake(cluster: Cluster): string | undefined {
  const sockets = [
    cluster.transportSocket,
    ...cluster.transportSocketMatches.map(({ transportSocket }) => transportSocket),
  ]
  for (const socket of sockets) {
    const mistake = socketMistake(socket, 'DownstreamTlsContext')
    if (mistake) return mistake
  }
  return discoveryMistake(cluster)
}

function discoveryMistake(cluster: Cluster): string | undefined {
  const { clusterDiscoveryType: discovery, edsClusterConfig, loadAssignment } = cluster
  // A cluster of a type of its own has its own rules.
  if (discovery.case === 'clusterType') return undefined
  const type = discovery.value ?? Cluster_DiscoveryType.STATIC
  if (edsClusterConfig && type !== Cluster_DiscoveryType.EDS)
    return 'eds_cluster_config goes with the type EDS only'
  const endpoints = loadAssignment?.endpoints.flatMap(({ lbEndpoints }) => lbEndpoints) ?? []
  if (type === Cluster_DiscoveryType.LOGICAL_DNS && endpoints.length !== 1)
    return 'the type LOGICAL_DNS takes one endpoint'
  if (type !== Cluster_DiscoveryType.STATIC) return undefined
  for (const { hostIdentifier } of endpoints) {
    const address = hostIdentifier.case === 'endpoint' ? hostIdentifier.value.address : undefined
    const mistake = address && ipMistake(address)
    if (mistake) return mistake
  }
  return undefined
}
