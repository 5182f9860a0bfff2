import type { JsonObject } from '@bufbuild/protobuf'
import { type EncodedResource, TypeUrl } from '@seine/envoy'
import { mixerPlugins } from '@seine/mixer-plugins'
import type { MeshSnapshot } from '@seine/model'
import {
  BOOTSTRAP_PATCHES_TYPE,
  type Proxy as MeshProxy,
  type RenderedResources,
  renderProxy,
  resourceToJson,
  type TrafficPlugin,
} from '@seine/pilot-traffic'

export { mixerPlugins }

/** What a proxy gets, in Envoy's proto-JSON: what `seinectl render` prints. */
export interface RenderedJson {
  readonly listeners: readonly JsonObject[]
  readonly routes: readonly JsonObject[]
  readonly clusters: readonly JsonObject[]
  readonly endpoints: readonly JsonObject[]
  readonly extensions: readonly JsonObject[]
  readonly bootstrap: readonly JsonObject[]
}

/** Renders a proxy's configuration as `seinectl render` does; without plugins where what they add does not matter. */
export function renderJson(
  snapshot: MeshSnapshot,
  proxy: MeshProxy,
  plugins: readonly TrafficPlugin[] = mixerPlugins,
): RenderedJson {
  return toJson(renderProxy(snapshot, proxy, plugins))
}

/** Renders a proxy's configuration with all plugins, still encoded. */
export function renderResources(snapshot: MeshSnapshot, proxy: MeshProxy): RenderedResources {
  return renderProxy(snapshot, proxy, mixerPlugins)
}

/** Rendered resources in proto-JSON. */
export function toJson(rendered: RenderedResources): RenderedJson {
  const { listeners, routes, clusters, endpoints, extensions, bootstrap } = rendered
  const read = (type: string, list: readonly EncodedResource[]) =>
    list.map(resource => resourceToJson(type, resource) as JsonObject)
  return {
    listeners: read(TypeUrl.listener, listeners),
    routes: read(TypeUrl.route, routes),
    clusters: read(TypeUrl.cluster, clusters),
    endpoints: read(TypeUrl.endpoint, endpoints),
    extensions: read(TypeUrl.extension, extensions),
    bootstrap: read(BOOTSTRAP_PATCHES_TYPE, bootstrap),
  }
}
