import { create, fromBinary } from '@bufbuild/protobuf'
import { type EncodedResource, TypeUrl } from '@seine/envoy'
import { ClusterSchema } from '@seine/envoy/envoy/config/cluster/v3/cluster'
import { MetadataSchema } from '@seine/envoy/envoy/config/core/v3/base'
import { ClusterLoadAssignmentSchema } from '@seine/envoy/envoy/config/endpoint/v3/endpoint'
import type { MeshService } from '@seine/model'
import { encode } from './encode.ts'
import { isPlain, type ListenerTarget } from './listeners/targets.ts'
import { destinationClusterName, TELEMETRY_METADATA } from './names.ts'

/** What a cluster for an address stands for. */
export interface Destination {
  readonly cluster: string
  /** None for what the mesh does not know. */
  readonly service: Pick<MeshService, 'hostname' | 'name' | 'namespace'> | undefined
}

/** Which service's connections go to an address, by the name of its cluster. Made when it is first asked. */
export class DestinationIndex {
  readonly #all: ReadonlyMap<string, readonly ListenerTarget[]>
  /** Where services share an address, the first by name has it. */
  #byName: TargetsByName | undefined

  /** `all` are the targets by hostname; what becomes of them is told by {@link replace}. */
  constructor(all: ReadonlyMap<string, readonly ListenerTarget[]>) {
    this.#all = all
  }

  /** Takes note of other targets of a host. */
  replace(before: readonly ListenerTarget[], after: readonly ListenerTarget[]): void {
    if (!this.#byName) return
    for (const target of before.filter(isPlain)) remove(this.#byName, target)
    for (const target of after.filter(isPlain)) add(this.#byName, target)
  }

  /** What a name stands for; undefined for an address that no service of the mesh has. */
  get(name: string): Destination | undefined {
    if (!this.#byName) {
      this.#byName = new Map()
      for (const targets of this.#all.values())
        for (const target of targets.filter(isPlain)) add(this.#byName, target)
    }
    const [target] = this.#byName.get(name) ?? []
    return target && { cluster: target.routing.statPrefix, service: target.service }
  }
}

type TargetsByName = Map<string, readonly ListenerTarget[]>

function add(byName: TargetsByName, target: ListenerTarget): void {
  for (const name of namesOf(target)) {
    const all = [...(byName.get(name) ?? []), target]
    byName.set(
      name,
      all.sort((a, b) => (a.service.hostname < b.service.hostname ? -1 : 1)),
    )
  }
}

function remove(byName: TargetsByName, target: ListenerTarget): void {
  for (const name of namesOf(target)) {
    const rest = (byName.get(name) ?? []).filter(
      ({ service }) => service.hostname !== target.service.hostname,
    )
    if (rest.length > 0) byName.set(name, rest)
    else byName.delete(name)
  }
}

function namesOf({ addresses, port }: ListenerTarget): string[] {
  return addresses.map(address => destinationClusterName(address, port))
}

/** Resources are shared and do not change: each is renamed once. */
const renamed = new WeakMap<EncodedResource, Map<string, EncodedResource>>()

/**
 * A cluster, or its endpoints, under the name of an address. Its statistics keep their name; what connections are
 * counted for stands in its metadata, since the listener does not know it.
 */
export function underName(
  type: string,
  resource: EncodedResource,
  name: string,
  destination: Destination,
): EncodedResource {
  const known = renamed.get(resource) ?? new Map<string, EncodedResource>()
  renamed.set(resource, known)
  const found = known.get(name) ?? rename(type, resource, name, destination)
  known.set(name, found)
  return found
}

function rename(
  type: string,
  { bytes, provenance }: EncodedResource,
  name: string,
  { cluster: own, service }: Destination,
): EncodedResource {
  if (type === TypeUrl.endpoint) {
    const assignment = fromBinary(ClusterLoadAssignmentSchema, bytes)
    assignment.clusterName = name
    return encode(ClusterLoadAssignmentSchema, name, assignment, provenance)
  }
  const cluster = fromBinary(ClusterSchema, bytes)
  cluster.name = name
  cluster.altStatName ||= own
  if (cluster.edsClusterConfig) cluster.edsClusterConfig.serviceName = name
  if (cluster.loadAssignment) cluster.loadAssignment.clusterName = name
  cluster.metadata ??= create(MetadataSchema)
  const { filterMetadata } = cluster.metadata
  filterMetadata[TELEMETRY_METADATA] = {
    ...filterMetadata[TELEMETRY_METADATA],
    ...(service
      ? {
          destination_service: service.hostname,
          destination_service_name: service.name,
          destination_service_namespace: service.namespace,
        }
      : { destination_service_name: own }),
  }
  return encode(ClusterSchema, name, cluster, provenance)
}
