import type { Provenance } from '@seine/envoy'
import { allAddresses, isHttp, type MeshService, type ServiceEndpoints, type ServicePort } from '@seine/model'
import type { Place, SeenPort } from '../egress.ts'
import type { MatchedRouting, TcpRouting, TcpRoutings } from './tcp-routing.ts'

/** A port of a service whose connections are not, or not all, known to be HTTP, and where a client finds it. */
export interface ListenerTarget {
  readonly service: Pick<MeshService, 'hostname' | 'name' | 'namespace'>
  readonly port: number
  /** Whether the protocol is found out from the first bytes. */
  readonly detected: boolean
  /** Whether sidecars may be at the other end. */
  readonly meshed: boolean
  /** Where a Sidecar says that connections are taken. */
  readonly place: Place
  /** Addresses that are the service's alone. */
  readonly addresses: readonly string[]
  /** Ranges of addresses that lead to it. */
  readonly ranges: readonly string[]
  /** The name by which a TLS client asks for it, where no address tells. */
  readonly serverName: string | undefined
  readonly routing: TcpRouting
  /** Connections that go elsewhere, by how they come. */
  readonly matched: readonly MatchedRouting[]
}

/**
 * The ports of a service that need more than the route table of the port: TCP, TLS, and those whose protocol
 * is detected.
 */
export function listenerTargets(
  service: MeshService,
  ports: readonly SeenPort[],
  endpoints: ServiceEndpoints,
  routingsOf: (port: ServicePort) => TcpRoutings,
): readonly ListenerTarget[] {
  const { hostname, name, namespace } = service
  return (
    ports
      .filter(isTarget)
      .map(({ port, protocol, place }) => {
        const { matched, rest } = routingsOf(port)
        const own =
          place.addresses !== undefined
            ? []
            : service.headless
              ? (endpoints.byPort.get(port.number) ?? []).flatMap(allAddresses)
              : service.addresses
        const addresses = [...new Set(own.filter(address => !address.includes('/')))]
        const ranges = own.filter(address => address.includes('/'))
        const encrypted = protocol === 'tls' || protocol === 'https'
        return {
          service: { hostname, name, namespace },
          port: port.number,
          detected: protocol === 'auto',
          meshed: !service.external,
          place,
          addresses,
          ranges,
          serverName: encrypted && addresses.length === 0 && hostname !== '*' ? hostname : undefined,
          routing: rest,
          // Only what is not HTTP in the clear can be told apart by a server name.
          matched:
            protocol === 'auto' || encrypted ? matched : matched.filter(one => one.serverNames.length === 0),
        }
      })
      // Where a port is found by nothing but its number, one that is detected has the route table's listener.
      .filter(
        ({ addresses, ranges, detected, place }) =>
          place.addresses !== undefined ||
          addresses.length > 0 ||
          ranges.length > 0 ||
          !(detected || service.headless),
      )
  )
}

/** Whether the connections to a port need more than its route table. */
export function isTarget({ protocol }: SeenPort): boolean {
  return protocol === 'auto' || !isHttp(protocol)
}

/**
 * Whether all connections to a target's addresses go to its own cluster as they are, so that the address is all that
 * has to be known of them.
 */
export function isPlain({ meshed, matched, place, ranges, addresses, routing }: ListenerTarget): boolean {
  const { clusters, statPrefix, tunnel, hashesSource, idleTimeout, maxConnectionDuration } = routing
  return (
    meshed &&
    matched.length === 0 &&
    place.addresses === undefined &&
    ranges.length === 0 &&
    addresses.length > 0 &&
    clusters.length === 1 &&
    clusters[0]?.name === statPrefix &&
    !tunnel &&
    !hashesSource &&
    idleTimeout === undefined &&
    maxConnectionDuration === undefined
  )
}

/** Whether two lists of targets lead to the same listeners. */
export function sameTargets(a: readonly ListenerTarget[], b: readonly ListenerTarget[]): boolean {
  return a === b || (a.length === b.length && JSON.stringify(a) === JSON.stringify(b))
}

/** What the listeners of a target came from. */
export function causesOf({ routing, matched }: ListenerTarget): readonly Provenance[] {
  return [routing, ...matched.map(one => one.routing)].flatMap(({ provenance }) => provenance)
}
