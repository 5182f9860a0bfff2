import { existsSync } from 'node:fs'
import { delimiter, resolve } from 'node:path'
import { err, ok, type Result } from '@seine/kit'
import { ask, serverUrl } from '../hub/client.ts'
import { asList, at } from '../hub/json.ts'
import type { Terminal } from '../terminal.ts'

/** The flags that say where configuration lies. */
export interface FolderFlags {
  readonly config?: readonly string[]
  readonly server?: string
}

const LOCAL = 'config'

/** Where configuration is read and written. */
export interface Folders {
  /** New objects go to the first. */
  readonly own: readonly string[]
  /** All folders of the running mesh that reads `own`; `own` alone where none does. */
  readonly world: readonly string[]
  /** Whether `world` is known to be everything that a mesh reads. */
  readonly complete: boolean
}

/**
 * The configuration folders: what the flag says, else SEINE_CONFIG, else what a running seined reads, else
 * `./config` if it is there.
 */
export async function configFolders(
  flags: FolderFlags,
  terminal: Terminal,
): Promise<Result<readonly string[], string>> {
  const folders = await meshFolders(flags, terminal)
  return folders.ok ? ok(folders.value.own) : folders
}

/** The configuration folders and those that are read together with them. */
export async function meshFolders(flags: FolderFlags, terminal: Terminal): Promise<Result<Folders, string>> {
  const server = serverUrl(flags.server, terminal)
  const version = await ask(server, '/api/v1/version', 1000)
  const served = asList(version.ok ? at(version.value, 'configFolders') : []).filter(
    folder => typeof folder === 'string',
  )
  const here = served.filter(folder => existsSync(folder))
  const within = (own: readonly string[]): Folders => {
    const paths = new Set(here.map(folder => resolve(folder)))
    const complete = here.length === served.length && own.some(folder => paths.has(resolve(folder)))
    return { own, world: complete ? here : own, complete }
  }
  if (flags.config && flags.config.length > 0) return ok(within(flags.config))
  const fromEnv = (terminal.env['SEINE_CONFIG'] ?? '').split(delimiter).filter(Boolean)
  if (fromEnv.length > 0) return ok(within(fromEnv))
  if (here.length > 0) return ok(within(here))
  if (existsSync(LOCAL)) return ok(within([LOCAL]))
  const asked =
    served.length > 0
      ? `seined at ${server} reads ${served.join(', ')}, which this machine does not have`
      : `no seined at ${server} names one`
  return err(
    `there is no configuration folder: ${asked}, and there is no ./${LOCAL}; give one with --config or SEINE_CONFIG`,
  )
}
