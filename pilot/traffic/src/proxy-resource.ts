import { type EncodedResource, TypeUrl } from '@seine/envoy'
import type { MeshSnapshot } from '@seine/model'
import { needsSecret } from './client-secrets.ts'
import { underName } from './destination-clusters.ts'
import { gatewaySecret } from './gateway/secrets.ts'
import { clientAuthority } from './listeners/authorities.ts'
import { NAME_TABLE_TYPE } from './name-table.ts'
import { isDestinationCluster } from './names.ts'
import { BOOTSTRAP_PATCHES, BOOTSTRAP_PATCHES_TYPE, noBootstrapPatches } from './patches/bootstrap.ts'
import { sameAddress } from './patches/listener-addresses.ts'
import { PATCHED_TYPES, type PatchTarget } from './patches/patch-set.ts'
import { routeConfiguration, servicesOf } from './proxy-resources.ts'
import { clustersFor, isForGateway, type ProxyState } from './proxy-state.ts'
import { unknownHost } from './routes/unknown-host.ts'

/** A resource of a proxy, as the patches for it leave it. */
export function resourceOf(
  snapshot: MeshSnapshot,
  state: ProxyState,
  type: string,
  name: string,
): EncodedResource | undefined {
  if (isDestinationCluster(name) && !state.gateway) return forDestination(snapshot, state, type, name)
  const own = resourceBeforePatches(snapshot, state, type, name)
  if (!state.patches?.touches(type)) return own
  const patched = own && state.patches.apply(type, own, patchTargetOf(snapshot, state))
  return patched ?? addedResource(state, type, name)
}

/** What a patch adds to a proxy, unless it has the address of a listener that the proxy has. */
function addedResource(state: ProxyState, type: string, name: string): EncodedResource | undefined {
  const added = state.patches?.added(type).get(name)
  return added && !listenerInTheWay(state, type, added) ? added : undefined
}

/** The listener of a proxy that an added one can't stand beside. */
export function listenerInTheWay(
  { inboundListeners, outboundListeners }: ProxyState,
  type: string,
  added: EncodedResource,
): EncodedResource | undefined {
  if (type !== TypeUrl.listener) return undefined
  return sameAddress(added, [...inboundListeners.values(), ...outboundListeners.values()])
}

/** The cluster for an address, or its endpoints: those of what the address stands for. */
function forDestination(
  snapshot: MeshSnapshot,
  state: ProxyState,
  type: string,
  name: string,
): EncodedResource | undefined {
  if (type !== TypeUrl.cluster && type !== TypeUrl.endpoint) return undefined
  const destination = state.scope.destination(name)
  const own = resourceOf(snapshot, state, type, destination.cluster)
  return own && underName(type, own, name, destination)
}

/** The names of what a proxy gets of a type; with `prefix`, the virtual hosts of that table. */
export function namesOf(
  snapshot: MeshSnapshot,
  state: ProxyState,
  type: string,
  prefix?: string,
): Iterable<string> {
  const own = generatedNames(state, type, prefix)
  if (!state.patches?.touches(type)) return own
  const names = new Set(own)
  for (const name of names) if (!resourceOf(snapshot, state, type, name)) names.delete(name)
  for (const name of state.patches.added(type).keys()) if (addedResource(state, type, name)) names.add(name)
  return names
}

/** The virtual host for a host that the mesh does not know, by `<port>/<host>`. */
export function unknownHostOf(snapshot: MeshSnapshot, state: ProxyState, name: string): EncodedResource {
  const table = Number(name.slice(0, name.indexOf('/')))
  const host = unknownHost(name, state.scope.outside(table), state.scope.egress.isProxy(table))
  if (!state.patches?.touches(TypeUrl.virtualHost)) return host
  return state.patches.apply(TypeUrl.virtualHost, host, patchTargetOf(snapshot, state)) ?? host
}

/** Gives a proxy other patches. @returns the names of what they change, by type. */
export function changePatches(
  snapshot: MeshSnapshot,
  state: ProxyState,
  patches: ProxyState['patches'],
): Map<string, Set<string>> {
  const types = PATCHED_TYPES.filter(type => state.patches?.touches(type) || patches?.touches(type))
  const versions = () =>
    types.map(type => {
      const names = [...namesOf(snapshot, state, type)]
      return new Map(names.map(name => [name, resourceOf(snapshot, state, type, name)?.version]))
    })
  const before = versions()
  state.patches = patches
  state.standingClusters = undefined
  const changed = new Map<string, Set<string>>()
  for (const [index, after] of versions().entries()) {
    const old = before[index] ?? new Map()
    const names = [...after.keys(), ...old.keys()].filter(name => after.get(name) !== old.get(name))
    changed.set(types[index] ?? '', new Set(names))
  }
  // Virtual hosts for unknown hosts differ too: who has some is asked by their tables.
  if (types.includes(TypeUrl.virtualHost))
    changed.set(TypeUrl.route, new Set(namesOf(snapshot, state, TypeUrl.route)))
  return changed
}

/** What of a proxy decides how its resources are patched. */
export function patchTargetOf(snapshot: MeshSnapshot, { proxy }: ProxyState): PatchTarget {
  return {
    isGateway: proxy.type === 'router',
    get hosts() {
      return servicesOf(snapshot, proxy).map(({ hostname }) => hostname)
    },
  }
}

/** A resource of a proxy as it is generated, before any patch. */
export function resourceBeforePatches(
  snapshot: MeshSnapshot,
  state: ProxyState,
  type: string,
  name: string,
): EncodedResource | undefined {
  switch (type) {
    case TypeUrl.cluster:
      if (state.gateway && !isForGateway(state, name)) return state.inboundClusters.get(name)
      return state.inboundClusters.get(name) ?? state.scope.clusters.get(name)
    case TypeUrl.endpoint:
      return state.scope.endpoints.get(name)
    case TypeUrl.listener:
      return state.inboundListeners.get(name) ?? state.outboundListeners.get(name)
    case TypeUrl.route:
      return state.gateway ? state.tables.get(name) : routeConfiguration(state.scope, name, state.proxy)
    case TypeUrl.secret:
      return secret(snapshot, state, name)
    case TypeUrl.virtualHost:
      return state.scope.virtualHosts.get(name)
    case NAME_TABLE_TYPE:
      return state.scope.names.get(name)
    case BOOTSTRAP_PATCHES_TYPE:
      return name === BOOTSTRAP_PATCHES ? (state.patches?.bootstrap ?? noBootstrapPatches) : undefined
    default:
      return undefined
  }
}

/** Private keys are for proxies whose identity is proven, and of those for the one whose servers or rules name them. */
function secret(
  snapshot: MeshSnapshot,
  { proxy, gateway }: ProxyState,
  name: string,
): EncodedResource | undefined {
  const authority = gateway && clientAuthority(snapshot, name)
  if (authority) return authority
  if (!proxy.authenticated) return undefined
  if (!gateway?.secrets.has(name) && !needsSecret(snapshot, proxy, name)) return undefined
  return gatewaySecret(snapshot, proxy.namespace, name)
}

/** The names of what is generated for a proxy, before any patch. */
export function generatedNames(state: ProxyState, type: string, prefix?: string): Iterable<string> {
  switch (type) {
    case TypeUrl.cluster:
      return [...state.inboundClusters.keys(), ...clustersFor(state)]
    case TypeUrl.endpoint:
      return state.gateway
        ? clustersFor(state).filter(name => state.scope.endpoints.get(name))
        : state.scope.endpoints.keys()
    case TypeUrl.listener:
      return new Set([...state.inboundListeners.keys(), ...state.outboundListeners.keys()])
    case TypeUrl.route:
      return state.gateway ? state.tables.keys() : [...state.scope.httpPorts.keys()].map(String)
    case TypeUrl.virtualHost:
      if (prefix === undefined) return state.scope.virtualHosts.keys()
      return [...(state.scope.httpPorts.get(Number(prefix)) ?? [])].map(host => `${prefix}/${host}`)
    case NAME_TABLE_TYPE:
      return state.scope.names.keys()
    case BOOTSTRAP_PATCHES_TYPE:
      return [BOOTSTRAP_PATCHES]
    default:
      return []
  }
}
