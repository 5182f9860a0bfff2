import type { EncodedResource, Provenance } from '@seine/envoy'
import { RouteConfigurationSchema } from '@seine/envoy/envoy/config/route/v3/route'
import {
  VirtualHost_TlsRequirementType as TlsRequirement,
  type VirtualHostSchema,
} from '@seine/envoy/envoy/config/route/v3/route_components'
import {
  byAge,
  exportScopes,
  gatewaysOf,
  isSocket,
  type RoutedService,
  virtualServiceHosts,
  visibleIn,
} from '@seine/model'
import { encode } from '../encode.ts'
import type { IndexedSnapshot } from '../indexed-snapshot.ts'
import type { Init } from '../init.ts'
import { objectsOf, provenanceField } from '../provenance-metadata.ts'
import type { Proxy } from '../proxy.ts'
import { proxySettingsOf, routeHeadersOf } from '../proxy-settings.ts'
import { type BuiltRoute, type RouteInputs, virtualServiceRoutes } from '../routes/virtual-host.ts'
import { type BoundServer, hostsAt } from './servers.ts'

type VirtualHostInit = Init<typeof VirtualHostSchema>

/** What a gateway's routes are made from. */
export interface GatewayContext {
  readonly indexed: IndexedSnapshot
  readonly proxy: Proxy
  ruleFor: RouteInputs['ruleFor']
}

/** The virtual services that are for gateways and that a namespace may see, the oldest first. */
export function gatewayServices({ indexed, proxy }: GatewayContext): RoutedService[] {
  return [...indexed.snapshot.virtualServices.values()]
    .filter(
      service =>
        gatewaysOf(service).some(name => name !== 'mesh') &&
        visibleIn(exportScopes(service.spec.exportTo), service.metadata.namespace, proxy.namespace),
    )
    .sort(byAge)
}

/** `http.8080`, for a socket `http.unix:///run/in.sock`, or for HTTPS, where each server has a table of its own, `https.443.<port name>.<gateway>.<namespace>`. */
export function routeTableName({ kind, server, gateway }: BoundServer, port: number): string {
  if (kind === 'http') return `http.${server.bind && isSocket(server.bind) ? server.bind : port}`
  const { name, namespace } = gateway.metadata
  return `https.${server.port.number}.${server.port.name}.${name}.${namespace}`
}

interface HostClaims {
  readonly services: Map<RoutedService, Set<string>>
  readonly causes: Provenance[]
  redirect: boolean
}

/**
 * The route table of servers that share it. Several virtual services for one host are as one, the oldest first; a
 * host that none claims is not found.
 */
export function gatewayRoutes(
  context: GatewayContext,
  name: string,
  servers: readonly BoundServer[],
): EncodedResource {
  const port = servers[0]?.server.port.number ?? 0
  const hosts = claimsOf(context, servers)
  const provenance: Provenance[] = servers.map(({ cause }) => cause)
  const virtualHosts = [...hosts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([host, claims]): VirtualHostInit => {
      const routes = routesOf(context, host, port, claims)
      const claimed = [...claims.causes, ...routes.flatMap(one => one.provenance)]
      const own = claimed.length > 0 ? claimed : servers.map(({ cause }) => cause)
      provenance.push(...own)
      return {
        name: `${host}:${port}`,
        domains: [host.includes(':') ? `[${host}]` : host],
        routes: routes.map(({ route }) => route),
        includeRequestAttemptCount: !headersOf(context).hidesAttempts,
        // That requests are sent elsewhere has no route to say why.
        ...provenanceField(claims.redirect ? claims.causes : objectsOf(own)),
        ...(claims.redirect ? { requireTls: TlsRequirement.ALL } : {}),
      }
    })
  return encode(
    RouteConfigurationSchema,
    name,
    {
      name,
      virtualHosts,
      validateClusters: false,
      // A client names the port it has come to, which may be mapped on its way.
      ignorePortInHostMatching: true,
      maxDirectResponseBodySizeBytes: 1 << 20,
    },
    provenance,
  )
}

function claimsOf(context: GatewayContext, servers: readonly BoundServer[]): Map<string, HostClaims> {
  const found = new Map<string, HostClaims>()
  const claimsFor = (host: string) => {
    const claims = found.get(host) ?? { services: new Map(), causes: [], redirect: false }
    found.set(host, claims)
    return claims
  }
  const services = gatewayServices(context)
  for (const bound of servers) {
    for (const service of services) {
      if (!gatewaysOf(service).includes(bound.gatewayName)) continue
      for (const host of hostsAt(bound, virtualServiceHosts(service), service.metadata.namespace)) {
        const known = claimsFor(host).services
        known.set(service, (known.get(service) ?? new Set()).add(bound.gatewayName))
      }
    }
    if (!bound.server.tls?.httpsRedirect) continue
    for (const { host } of bound.hosts) claimsFor(host)
    // All that the server's hosts cover are redirected, whoever claims them.
    for (const [host, claims] of found) {
      if (hostsAt(bound, [host], '').length === 0 && !bound.hosts.some(one => one.host === host)) continue
      claims.redirect = true
      claims.causes.push({ ...bound.cause, path: `${bound.cause.path}.tls.httpsRedirect` })
    }
  }
  return found
}

function headersOf({ indexed, proxy }: GatewayContext): RouteInputs['headers'] {
  return routeHeadersOf(proxySettingsOf(indexed.snapshot, proxy))
}

function routesOf(
  context: GatewayContext,
  hostname: string,
  port: number,
  { services }: HostClaims,
): BuiltRoute[] {
  const { indexed, proxy } = context
  const { namespace, labels } = proxy
  const built: BuiltRoute[] = []
  for (const [service, gateways] of services) {
    const inputs = {
      snapshot: indexed.snapshot,
      hostname,
      port,
      namespace,
      sourceLabels: labels,
      gateways,
      ruleFor: context.ruleFor,
      headers: headersOf(context),
    }
    built.push(...virtualServiceRoutes(inputs, service))
  }
  return built
}
