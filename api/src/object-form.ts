import { definitionOf } from './kinds.ts'
import type { MeshResource } from './mesh-resource.ts'
import { CANARY_ANNOTATION, CANARY_REMOVAL_ANNOTATION } from './resource.ts'

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

/** A Secret without what it keeps secret: its names stand there, its values are empty. Other objects as they are. */
export function withoutSecrets(resource: MeshResource): MeshResource {
  if (resource.kind !== 'Secret') return resource
  const { data, stringData, ...spec } = resource.spec
  const { annotations } = resource.metadata
  const kept = Object.entries(annotations).filter(
    ([name]) => name === CANARY_ANNOTATION || name === CANARY_REMOVAL_ANNOTATION,
  )
  const hidden = (values: Readonly<Record<string, string>> | undefined) =>
    Object.fromEntries(Object.keys(values ?? {}).map(name => [name, '']))
  return {
    ...resource,
    // What a tool has noted of its last version may hold the same values.
    metadata: {
      ...resource.metadata,
      annotations: Object.fromEntries(kept),
    },
    spec: { ...spec, data: { ...hidden(data), ...hidden(stringData) } },
  }
}
