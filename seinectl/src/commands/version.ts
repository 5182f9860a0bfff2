import { readFile } from 'node:fs/promises'
import { ask, serverUrl } from '../hub/client.ts'
import { asList, asObject, at, textAt } from '../hub/json.ts'
import { printData } from '../output/data.ts'
import { ExitCode, type Terminal } from '../terminal.ts'

/** The flags of `version`. */
export interface VersionFlags {
  readonly server?: string
  readonly client?: boolean
  readonly output?: 'json' | 'yaml'
}

/** Prints the versions of this program and of the seined it talks to. A seined that does not answer is no error. */
export async function version(terminal: Terminal, flags: VersionFlags): Promise<ExitCode> {
  const client = await ownVersion()
  const server = serverUrl(flags.server, terminal)
  const answer = flags.client ? undefined : await ask(server, '/api/v1/version', 1000)
  if (flags.output) {
    await printData(
      terminal,
      { clientVersion: client, ...(answer?.ok ? { server: asObject(answer.value) } : {}) },
      flags.output,
    )
    return ExitCode.ok
  }
  terminal.out(`client version: ${client}\n`)
  if (answer?.ok) {
    terminal.out(`server version: ${textAt(answer.value, 'version') || 'unknown'} (${server})\n`)
    const folders = asList(at(answer.value, 'configFolders'))
    if (folders.length > 0) terminal.out(`configuration folders: ${folders.join(', ')}\n`)
  } else if (answer) terminal.out(`server version: none (no seined answers at ${server})\n`)
  return ExitCode.ok
}

/** The version in this package's package.json. */
export async function ownVersion(): Promise<string> {
  return textAt(JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')), 'version')
}
