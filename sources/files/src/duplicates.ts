import { keyOf, type MeshResource, refOf } from '@seine/api'
import { formatPosition, formatRef, type Position, type Problem } from '@seine/kit'

/** Where a resource stands. */
export function positionOf(resource: MeshResource): Position | undefined {
  return resource.origin?.locate('')
}

/** Says that an object is written down twice: the first is used, the second is not. */
export function duplicateProblem(first: MeshResource, second: MeshResource): Problem {
  const ref = refOf(second)
  const [used, unused] = [positionOf(first), positionOf(second)]
  const place = used ? ` at ${formatPosition(used)}` : ''
  return {
    severity: 'error',
    code: 'duplicate-resource',
    message: `${formatRef(ref)} is already there${place}, which is used; remove one of the two`,
    resource: ref,
    ...(unused ? { position: unused } : {}),
  }
}

/** The first of each object in the given order, and a problem for every other. */
export function firstOfEach(all: readonly MeshResource[]): {
  resources: Map<string, MeshResource>
  problems: Problem[]
} {
  const resources = new Map<string, MeshResource>()
  const problems: Problem[] = []
  for (const resource of all) {
    const key = keyOf(refOf(resource))
    const first = resources.get(key)
    if (first) problems.push(duplicateProblem(first, resource))
    else resources.set(key, resource)
  }
  return { resources, problems }
}
