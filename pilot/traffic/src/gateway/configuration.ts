import type { EncodedResource } from '@seine/envoy'
import { destinationsOf, findService, gatewaysOf, type MeshService, virtualServiceHosts } from '@seine/model'
import { authoritySecret, certificateSecrets, namespacedSecret } from '../listeners/server-tls.ts'
import { clustersOfListener, clustersOfRouteConfiguration } from '../references.ts'
import { isServedAt, passedOnNames } from './auto-passthrough.ts'
import { clientCertificateOf } from './client-certificate.ts'
import { type GatewayListenerContext, gatewayListener } from './listeners.ts'
import { gatewayRoutes, gatewayServices, routeTableName } from './routes.ts'
import { type BoundServer, gatewayPorts } from './servers.ts'

/** What a gateway workload gets beside the clusters that its routes lead to. */
export interface GatewayConfiguration {
  readonly listeners: readonly EncodedResource[]
  readonly routes: readonly EncodedResource[]
  /** The clusters that its listeners and routes lead to: it gets no others. */
  readonly clusters: ReadonlySet<string>
  /** The secrets that its servers name: it gets no others. */
  readonly secrets: ReadonlySet<string>
  /** The hosts that a change has to touch to matter here. */
  readonly hosts: ReadonlySet<string>
  /** Whether it passes connections of other networks on to a service, if that is one. */
  passesOn(service: MeshService): boolean
}

/** Listeners and routes of a gateway workload, by the Gateways that select it. */
export function gatewayConfiguration(context: GatewayListenerContext): GatewayConfiguration {
  const ports = gatewayPorts(context.indexed.snapshot, context.proxy)
  const tables = new Map<string, BoundServer[]>()
  const secrets = new Set<string>()
  for (const { port, servers } of ports) {
    for (const bound of servers) {
      for (const name of secretsOf(bound)) secrets.add(name)
      if (bound.kind !== 'http' && bound.kind !== 'https') continue
      const name = routeTableName(bound, port)
      tables.set(name, [...(tables.get(name) ?? []), bound])
    }
  }
  const certificate = clientCertificateOf(context.indexed.snapshot, context.proxy)
  if (certificate) secrets.add(namespacedSecret(certificate.secret))
  const listeners = ports.flatMap(port => gatewayListener(context, port) ?? [])
  const passing = ports.flatMap(({ servers }) => servers).filter(({ kind }) => kind === 'auto-passthrough')
  const { namespace } = context.proxy
  const passesOn = (service: MeshService) => passing.some(bound => isServedAt(bound, service, namespace))
  const routes = [...tables].map(([name, servers]) => gatewayRoutes(context, name, servers))
  return {
    listeners,
    routes,
    clusters: new Set([
      ...listeners.flatMap(clustersOfListener),
      ...routes.flatMap(clustersOfRouteConfiguration),
      ...(passing.length > 0 ? passedOnClusters(context, passesOn) : []),
    ]),
    secrets,
    hosts: hostsOf(
      context,
      ports.flatMap(({ servers }) => servers),
    ),
    passesOn,
  }
}

/** The clusters that connections of other networks are sent to by their server name. */
function* passedOnClusters(
  { indexed, ruleFor }: GatewayListenerContext,
  passesOn: GatewayConfiguration['passesOn'],
): Iterable<string> {
  for (const service of indexed.snapshot.services.values())
    if (passesOn(service)) yield* passedOnNames(service, ruleFor(service.hostname))
}

function secretsOf({ server, kind }: BoundServer): string[] {
  const { tls } = server
  if (!tls || (kind !== 'https' && kind !== 'tls') || tls.mode === 'ISTIO_MUTUAL') return []
  const authority = authoritySecret(tls)
  return [...certificateSecrets(tls, server), ...(authority === undefined ? [] : [authority])]
}

function hostsOf(context: GatewayListenerContext, servers: readonly BoundServer[]): Set<string> {
  const own = new Set(servers.map(({ gatewayName }) => gatewayName))
  const { services } = context.indexed.snapshot
  return new Set(
    gatewayServices(context)
      .filter(service => gatewaysOf(service).some(name => own.has(name)))
      .flatMap(service => [
        ...virtualServiceHosts(service),
        ...destinationsOf(service).flatMap(({ host }) => [
          host,
          findService(services, host)?.hostname ?? host,
        ]),
      ]),
  )
}
