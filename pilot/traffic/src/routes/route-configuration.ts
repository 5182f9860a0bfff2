import { fromBinary } from '@bufbuild/protobuf'
import { duration, type EncodedResource } from '@seine/envoy'
import { type RouteConfiguration, RouteConfigurationSchema } from '@seine/envoy/envoy/config/route/v3/route'
import { VirtualHostSchema } from '@seine/envoy/envoy/config/route/v3/route_components'
import { encode } from '../encode.ts'
import type { Init } from '../init.ts'
import type { Outside } from '../outside.ts'
import { provenanceField } from '../provenance-metadata.ts'
import { istioName } from '../table-places.ts'
import { unknownHostRoute } from './unknown-host.ts'

type VirtualHostInit = Init<typeof VirtualHostSchema>

/** How the rest of a table comes, and what is left for hosts that it does not have. */
interface ShellOptions {
  /** Some virtual host takes any host. */
  readonly takesAnyHost: boolean
  /** What a request is for is asked for when it comes, unknown hosts included. */
  readonly onDemand: boolean
}

/**
 * The route configuration of an outbound port whose virtual hosts come one by one (VHDS): an edit then is one
 * virtual host and not the table.
 */
export function routeConfigurationShell(
  port: number,
  outside: Outside,
  options: ShellOptions,
): EncodedResource {
  const known = shells.get(outside) ?? new Map<string, EncodedResource>()
  shells.set(outside, known)
  const key = `${port} ${options.takesAnyHost} ${options.onDemand}`
  const shell = known.get(key) ?? makeShell(port, outside, options)
  known.set(key, shell)
  return shell
}

/** Shells are asked for at every push and differ by little. */
const shells = new WeakMap<Outside, Map<string, EncodedResource>>()

function makeShell(
  port: number,
  outside: Outside,
  { takesAnyHost, onDemand }: ShellOptions,
): EncodedResource {
  const name = String(port)
  return encode(
    RouteConfigurationSchema,
    name,
    {
      name,
      virtualHosts: onDemand ? [] : fallback(outside, takesAnyHost),
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
    onDemand ? [] : outside.causes,
  )
}

/** The same as one table, for clients that can't take virtual hosts one by one. */
export function routeConfigurationTable(
  port: number,
  outside: Outside,
  virtualHosts: Iterable<EncodedResource>,
): EncodedResource {
  const name = String(port)
  const parts = [...virtualHosts]
  const init: Init<typeof RouteConfigurationSchema> = {
    name,
    virtualHosts: [
      ...parts.map(part => ({
        ...fromBinary(VirtualHostSchema, part.bytes),
        name: istioName(part.name),
      })),
      ...fallback(
        outside,
        parts.some(part => part.name === `${name}/*`),
      ),
    ],
    validateClusters: false,
    maxDirectResponseBodySizeBytes: 1 << 20,
  }
  return encode(RouteConfigurationSchema, name, init, [
    ...parts.flatMap(part => part.provenance),
    ...outside.causes,
  ])
}

/**
 * What happens to hosts that nothing in the mesh has. Where something takes any host, nothing is left over, and
 * Envoy refuses a second virtual host for that.
 */
function fallback(outside: Outside, takesAnyHost: boolean): VirtualHostInit[] {
  if (takesAnyHost) return []
  const route = unknownHostRoute(outside)
  return [
    {
      name: route.name ?? '',
      domains: ['*'],
      includeRequestAttemptCount: !outside.hidesAttempts,
      routes: [route],
      ...provenanceField(outside.causes),
    },
  ]
}

export type { RouteConfiguration }
