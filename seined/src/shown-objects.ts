import { keyOf, type MeshResource, refOf, toObject, withoutSecrets } from '@seine/api'
import type { Problem } from '@seine/kit'
import { isRegistered, type ModelObject } from '@seine/model'

/** An object as it is in force and as it was written, in the forms of files. Secrets are without what they keep secret. */
export interface ShownObject {
  /** The place of what was written last, or of what is in force where that is gone. */
  readonly file?: string
  readonly line?: number
  /** Pilot made it for a workload that has registered. */
  readonly registered?: true
  /** Absent where no version has been good yet. */
  readonly inForce?: unknown
  /** As it was written last, where something else is in force. */
  readonly written?: unknown
  /** Why what the files say is not what is in force. */
  readonly reasons: readonly string[]
}

/**
 * Objects for who asks what is in force.
 *
 * @param broken what is wrong in files: of a document that can't be taken, what it held before is in force
 * @param problems what keeps objects that can be read out of force
 */
export function shownObjects(
  objects: Iterable<ModelObject>,
  broken: readonly Problem[],
  problems: readonly Problem[],
): ShownObject[] {
  const [unreadable, held] = [reasonsByObject(broken), reasonsByObject(problems)]
  return [...objects].map(({ written, inForce }): ShownObject => {
    const { origin, ...resource } = (written ?? inForce) as MeshResource
    const key = keyOf(refOf(resource as MeshResource))
    const isOther = written !== inForce
    const own = [...(unreadable.get(key) ?? []), ...(isOther ? (held.get(key) ?? []) : [])]
    return {
      ...(origin ? { file: origin.file, line: origin.line } : {}),
      ...(written?.kind === 'WorkloadEntry' && isRegistered(written) ? { registered: true } : {}),
      ...(inForce ? { inForce: toObject(withoutSecrets(inForce)) } : {}),
      ...(isOther && written ? { written: toObject(withoutSecrets(written)) } : {}),
      reasons: isOther && own.length === 0 ? ['it was removed, and is still needed'] : own,
    }
  })
}

/** The errors about each object. */
function reasonsByObject(problems: readonly Problem[]): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>()
  for (const { severity, resource, path, message } of problems) {
    if (severity !== 'error' || !resource) continue
    const key = keyOf(resource)
    const reason = path ? `${path}: ${message}` : message
    found.set(key, [...(found.get(key) ?? []), reason])
  }
  return found
}
