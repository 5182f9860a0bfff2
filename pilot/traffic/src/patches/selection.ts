import type { EnvoyFilter } from '@seine/api'
import { byAge, GATEWAY_NAME_LABEL, type MeshSnapshot, selects } from '@seine/model'
import { RE2JS } from 're2js'
import type { Proxy } from '../proxy.ts'
import { type Patch, patchesOf } from './patch.ts'

/**
 * The patches for a proxy, in the order in which they apply, as in Istio: lower priorities first, then those of the root
 * namespace, then the older EnvoyFilter.
 */
export function patchesFor({ envoyFilters, config }: MeshSnapshot, proxy: Proxy): readonly Patch[] {
  if (envoyFilters.size === 0) return []
  const byNamespace = indexOf(envoyFilters)
  const namespaces = [...new Set([config.rootNamespace, proxy.namespace])]
  return namespaces
    .flatMap(namespace => byNamespace.get(namespace) ?? [])
    .filter(filter => isAttached(filter, proxy))
    .sort((a, b) => (a.spec.priority ?? 0) - (b.spec.priority ?? 0))
    .flatMap(patchesOf)
    .filter(patch => isFor(patch, proxy))
}

/** By a Gateway of the Gateway API that it names, in its own namespace, or by labels; without either to all proxies. */
function isAttached({ metadata, spec }: EnvoyFilter, { namespace, labels }: Proxy): boolean {
  if (!spec.targetRefs?.length) return selects(spec.workloadSelector?.labels, labels)
  const gateway = labels[GATEWAY_NAME_LABEL]
  return metadata.namespace === namespace && spec.targetRefs.some(({ name }) => name === gateway)
}

const indexes = new WeakMap<MeshSnapshot['envoyFilters'], Map<string, EnvoyFilter[]>>()

function indexOf(filters: MeshSnapshot['envoyFilters']): Map<string, EnvoyFilter[]> {
  const known = indexes.get(filters)
  if (known) return known
  const made = new Map<string, EnvoyFilter[]>()
  for (const filter of [...filters.values()].sort(byAge)) {
    const { namespace } = filter.metadata
    made.set(namespace, [...(made.get(namespace) ?? []), filter])
  }
  indexes.set(filters, made)
  return made
}

function isFor({ match: { context = 'ANY', proxy: wanted } }: Patch, proxy: Proxy): boolean {
  const isGateway = proxy.type === 'router'
  if (context !== 'ANY' && (context === 'GATEWAY') !== isGateway) return false
  const version = proxy.metadata['ISTIO_VERSION'] ?? ''
  if (wanted?.proxyVersion && !matchesVersion(wanted.proxyVersion, version)) return false
  return Object.entries(wanted?.metadata ?? {}).every(([key, value]) => proxy.metadata[key] === value)
}

/** A proxy that gives no version matches none. */
function matchesVersion(pattern: string, version: string): boolean {
  return version !== '' && pattern.length <= 1024 && RE2JS.compile(pattern).matcher(version).find()
}
