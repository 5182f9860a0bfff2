import { duration, type EncodedResource } from '@seine/envoy'
import { type RouteSchema, VirtualHostSchema } from '@seine/envoy/envoy/config/route/v3/route_components'
import { portOfCall } from '../dynamic-dns.ts'
import { encode } from '../encode.ts'
import type { Init } from '../init.ts'
import { TELEMETRY_METADATA } from '../names.ts'
import { type Outside, passes } from '../outside.ts'
import { provenanceField, provenanceMetadata } from '../provenance-metadata.ts'
import { perFilter } from './actions.ts'

/** What happens to requests for hosts that nothing in the mesh has: they pass, or they get a 502, as Istio answers. */
export function unknownHostRoute(outside: Outside): Init<typeof RouteSchema> {
  const destination = outside.requests?.cluster ?? outside.cluster
  const common = {
    name: passes(outside) ? 'allow_any' : 'block_all',
    match: { pathSpecifier: { case: 'prefix' as const, value: '/' } },
    typedPerFilterConfig: perFilter(outside.requests?.byPort ? [portOfCall] : []),
    metadata: {
      filterMetadata: {
        [TELEMETRY_METADATA]: { destination_service: destination, destination_service_name: destination },
        ...provenanceMetadata(outside.causes),
      },
    },
  }
  if (!passes(outside)) return { ...common, action: { case: 'directResponse', value: { status: 502 } } }
  const cluster = { case: 'cluster' as const, value: destination }
  return { ...common, action: { case: 'route', value: { clusterSpecifier: cluster, timeout: duration(0) } } }
}

/** Virtual hosts of unknown hosts, which many proxies have in common. */
const made = new WeakMap<Outside, Map<string, EncodedResource>>()
/** When there are so many, they are made again as they are needed: anything may be called. */
const MAX_MADE = 10_000

/**
 * The virtual host for a host that the mesh does not know, by `<table>/<host>`; for all of them, where the host is `*`.
 *
 * @param proxied whether the table is that of an HTTP proxy, to which requests say what they are for in full
 */
export function unknownHost(name: string, outside: Outside, proxied = false): EncodedResource {
  const known = made.get(outside) ?? new Map<string, EncodedResource>()
  made.set(outside, known)
  const found = known.get(name) ?? makeUnknownHost(name, outside, proxied)
  if (known.size >= MAX_MADE) known.clear()
  known.set(name, found)
  return found
}

function makeUnknownHost(name: string, outside: Outside, proxied: boolean): EncodedResource {
  const slash = name.indexOf('/')
  const [port, host] = [name.slice(0, slash), name.slice(slash + 1)]
  const hasPort = /^[^:]+:\d+$|\]:\d+$/.test(host)
  const authority = host.includes(':') && !hasPort ? `[${host}]` : host
  const isWritten = hasPort || proxied || host === '*'
  const init = {
    name,
    domains: isWritten ? [host] : [authority, `${authority}:${port}`],
    includeRequestAttemptCount: !outside.hidesAttempts,
    routes: [unknownHostRoute(outside)],
    ...provenanceField(outside.causes),
  }
  return encode(VirtualHostSchema, name, init, outside.causes)
}

/** A virtual host that no request is for. Envoy waits for the first answer about a table before it takes traffic. */
export function placeholderHost(table: string): EncodedResource {
  const known = placeholders.get(table)
  if (known) return known
  const name = `${table}/_`
  const made = encode(VirtualHostSchema, name, { name, domains: [`_.${table}.seine.invalid`] }, [])
  placeholders.set(table, made)
  return made
}

const placeholders = new Map<string, EncodedResource>()
