import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf'
import { TypeUrl } from '@seine/envoy'
import { ClusterSchema } from '@seine/envoy/envoy/config/cluster/v3/cluster'
import { ClusterLoadAssignmentSchema } from '@seine/envoy/envoy/config/endpoint/v3/endpoint'
import { VirtualHostSchema } from '@seine/envoy/envoy/config/route/v3/route_components'
import type { Fleet } from './fleet.ts'
import { type BenchService, type MeshFolder, ROUTED_SERVICES } from './mesh-folder.ts'
import { NAME_TABLE_TYPE } from './simulated-proxy.ts'

export const CHANGE_KINDS = ['endpoint', 'route', 'service'] as const
/** All that can be measured: lone changes, and many at once. */
export const KINDS = [...CHANGE_KINDS, 'storm'] as const
export type Kind = (typeof KINDS)[number]
export type ChangeKind = (typeof CHANGE_KINDS)[number]
/** What is measured of a change: a new service is called, where it comes on demand, and removed again. */
export type MeasuredKind = ChangeKind | 'call' | 'removal'
/**
 * What sidecars get: what their workloads call, as those with our agent do; the same with a `Sidecar` resource of
 * its own for each, which imports that; or everything.
 */
export const SIDECAR_KINDS = ['on-demand', 'own-sidecar', 'everything'] as const
export type SidecarKind = (typeof SIDECAR_KINDS)[number]

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
  /** Makes it; resolves when the control plane can see it, or was asked. */
  make(): Promise<void>
  readonly expected: readonly Expectation[]
}

/** The mesh that changes, and the sidecars that are to receive it. */
export interface Scene {
  readonly mesh: MeshFolder
  readonly services: number
  readonly fleet: Fleet
  readonly sidecars: SidecarKind
}

/**
 * The changes of one round: one, or a new service, the first calls to it and its removal. Rounds differ in
 * content, so that none is mistaken for another.
 */
export function changesOf(
  kind: ChangeKind,
  round: number,
  { mesh, services, fleet, sidecars }: Scene,
): Change[] {
  const index = round % Math.min(ROUTED_SERVICES, services)
  switch (kind) {
    case 'endpoint':
      return [endpointChange(mesh, mesh.service(index), round)]
    case 'route':
      return [routeChange(mesh, index, 1 + (round % 49))]
    case 'service': {
      const fresh = mesh.service(services + round)
      const make = () => mesh.add(fresh)
      const steps: Change[] =
        sidecars === 'everything'
          ? [{ kind: 'service', make, expected: [...usable(fresh), nameIsKnown(fresh)] }]
          : [
              { kind: 'service', make, expected: [nameIsKnown(fresh)] },
              { kind: 'call', make: async () => fleet.call(fresh.hostname), expected: usable(fresh) },
            ]
      return [...steps, removal(mesh, fresh)]
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

/** All that Envoy needs to send requests to it. */
function usable(service: BenchService): Expectation[] {
  const cluster = clusterOf(service)
  return [
    expect(TypeUrl.cluster, cluster, ClusterSchema, ({ name }) => name === cluster),
    endpointsAre(service),
    expect(TypeUrl.virtualHost, `80/${service.hostname}`, VirtualHostSchema, ({ domains, routes }) => {
      const action = routes[0]?.action
      const target = action?.case === 'route' ? action.value.clusterSpecifier : undefined
      return domains.includes(service.hostname) && target?.case === 'cluster' && target.value === cluster
    }),
  ]
}

/** The agent answers its workload's DNS. */
function nameIsKnown({ hostname, clusterIp }: BenchService): Expectation {
  const holds = (value: Uint8Array | undefined) =>
    value !== undefined && new TextDecoder().decode(value).includes(clusterIp)
  return { type: NAME_TABLE_TYPE, name: hostname, holds }
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
      noLongerRouted(service),
      gone(NAME_TABLE_TYPE, service.hostname),
    ],
  }
}

/** Requests to it go to where those to unknown hosts go, or wait for an answer. */
function noLongerRouted(service: BenchService): Expectation {
  const leads = usable(service).find(({ type }) => type === TypeUrl.virtualHost)
  return {
    type: TypeUrl.virtualHost,
    name: `80/${service.hostname}`,
    holds: value => value === undefined || !leads?.holds(value),
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
