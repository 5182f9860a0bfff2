import { fromBinary } from '@bufbuild/protobuf'
import type { MeshConfig } from '@seine/api'
import { duration, type EncodedResource } from '@seine/envoy'
import { type RouteConfiguration, RouteConfigurationSchema } from '@seine/envoy/envoy/config/route/v3/route'
import { VirtualHostSchema } from '@seine/envoy/envoy/config/route/v3/route_components'
import { encode } from '../encode.ts'
import type { Init } from '../init.ts'
import { BLACK_HOLE_CLUSTER, PASSTHROUGH_CLUSTER, TELEMETRY_METADATA } from '../names.ts'

type VirtualHostInit = Init<typeof VirtualHostSchema>

/**
 * The route configuration of an outbound port whose virtual hosts come one by one (VHDS): an edit then is one
 * virtual host and not the table.
 */
export function routeConfigurationShell(
  port: number,
  config: MeshConfig,
  takesAnyHost: boolean,
): EncodedResource {
  const known = shells.get(config) ?? new Map<string, EncodedResource>()
  shells.set(config, known)
  const key = `${port} ${takesAnyHost}`
  const shell = known.get(key) ?? makeShell(port, config, takesAnyHost)
  known.set(key, shell)
  return shell
}

/** Shells are asked for at every push and differ by little. */
const shells = new WeakMap<MeshConfig, Map<string, EncodedResource>>()

function makeShell(port: number, config: MeshConfig, takesAnyHost: boolean): EncodedResource {
  const name = String(port)
  return encode(
    RouteConfigurationSchema,
    name,
    {
      name,
      virtualHosts: fallback(config, takesAnyHost),
      vhds: {
        configSource: {
          resourceApiVersion: 2,
          initialFetchTimeout: duration(2000),
          configSourceSpecifier: { case: 'ads', value: {} },
        },
      },
      validateClusters: false,
      maxDirectResponseBodySizeBytes: 1 << 20,
    },
    [],
  )
}

/** The same as one table, for clients that can't take virtual hosts one by one. */
export function routeConfigurationTable(
  port: number,
  config: MeshConfig,
  virtualHosts: Iterable<EncodedResource>,
): EncodedResource {
  const name = String(port)
  const parts = [...virtualHosts]
  const init: Init<typeof RouteConfigurationSchema> = {
    name,
    virtualHosts: [
      ...parts.map(part => ({
        ...fromBinary(VirtualHostSchema, part.bytes),
        name: `${part.name.slice(name.length + 1)}:${name}`,
      })),
      ...fallback(
        config,
        parts.some(part => part.name === `${name}/*`),
      ),
    ],
    validateClusters: false,
    maxDirectResponseBodySizeBytes: 1 << 20,
  }
  return encode(
    RouteConfigurationSchema,
    name,
    init,
    parts.flatMap(part => part.provenance),
  )
}

/**
 * What happens to hosts that nothing in the mesh has: they pass, or they get a 502, as Istio answers. Where
 * something takes any host, nothing is left over, and Envoy refuses a second virtual host for that.
 */
function fallback(config: MeshConfig, takesAnyHost: boolean): VirtualHostInit[] {
  if (takesAnyHost) return []
  const passes = config.outboundTrafficPolicy.mode === 'ALLOW_ANY'
  const destination = passes ? PASSTHROUGH_CLUSTER : BLACK_HOLE_CLUSTER
  const metadata = {
    filterMetadata: {
      [TELEMETRY_METADATA]: { destination_service: destination, destination_service_name: destination },
    },
  }
  return [
    {
      name: passes ? 'allow_any' : 'block_all',
      domains: ['*'],
      includeRequestAttemptCount: true,
      routes: [
        passes
          ? {
              name: 'allow_any',
              match: { pathSpecifier: { case: 'prefix', value: '/' } },
              metadata,
              action: {
                case: 'route',
                value: {
                  clusterSpecifier: { case: 'cluster', value: PASSTHROUGH_CLUSTER },
                  timeout: duration(0),
                },
              },
            }
          : {
              name: 'block_all',
              match: { pathSpecifier: { case: 'prefix', value: '/' } },
              metadata,
              action: { case: 'directResponse', value: { status: 502 } },
            },
      ],
    },
  ]
}

export type { RouteConfiguration }
