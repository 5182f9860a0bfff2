import { keyOf, type MeshResource, refOf } from '@seine/api'
import type { ApiProblem, ResourceDetail, ResourceSummary } from './api-types.ts'
import { reasonsForService, reasonsForWorkload } from './concerns.ts'
import { configRef, shownYaml } from './config-refs.ts'
import { groupBy } from './maps.ts'
import type { MeshIndex } from './mesh-index.ts'
import { problemFigures } from './views.ts'

/** What configuration objects are shown from. */
export interface ResourceViewInputs {
  readonly index: MeshIndex
  readonly resources: Iterable<MeshResource>
  readonly problems: readonly ApiProblem[]
}

/** All configuration objects, by kind, namespace and name, with the number of problems of each. */
export function resourceSummaries({ resources, problems }: ResourceViewInputs): ResourceSummary[] {
  const byObject = problemsByObject(problems)
  const sortKey = ({ kind, namespace, name }: ResourceSummary) => `${kind}\n${namespace}\n${name}`
  return [...resources]
    .map(resource => summary(resource, byObject.get(objectKey(resource)) ?? []))
    .sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1))
}

/** One configuration object by its key: what it says, what is wrong with it, and what it shapes. */
export function resourceDetail(
  key: string,
  { index, resources, problems }: ResourceViewInputs,
): ResourceDetail | undefined {
  const resource = [...resources].find(one => objectKey(one) === key)
  if (!resource) return undefined
  const problemList = problemsByObject(problems).get(objectKey(resource)) ?? []
  const { services, workloads } = index.snapshot
  return {
    ...summary(resource, problemList),
    yaml: shownYaml(resource),
    problemList,
    services: [...services.values()]
      .filter(service => reasonsForService(resource, service, index).length > 0)
      .map(({ hostname }) => hostname)
      .sort(),
    workloads: [...workloads.values()]
      .filter(workload => reasonsForWorkload(resource, workload, index).length > 0)
      .map(({ namespace, name, workloadName }) => ({ namespace, pod: name, workload: workloadName }))
      .sort((a, b) => (`${a.namespace}/${a.pod}` < `${b.namespace}/${b.pod}` ? -1 : 1)),
  }
}

function summary(resource: MeshResource, problems: readonly ApiProblem[]): ResourceSummary {
  return { ...configRef(resource), ...problemFigures(problems) }
}

function problemsByObject(problems: readonly ApiProblem[]): ReadonlyMap<string, readonly ApiProblem[]> {
  return groupBy(problems, ({ kind = '', namespace = '', name = '', group, canary }) =>
    keyOf({
      kind,
      namespace,
      name,
      ...(group === undefined ? {} : { group }),
      ...(canary ? { canary: true } : {}),
    }),
  )
}

function objectKey(resource: MeshResource): string {
  return keyOf(refOf(resource))
}
