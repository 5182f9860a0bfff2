import { type DescMessage, fromBinary, type JsonValue, toJson } from '@bufbuild/protobuf'
import { type EncodedResource, envoyRegistry, TypeUrl } from '@seine/envoy'
import { ClusterSchema } from '@seine/envoy/envoy/config/cluster/v3/cluster'
import { TypedExtensionConfigSchema } from '@seine/envoy/envoy/config/core/v3/extension'
import { ClusterLoadAssignmentSchema } from '@seine/envoy/envoy/config/endpoint/v3/endpoint'
import { ListenerSchema } from '@seine/envoy/envoy/config/listener/v3/listener'
import { RouteConfigurationSchema } from '@seine/envoy/envoy/config/route/v3/route'
import { VirtualHostSchema } from '@seine/envoy/envoy/config/route/v3/route_components'
import type { Problem } from '@seine/kit'
import type { MeshSnapshot } from '@seine/model'
import { TrafficGenerator } from './generator.ts'
import { BOOTSTRAP_PATCHES_TYPE, noBootstrapPatches } from './patches/bootstrap.ts'
import type { TrafficPlugin } from './plugin.ts'
import type { Proxy } from './proxy.ts'

const SCHEMAS: Readonly<Record<string, DescMessage>> = {
  [TypeUrl.cluster]: ClusterSchema,
  [TypeUrl.endpoint]: ClusterLoadAssignmentSchema,
  [TypeUrl.listener]: ListenerSchema,
  [TypeUrl.route]: RouteConfigurationSchema,
  [TypeUrl.virtualHost]: VirtualHostSchema,
  [TypeUrl.extension]: TypedExtensionConfigSchema,
}

/** Everything a proxy gets, still encoded. */
export interface RenderedResources {
  readonly listeners: readonly EncodedResource[]
  readonly routes: readonly EncodedResource[]
  readonly clusters: readonly EncodedResource[]
  readonly endpoints: readonly EncodedResource[]
  /** Configuration of filters that comes by itself (ECDS), which EnvoyFilters add. */
  readonly extensions: readonly EncodedResource[]
  /** What EnvoyFilters change in the bootstrap: at most one resource. */
  readonly bootstrap: readonly EncodedResource[]
}

/** What a proxy would get, and what of the rules for it has no effect. */
export interface RenderedProxy extends RenderedResources {
  readonly problems: readonly Problem[]
}

/** What a proxy would receive, with route tables whole. Offline: needs no running mesh. */
export function renderProxy(
  snapshot: MeshSnapshot,
  proxy: Proxy,
  plugins: readonly TrafficPlugin[],
): RenderedProxy {
  const generator = new TrafficGenerator(snapshot, plugins)
  const configuration = generator.configurationOf({ ...proxy, virtualHostDiscovery: false })
  const all = (type: string) =>
    [...new Set(configuration.names(type))].sort().flatMap(name => configuration.get(type, name) ?? [])
  return {
    listeners: all(TypeUrl.listener),
    routes: all(TypeUrl.route),
    clusters: all(TypeUrl.cluster),
    endpoints: all(TypeUrl.endpoint),
    extensions: all(TypeUrl.extension),
    bootstrap: all(BOOTSTRAP_PATCHES_TYPE).filter(one => one !== noBootstrapPatches),
    problems: [...generator.patchProblems(), ...generator.problems()],
  }
}

/** A resource in Envoy's proto-JSON. */
export function resourceToJson(type: string, resource: EncodedResource): JsonValue {
  const schema = SCHEMAS[type]
  if (!schema) return JSON.parse(new TextDecoder().decode(resource.bytes)) as JsonValue
  return toJson(schema, fromBinary(schema, resource.bytes), { registry: envoyRegistry() })
}
