import type { WorkloadEntry } from '@seine/api'
import type { ResourceRef } from '@seine/kit'

/** The annotation, `true`, of an entry that takes requests only while its health says so: Istio's. */
export const HEALTH_ANNOTATION = 'proxy.istio.io/health-checks-enabled'
/** The condition of an entry's status that says whether it can take requests: Istio's. */
export const HEALTHY = 'Healthy'

/** The annotation by which Istio says which group an entry was made for. */
export const GROUP_ANNOTATION = 'istio.io/autoRegistrationGroup'

/** Whether pilot made an entry, for a workload that has registered. */
export function isRegistered({ metadata }: WorkloadEntry): boolean {
  return metadata.annotations[GROUP_ANNOTATION] !== undefined
}

/** Whether an entry takes requests: where its health counts, only while it is known to be good. */
export function isHealthy({ metadata, status }: WorkloadEntry): boolean {
  if (metadata.annotations[HEALTH_ANNOTATION] !== 'true') return true
  const { conditions } = (status ?? {}) as { conditions?: { type?: unknown; status?: unknown }[] }
  return Array.isArray(conditions) && conditions.some(one => one?.type === HEALTHY && one.status === 'True')
}

/** The group that an entry was made for. */
export function groupOfEntry({ metadata }: WorkloadEntry): ResourceRef | undefined {
  const owner = metadata.ownerReferences?.find(({ kind }) => kind === 'WorkloadGroup')
  return owner && { kind: owner.kind, namespace: metadata.namespace, name: owner.name }
}
