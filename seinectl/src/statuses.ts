import { keyOf, type MeshResource, refOf } from '@seine/api'
import { MeshModel } from '@seine/model'

/** The objects with the status that those of the Gateway API have among the others. */
export function withStatuses(resources: readonly MeshResource[]): MeshResource[] {
  if (!resources.some(isOfGatewayApi)) return [...resources]
  const { statuses } = new MeshModel().apply({ upserts: resources, deletes: [] }).snapshot
  return resources.map(resource => {
    const status = statuses.get(keyOf(refOf(resource)))
    return status ? ({ ...resource, status } as MeshResource) : resource
  })
}

/** Whether an object is one of the Gateway API, whose status Seine writes. */
export function isOfGatewayApi({ apiVersion }: MeshResource): boolean {
  return apiVersion.startsWith('gateway.networking.k8s.io/')
}
