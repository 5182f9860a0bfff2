import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf'
import type { Any } from '@bufbuild/protobuf/wkt'
import { type EncodedResource, type Provenance, typeUrlOf } from '@seine/envoy'
import { type Cluster, ClusterSchema } from '@seine/envoy/envoy/config/cluster/v3/cluster'
import {
  type ClusterLoadAssignment,
  ClusterLoadAssignmentSchema,
} from '@seine/envoy/envoy/config/endpoint/v3/endpoint'
import { type Listener, ListenerSchema } from '@seine/envoy/envoy/config/listener/v3/listener'
import { type RouteConfiguration, RouteConfigurationSchema } from '@seine/envoy/envoy/config/route/v3/route'
import type { RenderedResources } from '../render.ts'

/** What a proxy was given, readable, by name, with the objects that each resource came from. */
export interface ProxyConfiguration {
  readonly listeners: ReadonlyMap<string, Listener>
  readonly routes: ReadonlyMap<string, RouteConfiguration>
  readonly clusters: ReadonlyMap<string, Cluster>
  readonly endpoints: ReadonlyMap<string, ClusterLoadAssignment>
  causesOf(type: keyof RenderedResources, name: string): readonly Provenance[]
  /** What people should know of a resource, in sentences. */
  notesOf(type: keyof RenderedResources, name: string): readonly string[]
}

/** Reads what was rendered for a proxy: the very bytes that Envoy gets. */
export function readConfiguration(rendered: RenderedResources): ProxyConfiguration {
  const all = new Map<string, EncodedResource>()
  for (const type of ['listeners', 'routes', 'clusters', 'endpoints'] as const)
    for (const resource of rendered[type]) all.set(`${type}/${resource.name}`, resource)
  return {
    listeners: read(ListenerSchema, rendered.listeners),
    routes: read(RouteConfigurationSchema, rendered.routes),
    clusters: read(ClusterSchema, rendered.clusters),
    endpoints: read(ClusterLoadAssignmentSchema, rendered.endpoints),
    causesOf: (type, name) => all.get(`${type}/${name}`)?.provenance ?? [],
    notesOf: (type, name) => all.get(`${type}/${name}`)?.notes ?? [],
  }
}

function read<D extends DescMessage>(
  schema: D,
  resources: readonly EncodedResource[],
): ReadonlyMap<string, MessageShape<D>> {
  return new Map(resources.map(({ name, bytes }) => [name, fromBinary(schema, bytes)]))
}

/** The message inside an `Any`, if it is of that type. */
export function unpack<D extends DescMessage>(
  packed: Any | undefined,
  schema: D,
): MessageShape<D> | undefined {
  return packed?.typeUrl === typeUrlOf(schema) ? fromBinary(schema, packed.value) : undefined
}
