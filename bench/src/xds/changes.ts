import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf'
import { TypeUrl } from '@seine/envoy'
import { ClusterSchema } from '@seine/envoy/envoy/config/cluster/v3/cluster'
import { ClusterLoadAssignmentSchema } from '@seine/envoy/envoy/config/endpoint/v3/endpoint'
import { VirtualHostSchema } from '@seine/envoy/envoy/config/route/v3/route_components'
import { type BenchService, type MeshFolder, ROUTED_SERVICES } from './mesh-folder.ts'
import { NAME_TABLE_TYPE } from './simulated-proxy.ts'

export const CHANGE_KINDS = ['endpoint', 'route', 'service'] as const
export type ChangeKind = (typeof CHANGE_KINDS)[number]
/** What is measured of a change: a new service is removed again, and that is a change too. */
export type MeasuredKind = ChangeKind | 'removal'

/** What every sidecar must receive of a change before it counts as received. */
export interface Expectation {
  readonly type: string
  readonly name: string
  /** Whether this is the new content; `undefined` is a removal. */
  holds(value: Uint8Array | undefined): boolean
}

/** One change of the mesh. */
export interface Change {
  readonly kind: MeasuredKind
  /** Makes it; resolves when the control plane can see it. */
  make(): Promise<void>
  readonly expected: readonly Expectation[]
}

/** The changes of one round: one, or a new service and its removal. Rounds differ in content, so that none is mistaken for another. */
export function changesOf(kind: ChangeKind, round: number, mesh: MeshFolder, services: number): Change[] {
  const index = round % Math.min(ROUTED_SERVICES, services)
  switch (kind) {
    case 'endpoint':
      return [endpointChange(mesh, mesh.service(index), round)]
    case 'route':
      return [routeChange(mesh, index, 1 + (round % 49))]
    case 'service': {
      const fresh = mesh.service(services + round)
      return [newService(mesh, fresh), removal(mesh, fresh)]
    }
  }
}

/** The second endpoint moves to another address. */
function endpointChange(mesh: MeshFolder, service: BenchService, round: number): Change {
  const [first, second] = service.addresses
  const moved = second.replace(/\d+$/, String(10 + (round % 240)))
  const addresses = [first, moved] as const
  return {
    kind: 'endpoint',
    make: () => mesh.setEndpoints({ ...service, addresses }),
    expected: [endpointsAre({ ...service, addresses })],
  }
}

/** The weights between a service and its neighbour change. */
function routeChange(mesh: MeshFolder, index: number, weight: number): Change {
  const own = clusterOf(mesh.service(index))
  const other = clusterOf(mesh.neighbour(index))
  return {
    kind: 'route',
    make: () => mesh.setWeight(index, weight),
    expected: [
      expect(TypeUrl.virtualHost, `80/${mesh.service(index).hostname}`, VirtualHostSchema, ({ routes }) =>
        routes.some(({ action }) => {
          const target = action.case === 'route' ? action.value.clusterSpecifier : undefined
          if (target?.case !== 'weightedClusters') return false
          const weights = new Map(target.value.clusters.map(cluster => [cluster.name, cluster.weight]))
          return weights.get(own) === weight && weights.get(other) === 100 - weight
        }),
      ),
    ],
  }
}

/** All that a client needs to call it: cluster, endpoints, virtual host, and the name for its DNS. */
function newService(mesh: MeshFolder, service: BenchService): Change {
  const cluster = clusterOf(service)
  return {
    kind: 'service',
    make: () => mesh.add(service),
    expected: [
      expect(TypeUrl.cluster, cluster, ClusterSchema, ({ name }) => name === cluster),
      endpointsAre(service),
      expect(TypeUrl.virtualHost, `80/${service.hostname}`, VirtualHostSchema, ({ domains, routes }) => {
        const action = routes[0]?.action
        const target = action?.case === 'route' ? action.value.clusterSpecifier : undefined
        return domains.includes(service.hostname) && target?.case === 'cluster' && target.value === cluster
      }),
      {
        type: NAME_TABLE_TYPE,
        name: service.hostname,
        holds: value => value !== undefined && new TextDecoder().decode(value).includes(service.clusterIp),
      },
    ],
  }
}

function removal(mesh: MeshFolder, service: BenchService): Change {
  const gone = (type: string, name: string): Expectation => ({
    type,
    name,
    holds: value => value === undefined,
  })
  return {
    kind: 'removal',
    make: () => mesh.remove(service),
    expected: [
      gone(TypeUrl.cluster, clusterOf(service)),
      gone(TypeUrl.virtualHost, `80/${service.hostname}`),
      gone(NAME_TABLE_TYPE, service.hostname),
    ],
  }
}

function endpointsAre(service: BenchService): Expectation {
  return expect(TypeUrl.endpoint, clusterOf(service), ClusterLoadAssignmentSchema, ({ endpoints }) => {
    const found = endpoints.flatMap(({ lbEndpoints }) =>
      lbEndpoints.flatMap(({ hostIdentifier }) => {
        const address = hostIdentifier.case === 'endpoint' ? hostIdentifier.value.address?.address : undefined
        return address?.case === 'socketAddress' ? [address.value.address] : []
      }),
    )
    return found.sort().join() === [...service.addresses].sort().join()
  })
}

function expect<D extends DescMessage>(
  type: string,
  name: string,
  schema: D,
  isNew: (message: MessageShape<D>) => boolean,
): Expectation {
  return { type, name, holds: value => value !== undefined && isNew(fromBinary(schema, value)) }
}

function clusterOf({ hostname }: BenchService): string {
  return `outbound|80||${hostname}`
}
