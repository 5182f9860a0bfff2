import { type MeshResource, parseObject } from '@seine/api'
import { err, ok, type Result } from '@seine/kit'
import { ask } from './client.ts'
import { asList } from './json.ts'

/** The entries of workloads that have registered with the running mesh, which no folder holds; or why they are not known. */
export async function listRegistered(server: string): Promise<Result<readonly MeshResource[], string>> {
  const answer = await ask(server, '/api/v1/registered')
  if (!answer.ok) return err(answer.error)
  return ok(
    asList(answer.value).flatMap(object => {
      const parsed = parseObject(object)
      return parsed.ok ? [parsed.value] : []
    }),
  )
}
