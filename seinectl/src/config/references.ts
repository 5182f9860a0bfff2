import { keyOf, type MeshResource } from '@seine/api'
import type { Problem } from '@seine/kit'
import { MeshModel } from '@seine/model'
import { keyOfResource } from './names.ts'

/**
 * What would be wrong between objects after these are written: with them, and with others where it is not wrong
 * already. Destinations that are not there, two objects for one host. Where `world` may not be all of the mesh,
 * a missing destination is a warning.
 */
export function brokenBy(
  objects: readonly MeshResource[],
  world: { readonly resources: readonly MeshResource[]; readonly complete: boolean },
): Problem[] {
  const after = new Map(world.resources.map(resource => [keyOfResource(resource), resource]))
  for (const object of objects) {
    const key = keyOfResource(object)
    after.set(key, after.has(key) ? object : asNewest(object))
  }
  const own = new Set(objects.map(keyOfResource))
  const known = new Set(problemsAmong(world.resources).map(identity))
  return problemsAmong([...after.values()])
    .filter(
      problem => (problem.resource && own.has(keyOf(problem.resource))) || !known.has(identity(problem)),
    )
    .map(problem => (world.complete || problem.code !== 'IST0101' ? problem : asWarning(problem)))
}

function problemsAmong(resources: readonly MeshResource[]): readonly Problem[] {
  return new MeshModel().apply({ upserts: resources, deletes: [] }).snapshot.problems
}

/** Where it collides with what is there, that is older. */
function asNewest(object: MeshResource): MeshResource {
  const creationTimestamp = new Date().toISOString()
  return { ...object, metadata: { ...object.metadata, creationTimestamp } } as MeshResource
}

/** The same problem at another line is not a new one. */
function identity({ position: _, ...problem }: Problem): string {
  return JSON.stringify(problem)
}

function asWarning(problem: Problem): Problem {
  return { ...problem, severity: 'warning' }
}
