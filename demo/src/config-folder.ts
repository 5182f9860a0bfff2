import { cp, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { PATHS } from './paths.ts'

/**
 * The folder of configuration that the mesh watches: the one that is asked for, as it is; else a fresh copy of
 * the demo's own, so that what people apply changes nothing in the checkout.
 */
export async function configFolder(asked: string | undefined, stateFolder: string): Promise<string> {
  if (asked !== undefined) return resolve(asked)
  const copy = join(stateFolder, 'config')
  await rm(copy, { recursive: true, force: true })
  await cp(PATHS.config, copy, { recursive: true })
  return copy
}
