import { definitionOf, type KindDefinition, toObject } from '@seine/api'
import { err, ok, type Result } from '@seine/kit'
import { stringify } from 'yaml'
import type { CanaryFlags } from '../canary/change.ts'
import { ConfigStore } from '../config/config-store.ts'
import { type FolderFlags, type Folders, meshFolders } from '../config/folders.ts'
import { type InputObject, readInput } from '../config/input.ts'
import { keyFor, keyOfResource, kindOf, qualifiedKind } from '../config/names.ts'
import { printProblems } from '../output/errors.ts'
import { printError } from '../output/message.ts'
import { ExitCode, type Terminal } from '../terminal.ts'

/** The flags of `delete`. */
export interface DeleteFlags extends FolderFlags, CanaryFlags {
  readonly filename?: readonly string[]
  readonly namespace?: string
  readonly ignoreNotFound?: boolean
}

interface Target {
  readonly definition: KindDefinition
  readonly namespace: string
  readonly name: string
}

/** Removes objects from the configuration folder. */
export async function deleteObjects(
  terminal: Terminal,
  words: readonly string[],
  flags: DeleteFlags,
): Promise<ExitCode> {
  const byFile = flags.filename !== undefined && flags.filename.length > 0
  if (byFile === words.length > 0) {
    printError(
      terminal,
      byFile ? 'give either a kind and names, or -f, not both' : 'give a kind and names, or files with -f',
    )
    return ExitCode.usage
  }
  const targets = byFile ? await fromFiles(terminal, flags) : fromWords(words, flags.namespace ?? 'default')
  if (!targets) return ExitCode.failed
  if (!targets.ok) {
    printError(terminal, targets.error)
    return ExitCode.usage
  }
  const folders = await meshFolders(flags, terminal)
  if (!folders.ok) {
    printError(terminal, folders.error)
    return ExitCode.failed
  }
  const store = await ConfigStore.open(folders.value.own)
  if (flags.canary?.length) return removeByCanary(terminal, flags, targets.value, store, folders.value)
  return remove(terminal, targets.value, store, flags.ignoreNotFound === true)
}

/** Takes objects from some workloads first: all must be there. */
async function removeByCanary(
  terminal: Terminal,
  flags: DeleteFlags,
  targets: readonly Target[],
  store: ConfigStore,
  folders: Folders,
): Promise<ExitCode> {
  const there = new Map(store.resources().map(resource => [keyOfResource(resource), resource]))
  const objects: InputObject[] = []
  for (const target of targets) {
    const resource = there.get(keyFor(target.definition, target.namespace, target.name))
    if (!resource) return notFound(terminal, [target])
    objects.push({ resource, text: stringify(toObject(resource), { lineWidth: 0 }) })
  }
  const { changeByCanary } = await import('../canary/change.ts')
  return changeByCanary(terminal, flags, { objects, removes: true }, folders)
}

async function remove(
  terminal: Terminal,
  targets: readonly Target[],
  store: ConfigStore,
  ignoreNotFound: boolean,
): Promise<ExitCode> {
  const missing: Target[] = []
  const removed: Target[] = []
  for (const target of targets) {
    const there = store.remove(keyFor(target.definition, target.namespace, target.name))
    if (there) removed.push(target)
    else missing.push(target)
  }
  await store.save()
  for (const { definition, name } of removed) terminal.out(`${qualifiedKind(definition)} "${name}" deleted\n`)
  return ignoreNotFound || missing.length === 0 ? ExitCode.ok : notFound(terminal, missing)
}

function notFound(terminal: Terminal, missing: readonly Target[]): ExitCode {
  for (const { definition, name, namespace } of missing)
    printError(
      terminal,
      `${qualifiedKind(definition)} "${name}" not found${definition.namespaced ? ` in namespace ${namespace}` : ''}`,
    )
  return ExitCode.failed
}

async function fromFiles(
  terminal: Terminal,
  flags: DeleteFlags,
): Promise<{ ok: true; value: Target[] } | undefined> {
  const { objects, problems } = await readInput(flags.filename ?? [], terminal, flags.namespace)
  if (printProblems(terminal, problems)) return undefined
  return ok(
    objects.flatMap(({ resource }) => {
      const { metadata } = resource
      const definition = definitionOf(resource)
      return definition ? [{ definition, namespace: metadata.namespace, name: metadata.name }] : []
    }),
  )
}

/** `vs reviews ratings`, or `vs/reviews dr/ratings`. */
function fromWords(words: readonly string[], namespace: string): Result<Target[], string> {
  const [first = '', ...names] = words
  const pairs = first.includes('/') ? words.map(splitName) : names.map(name => [first, name] as const)
  if (pairs.length === 0) return err(`give the names of what to delete, as in: seinectl delete ${first} NAME`)
  const targets: Target[] = []
  for (const [word, name] of pairs) {
    if (!name) return err(`"${word}" names no object: write KIND/NAME`)
    const definition = kindOf(word)
    if (!definition.ok) return definition
    targets.push({ definition: definition.value, namespace, name })
  }
  return ok(targets)
}

function splitName(word: string): readonly [string, string] {
  const slash = word.indexOf('/')
  return slash < 0 ? [word, ''] : [word.slice(0, slash), word.slice(slash + 1)]
}
