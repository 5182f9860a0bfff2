import type { JsonObject } from '@bufbuild/protobuf'
import type { Provenance } from '@seine/envoy'

/** The namespace in a generated resource's metadata under which the objects stand that it came from. */
export const PROVENANCE_METADATA = 'seine'

const CAUSE = /^(\S+) (?:([^/ ]+)\/)?(\S+)(?: (.+))?$/

/**
 * Causes as Envoy's filter metadata: `{"seine": {"causes": ["VirtualService default/reviews spec.http[0]"]}}`.
 * Whoever looks at Envoy's own configuration dump finds out why something is there.
 */
export function provenanceMetadata(causes: readonly Provenance[]): Record<string, JsonObject> {
  if (causes.length === 0) return {}
  return { [PROVENANCE_METADATA]: { causes: [...new Set(causes.map(formatCause))] } }
}

/** The same as a field of a resource; none at all where there are no causes. */
export function provenanceField(causes: readonly Provenance[]): {
  metadata?: { filterMetadata: Record<string, JsonObject> }
} {
  return causes.length === 0 ? {} : { metadata: { filterMetadata: provenanceMetadata(causes) } }
}

/** The objects themselves, each once, whatever field of theirs is the cause. */
export function objectsOf(causes: readonly Provenance[]): Provenance[] {
  const objects = causes.map(({ path: _, ...object }) => object)
  return [...new Map(objects.map(object => [formatCause(object), object])).values()]
}

function formatCause({ kind, namespace, name, path }: Provenance): string {
  return `${kind} ${namespace === '' ? '' : `${namespace}/`}${name}${path ? ` ${path}` : ''}`
}

/** The causes in a resource's filter metadata. */
export function causesIn(metadata: Readonly<Record<string, JsonObject>> | undefined): readonly Provenance[] {
  const listed = metadata?.[PROVENANCE_METADATA]?.['causes']
  if (!Array.isArray(listed)) return []
  return listed.flatMap(text => {
    const [, kind, namespace = '', name, path] = CAUSE.exec(String(text)) ?? []
    return kind && name ? [{ kind, namespace, name, ...(path ? { path } : {}) }] : []
  })
}
