import { keyOf, type MeshResource, refOf } from '@seine/api'
import { isRegistered, type MeshSnapshot } from '@seine/model'
import type { ApiRegistered, ApiStatus, ConfigRef } from './api-types.ts'
import type { Reason } from './concerns.ts'

/** A resource by name, with the place it stands at. */
export function configRef(resource: MeshResource): ConfigRef {
  const { origin } = resource
  return {
    ...refOf(resource),
    ...(origin ? { file: origin.file, line: origin.line } : {}),
  }
}

/** The statuses of the objects that Seine writes a status of. */
export function apiStatuses(resources: Iterable<MeshResource>, { statuses }: MeshSnapshot): ApiStatus[] {
  return [...resources].flatMap(resource => {
    const status = statuses.get(keyOf(refOf(resource)))
    const { kind, metadata } = resource
    return status ? [{ kind, namespace: metadata.namespace, name: metadata.name, status }] : []
  })
}

/** The entries of workloads that have registered. */
export function apiRegistered(resources: Iterable<MeshResource>): ApiRegistered[] {
  return [...resources].flatMap(resource => {
    if (resource.kind !== 'WorkloadEntry' || !isRegistered(resource)) return []
    const { apiVersion, kind, metadata, spec, status } = resource
    return [{ apiVersion, kind, metadata: { ...metadata }, spec, ...(status ? { status } : {}) }]
  })
}

/** The resources that have reasons to be shown, with these and with what they say. */
export function shapingRefs(
  resources: Iterable<MeshResource>,
  reasonsOf: (resource: MeshResource) => readonly Reason[],
): ConfigRef[] {
  return [...resources].flatMap(resource => {
    const reasons = reasonsOf(resource)
    if (reasons.length === 0) return []
    const { origin } = resource
    return [
      {
        ...configRef(resource),
        yaml: shownYaml(resource),
        reasons: unique(reasons).map(reason => ({
          ...reason,
          ...(origin && reason.path ? { line: origin.locate(reason.path).line } : {}),
        })),
      },
    ]
  })
}

/** What an object says, for people. Whoever may look at the hub need not know secrets. */
export function shownYaml({ apiVersion, kind, metadata, spec }: MeshResource): unknown {
  const { name, namespace, labels } = metadata
  const shownMetadata = {
    name,
    ...(namespace === '' ? {} : { namespace }),
    ...(Object.keys(labels).length > 0 ? { labels } : {}),
  }
  if (kind !== 'Secret') return { apiVersion, kind, metadata: shownMetadata, spec }
  const names = Object.keys(spec.data ?? {})
  return {
    apiVersion,
    kind,
    metadata: shownMetadata,
    type: spec.type,
    data: Object.fromEntries(names.map(one => [one, '[hidden]'])),
  }
}

function unique(reasons: readonly Reason[]): Reason[] {
  return [...new Map(reasons.map(reason => [`${reason.message} ${reason.path ?? ''}`, reason])).values()]
}
