import type { JsonObject, JsonValue } from '@bufbuild/protobuf'
import { withFileContents } from './envoy-validate-files.ts'
import type { RenderedJson } from './rendered.ts'

const HCM =
  'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'

const AGENT_HTTP2 = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
    '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
    explicitHttpConfig: { http2ProtocolOptions: {} },
  },
}

/**
 * A bootstrap that holds everything a proxy gets over xDS as static resources, so that Envoy judges all of
 * it in one go: route tables stand in their listeners, and endpoints in their clusters. `finished` is applied to what
 * comes out; unless told otherwise it puts stand-ins in the place of files.
 */
export function staticBootstrap(
  config: RenderedJson,
  finished: (value: JsonObject) => JsonValue = withFileContents,
): JsonObject {
  const tables = byName(config.routes, 'name')
  const assignments = byName(config.endpoints, 'clusterName')
  return {
    node: { id: 'validate', cluster: 'validate' },
    admin: { address: socket('127.0.0.1', 15000) },
    // As the agent's bootstrap has it.
    layeredRuntime: {
      layers: [{ name: 'seine', staticLayer: { 're2.max_program_size.error_level': 32_768 } }],
    },
    staticResources: {
      listeners: config.listeners.map(
        listener => finished(inlineRoutes(listener, tables) as JsonObject) as JsonObject,
      ),
      clusters: [
        ...['sds-grpc', 'otlp'].map(agentCluster),
        ...config.clusters.map(
          cluster => finished(secretsFromAgent(inlineEndpoints(cluster, assignments))) as JsonObject,
        ),
      ],
    },
  }
}

/** The value with each connection manager's RDS reference replaced by the table itself. */
function inlineRoutes(value: JsonValue, tables: ReadonlyMap<string, JsonObject>): JsonValue {
  if (Array.isArray(value)) return value.map(one => inlineRoutes(one, tables))
  if (typeof value !== 'object' || value === null) return value
  const copy = Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, inlineRoutes(inner, tables)]),
  )
  if (copy['@type'] !== HCM) return copy
  const { rds, routeConfig, ...rest } = copy
  if (rds === undefined) return { ...rest, routeConfig: checked(routeConfig as JsonObject) }
  const name = String((rds as JsonObject)['routeConfigName'])
  const table = tables.get(name)
  if (!table) throw new Error(`a listener refers to the route configuration ${name}, which is not there`)
  return { ...rest, routeConfig: checked(table) }
}

function checked(table: JsonObject): JsonObject {
  return { ...table, validateClusters: false }
}

function inlineEndpoints(cluster: JsonObject, assignments: ReadonlyMap<string, JsonObject>): JsonObject {
  if (cluster['type'] !== 'EDS') return cluster
  const { edsClusterConfig, ...rest } = cluster
  const name = String((edsClusterConfig as JsonObject)['serviceName'] ?? cluster['name'])
  const loadAssignment = assignments.get(name)
  if (!loadAssignment) throw new Error(`the cluster ${name} has no load assignment`)
  return { ...rest, type: 'STATIC', loadAssignment }
}

/** A static cluster has its secrets from the agent: there is no ADS yet when Envoy makes it, which ends it. */
function secretsFromAgent<T extends JsonValue>(value: T): T
function secretsFromAgent(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(secretsFromAgent)
  if (typeof value !== 'object' || value === null) return value
  const { ads, ...rest } = Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, secretsFromAgent(inner)]),
  )
  if (ads === undefined) return rest
  const grpcServices = [{ envoyGrpc: { clusterName: 'sds-grpc' } }]
  return { ...rest, apiConfigSource: { apiType: 'GRPC', transportApiVersion: 'V3', grpcServices } }
}

/** A cluster of the agent's bootstrap that generated configuration refers to. */
function agentCluster(name: string): JsonObject {
  return {
    name,
    type: 'STATIC',
    connectTimeout: '1s',
    typedExtensionProtocolOptions: AGENT_HTTP2,
    loadAssignment: {
      clusterName: name,
      endpoints: [{ lbEndpoints: [{ endpoint: { address: socket('127.0.0.1', 15010) } }] }],
    },
  }
}

function socket(address: string, portValue: number): JsonObject {
  return { socketAddress: { address, portValue } }
}

function byName(resources: readonly JsonObject[], field: string): Map<string, JsonObject> {
  return new Map(resources.map(resource => [String(resource[field]), resource]))
}
