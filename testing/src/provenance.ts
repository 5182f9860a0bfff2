import type { JsonObject, JsonValue } from '@bufbuild/protobuf'
import type { RenderedJson } from './rendered.ts'

/** A part of a configuration that has a cause of its own. */
interface Part {
  readonly place: string
  readonly value: JsonObject
}

/**
 * What all services of a port share. To name one of them there would end connections whenever another came. And what a
 * gRPC server gets whatever services it is part of.
 */
const SHARED =
  /^listener xds\.istio\.io\/grpc\/lds\/inbound\/|^listener (0\.0\.0\.0|::)_\d+, chain (http|PassthroughFilterChain)$|, chain mesh-http-proxy$|virtual host (allow_any|block_all)\b/

/**
 * The filter chains, virtual hosts, routes, clusters and endpoints that do not say in their metadata which objects they
 * came from, by their places. Listeners and route tables are what their chains and virtual hosts are; what is the same in a
 * mesh without any objects comes from none.
 */
export function withoutProvenance(config: RenderedJson, inEmptyMesh: RenderedJson): string[] {
  const builtIn = new Set(partsOf(inEmptyMesh).map(({ place, value }) => `${place} ${JSON.stringify(value)}`))
  return partsOf(config)
    .filter(({ place }) => !SHARED.test(place))
    .filter(({ place, value }) => !builtIn.has(`${place} ${JSON.stringify(value)}`) && !saysCauses(value))
    .map(({ place }) => place)
}

function saysCauses(part: JsonObject): boolean {
  const causes = at(part, 'metadata', 'filterMetadata', 'seine', 'causes')
  return Array.isArray(causes) && causes.length > 0
}

function partsOf({ listeners, routes, clusters, endpoints }: RenderedJson): Part[] {
  return [
    ...listeners.flatMap(listener => {
      return chainsOf(listener, `listener ${String(listener['name'])}`)
    }),
    ...routes.flatMap(table => routesOf(table, `route table ${String(table['name'])}`)),
    ...clusters.map(cluster => ({ place: `cluster ${String(cluster['name'])}`, value: cluster })),
    ...endpoints.flatMap(assignment =>
      list(assignment['endpoints']).map((locality, index) => ({
        place: `endpoints ${String(assignment['clusterName'])}[${index}]`,
        value: locality,
      })),
    ),
  ]
}

function chainsOf(listener: JsonObject, at: string): Part[] {
  const fallback = listener['defaultFilterChain']
  return [...list(listener['filterChains']), ...(isObject(fallback) ? [fallback] : [])].flatMap(chain => {
    const place = `${at}, chain ${String(chain['name'])}`
    const inline = list(chain['filters']).flatMap(filter => {
      const config = filter['typedConfig']
      const table = isObject(config) ? config['routeConfig'] : undefined
      return isObject(table) ? routesOf(table, `${place}, routes`) : []
    })
    return [{ place, value: chain }, ...inline]
  })
}

/** Virtual hosts and routes. A table is what its virtual hosts are. */
function routesOf(table: JsonObject, at: string): Part[] {
  return list(table['virtualHosts']).flatMap(host => {
    const place = `${at}, virtual host ${String(host['name'])}`
    const routes = list(host['routes']).map((value, index) => ({ place: `${place}, route ${index}`, value }))
    return [{ place, value: host }, ...routes]
  })
}

function at(value: JsonValue | undefined, ...path: readonly string[]): JsonValue | undefined {
  return path.reduce<JsonValue | undefined>((found, key) => (isObject(found) ? found[key] : undefined), value)
}

function list(value: JsonValue | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : []
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
