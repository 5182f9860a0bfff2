import type { EncodedResource } from '@seine/envoy'
import { hostAliases, type MeshSnapshot, visibleIn } from '@seine/model'
import { hashBytes } from './encode.ts'

/** The type of the table of names that agents answer DNS from. Its bytes are JSON: see {@link nameTable}. */
export const NAME_TABLE_TYPE = 'type.googleapis.com/seine.nds.v1.NameTable'

const tables = new WeakMap<MeshSnapshot['services'], Map<string, EncodedResource>>()

/**
 * The names that workloads of a namespace can look up: `{"table": {"<hostname>": {"ips": [...], "aliases": [...]}}}`.
 * Headless services answer with their endpoints. Made once for each namespace and set of services.
 */
export function nameTable(snapshot: MeshSnapshot, namespace: string): EncodedResource {
  const known = tables.get(snapshot.services) ?? new Map<string, EncodedResource>()
  tables.set(snapshot.services, known)
  const found = known.get(namespace)
  if (found) return found
  const table: Record<string, { ips: readonly string[]; aliases: readonly string[] }> = {}
  for (const service of [...snapshot.services.values()].sort((a, b) => (a.hostname < b.hostname ? -1 : 1))) {
    if (!visibleIn(service.exportTo, service.namespace, namespace)) continue
    const ips = service.headless
      ? endpointAddresses(snapshot, service.hostname)
      : service.addresses.filter(address => !address.includes('/'))
    if (ips.length > 0)
      table[service.hostname] = {
        ips,
        aliases: hostAliases(service.hostname, service.namespace, namespace).slice(1),
      }
  }
  const bytes = new TextEncoder().encode(JSON.stringify({ table }))
  const resource = { name: 'nametable', version: hashBytes(bytes), bytes, provenance: [] }
  known.set(namespace, resource)
  return resource
}

function endpointAddresses(snapshot: MeshSnapshot, hostname: string): string[] {
  const all = [...(snapshot.endpoints.get(hostname)?.byPort.values() ?? [])].flat()
  return [...new Set(all.map(endpoint => endpoint.address))]
}
