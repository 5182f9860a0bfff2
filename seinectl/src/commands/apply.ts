import { ConfigStore } from '../config/config-store.ts'
import { configFolders, type FolderFlags } from '../config/folders.ts'
import { readInput } from '../config/input.ts'
import { qualifiedName } from '../config/names.ts'
import { printProblems } from '../output/errors.ts'
import { printError } from '../output/message.ts'
import { ExitCode, type Terminal } from '../terminal.ts'

/** The flags of `apply`. */
export interface ApplyFlags extends FolderFlags {
  readonly filename: readonly string[]
  readonly namespace?: string
  readonly dryRun?: boolean
}

/** Writes objects to the configuration folder: all of them, or none if one is wrong. */
export async function apply(terminal: Terminal, flags: ApplyFlags): Promise<ExitCode> {
  const { objects, problems } = await readInput(flags.filename, terminal, flags.namespace)
  if (printProblems(terminal, problems)) return ExitCode.failed
  if (objects.length === 0) {
    printError(terminal, `there are no objects in ${flags.filename.join(', ')}`)
    return ExitCode.failed
  }
  const folders = await configFolders(flags, terminal)
  if (!folders.ok) {
    printError(terminal, folders.error)
    return ExitCode.failed
  }
  const store = await ConfigStore.open(folders.value)
  const lines = objects.map(({ resource, text }) => `${qualifiedName(resource)} ${store.put(resource, text)}`)
  if (!flags.dryRun) await store.save()
  for (const line of lines) terminal.out(`${line}${flags.dryRun ? ' (dry run)' : ''}\n`)
  return ExitCode.ok
}
