import type { CanaryFlags } from '../canary/change.ts'
import { ConfigStore } from '../config/config-store.ts'
import { type FolderFlags, meshFolders } from '../config/folders.ts'
import { readInput } from '../config/input.ts'
import { qualifiedName } from '../config/names.ts'
import { brokenBy } from '../config/references.ts'
import { printProblems } from '../output/errors.ts'
import { printError } from '../output/message.ts'
import { ExitCode, type Terminal } from '../terminal.ts'

/** The flags of `apply`. */
export interface ApplyFlags extends FolderFlags, CanaryFlags {
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
  const folders = await meshFolders(flags, terminal)
  if (!folders.ok) {
    printError(terminal, folders.error)
    return ExitCode.failed
  }
  const { own, world, complete } = folders.value
  const resources = (await ConfigStore.open(world)).resources()
  const broken = brokenBy(
    objects.map(({ resource }) => resource),
    { resources, complete },
  )
  if (printProblems(terminal, broken)) return ExitCode.failed
  if (flags.canary?.length && !flags.dryRun) {
    const { changeByCanary } = await import('../canary/change.ts')
    return changeByCanary(terminal, flags, { objects, removes: false }, folders.value)
  }
  const store = await ConfigStore.open(own)
  const lines = objects.map(({ resource, text }) => `${qualifiedName(resource)} ${store.put(resource, text)}`)
  if (!flags.dryRun) await store.save()
  for (const line of lines) terminal.out(`${line}${flags.dryRun ? ' (dry run)' : ''}\n`)
  return ExitCode.ok
}
