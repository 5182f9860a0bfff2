import { existsSync } from 'node:fs'
import { delimiter } from 'node:path'
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

/**
 * The configuration folders: what the flag says, else SEINE_CONFIG, else what a running seined reads, else
 * `./config` if it is there. New objects go to the first.
 */
export async function configFolders(
  flags: FolderFlags,
  terminal: Terminal,
): Promise<Result<readonly string[], string>> {
  if (flags.config && flags.config.length > 0) return ok(flags.config)
  const fromEnv = (terminal.env['SEINE_CONFIG'] ?? '').split(delimiter).filter(Boolean)
  if (fromEnv.length > 0) return ok(fromEnv)
  const server = serverUrl(flags.server, terminal)
  const version = await ask(server, '/api/v1/version', 1000)
  const served = asList(version.ok ? at(version.value, 'configFolders') : []).filter(
    folder => typeof folder === 'string',
  )
  const here = served.filter(folder => existsSync(folder))
  if (here.length > 0) return ok(here)
  if (existsSync(LOCAL)) return ok([LOCAL])
  const asked =
    served.length > 0
      ? `seined at ${server} reads ${served.join(', ')}, which this machine does not have`
      : `no seined at ${server} names one`
  return err(
    `there is no configuration folder: ${asked}, and there is no ./${LOCAL}; give one with --config or SEINE_CONFIG`,
  )
}
