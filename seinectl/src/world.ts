import { keyOf, type MeshResource, refOf } from '@seine/api'
import { formatPosition, type Problem, type ResourceRef } from '@seine/kit'
import { asDeployed } from './as-deployed.ts'
import { sameObject } from './config/object-data.ts'
import { keyOfObject, type MeshObject } from './hub/objects.ts'
import { MeshView } from './mesh-view.ts'

/** What questions about a mesh are answered from. */
export interface World {
  readonly view: MeshView
  /** What is wrong with the objects, and between them. */
  readonly problems: readonly Problem[]
  /** Versions that were written and are not in force, of a running mesh. */
  readonly held: readonly MeshResource[]
  /** All objects, as they are in force. */
  readonly resources: readonly MeshResource[]
  /** Why what a file says of an object is not what is in force; empty where it is. */
  reasonsOf(ref: ResourceRef): readonly string[]
  /** The `file:line` where an object, or a field of it, stands. */
  positionOf(ref: ResourceRef, path: string | undefined): string | undefined
}

/**
 * A mesh made of what files hold.
 *
 * @param isWhole the files are all that a running mesh reads; else what a platform would add is assumed
 */
export function worldOfFiles(
  resources: readonly MeshResource[],
  problems: readonly Problem[],
  isWhole: boolean,
): World {
  const view = new MeshView()
  view.apply(isWhole ? resources : asDeployed(resources))
  const byKey = new Map(resources.map(resource => [keyOf(refOf(resource)), resource]))
  return {
    view,
    problems: [...problems, ...view.snapshot.problems],
    held: [],
    resources,
    reasonsOf: () => [],
    positionOf: (ref, path) => positionIn(byKey.get(keyOf(ref)), path),
  }
}

/**
 * The mesh that runs, by what it has in force. `files` are the objects of its folders, where this machine has them: by them
 * fields have lines, and Secrets their contents.
 */
export function worldInForce(objects: readonly MeshObject[], files: readonly MeshResource[]): World {
  const local = new Map(files.map(resource => [keyOf(refOf(resource)), resource]))
  const known = new Map(objects.map(object => [keyOfObject(object), object]))
  const asInFile = (resource: MeshResource | undefined): MeshResource[] => {
    if (!resource) return []
    const file = local.get(keyOf(refOf(resource)))
    return [file && says(file, resource) ? file : resource]
  }
  const resources = objects.flatMap(({ inForce }) => asInFile(inForce))
  const view = new MeshView()
  view.apply(resources, true)
  return {
    view,
    problems: [...known.values()].flatMap(problemsOf),
    held: objects.flatMap(({ written }) => asInFile(written)),
    resources,
    reasonsOf: ref => known.get(keyOf(ref))?.reasons ?? [],
    positionOf: (ref, path) => {
      const object = known.get(keyOf(ref))
      const [inForce] = asInFile(object?.inForce)
      // A field of what is in force has no line in a file that says something else.
      return positionIn(inForce, path) ?? (object?.position && formatPosition(object.position))
    },
  }
}

/** Whether a file says what is in force. Of a Secret the mesh tells the names only. */
function says(file: MeshResource, inForce: MeshResource): boolean {
  if (file.kind !== 'Secret' || inForce.kind !== 'Secret') return sameObject(file, inForce)
  const names = ({ data, stringData }: typeof file.spec) =>
    [...Object.keys(data ?? {}), ...Object.keys(stringData ?? {})].sort().join()
  return file.spec.type === inForce.spec.type && names(file.spec) === names(inForce.spec)
}

function problemsOf(object: MeshObject): Problem[] {
  const resource = object.written ?? object.inForce
  if (!resource) return []
  return object.reasons.map(message => ({
    severity: 'error',
    code: 'not-in-force',
    message,
    resource: refOf(resource),
    ...(object.position ? { position: object.position } : {}),
  }))
}

function positionIn(resource: MeshResource | undefined, path: string | undefined): string | undefined {
  const origin = resource?.origin
  return origin && formatPosition(path ? origin.locate(path) : { file: origin.file, line: origin.line })
}
