import { definitionOf, type MeshResource } from '@seine/api'

/** The object as it would stand in a file: no empty maps, and the body where Kubernetes has it. */
export function toObject(resource: MeshResource): Record<string, unknown> {
  const { name, namespace, labels, annotations, ...others } = resource.metadata
  const metadata = {
    name,
    ...(namespace === '' ? {} : { namespace }),
    ...(Object.keys(labels).length > 0 ? { labels } : {}),
    ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
    ...others,
  }
  const body = definitionOf(resource)?.body === 'object' ? resource.spec : { spec: resource.spec }
  const status = resource.status === undefined ? {} : { status: resource.status }
  return { apiVersion: resource.apiVersion, kind: resource.kind, metadata, ...body, ...status }
}

/** Whether two objects say the same, whatever their layout. */
export function sameObject(a: MeshResource, b: MeshResource): boolean {
  return JSON.stringify(canonical(toObject(a))) === JSON.stringify(canonical(toObject(b)))
}

function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, inner]) => [key, canonical(inner)]))
}
