import { cp, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { PATHS } from './paths.ts'

/** The folders that the mesh watches: of the application's manifests, and of the mesh's configuration. */
export interface Folders {
  readonly app: string
  readonly config: string
}

/**
 * The folders that the mesh watches: those that are asked for, as they are; else fresh copies of the demo's own, so
 * that what people apply changes nothing in the checkout.
 */
export async function watchedFolders(asked: Partial<Folders>, stateFolder: string): Promise<Folders> {
  const folder = (name: keyof Folders) => folderOf(asked[name], PATHS[name], join(stateFolder, name))
  return { app: await folder('app'), config: await folder('config') }
}

async function folderOf(asked: string | undefined, own: string, copy: string): Promise<string> {
  if (asked !== undefined) return resolve(asked)
  await rm(copy, { recursive: true, force: true })
  await cp(own, copy, { recursive: true })
  return copy
}
