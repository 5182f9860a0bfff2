import { keyOf, type MeshResource, parseObject, refOf } from '@seine/api'
import { err, ok, type Position, type Result } from '@seine/kit'
import { ask } from './client.ts'
import { asList, at, textAt } from './json.ts'

/** An object of a running mesh. */
export interface MeshObject {
  /** As it is in force; undefined where no version has been good yet. */
  readonly inForce: MeshResource | undefined
  /** As it was written last, where something else is in force, or nothing. */
  readonly written: MeshResource | undefined
  /** Where what was written last stands, or stood. */
  readonly position: Position | undefined
  /** Why what the files say is not what is in force; empty where it is. */
  readonly reasons: readonly string[]
}

/** Every object of the running mesh, in force and as written; or why they are not known. */
export async function listObjects(server: string): Promise<Result<readonly MeshObject[], string>> {
  const answer = await ask(server, '/api/v1/objects')
  if (!answer.ok) return err(answer.error)
  const objects: MeshObject[] = []
  for (const row of asList(answer.value)) {
    const [inForce, written] = [read(at(row, 'inForce')), read(at(row, 'written'))]
    for (const one of [inForce, written])
      if (one && !one.ok) return err(`an object of ${server} can not be read: ${one.error}`)
    const file = textAt(row, 'file')
    objects.push({
      inForce: inForce?.ok ? inForce.value : undefined,
      written: written?.ok ? written.value : undefined,
      position: file === '' ? undefined : { file, line: Number(at(row, 'line')) || 1 },
      reasons: asList(at(row, 'reasons')).map(String),
    })
  }
  return ok(objects)
}

function read(object: unknown): Result<MeshResource, string> | undefined {
  if (object === undefined) return undefined
  const parsed = parseObject(object)
  return parsed.ok ? parsed : err(parsed.error.map(({ message }) => message).join('; '))
}

/** The key of an object, whichever version of it there is. */
export function keyOfObject({ inForce, written }: MeshObject): string {
  const resource = inForce ?? written
  return resource ? keyOf(refOf(resource)) : ''
}
