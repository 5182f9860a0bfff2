import { existsSync } from 'node:fs'
import { definitionOf, groupOf, type KindDefinition, type MeshResource } from '@seine/api'
import { err, ok, type Result } from '@seine/kit'
import { ConfigStore } from '../config/config-store.ts'
import { configFolders, type FolderFlags } from '../config/folders.ts'
import { kindOf, qualifiedKind, qualifiedName } from '../config/names.ts'
import { toObject } from '../config/object-data.ts'
import { printData } from '../output/data.ts'
import { problemText } from '../output/errors.ts'
import { printError, printWarning } from '../output/message.ts'
import { table } from '../output/table.ts'
import { withStatuses } from '../statuses.ts'
import { ExitCode, type Terminal } from '../terminal.ts'
import { columnsOf } from './get-columns.ts'

/** The flags of `get`. */
export interface GetFlags extends FolderFlags {
  readonly namespace?: string
  readonly allNamespaces?: boolean
  readonly output: 'table' | 'wide' | 'json' | 'yaml' | 'name'
}

interface Query {
  readonly definitions: readonly KindDefinition[]
  readonly names: readonly string[]
}

/** Prints objects of the configuration folder. */
export async function get(
  terminal: Terminal,
  kinds: string,
  names: readonly string[],
  flags: GetFlags,
): Promise<ExitCode> {
  const query = parseQuery(kinds, names)
  if (!query.ok) {
    printError(terminal, query.error)
    return ExitCode.usage
  }
  const folders = await configFolders(flags, terminal)
  if (!folders.ok) {
    printError(terminal, folders.error)
    return ExitCode.failed
  }
  for (const folder of folders.value)
    if (!existsSync(folder)) printWarning(terminal, `there is no folder ${folder}`)
  const store = await ConfigStore.open(folders.value)
  for (const problem of store.problems)
    if (problem.severity === 'error') printWarning(terminal, problemText(problem))
  const found = select(withStatuses(store.resources()), query.value, flags)
  const missing = query.value.names.filter(name => !found.some(resource => resource.metadata.name === name))
  await print(terminal, found, query.value, flags)
  const kind = query.value.definitions.map(qualifiedKind).join(', ')
  for (const name of missing)
    printError(terminal, `${kind} "${name}" not found${whereOf(query.value, flags)}`)
  return missing.length > 0 ? ExitCode.failed : ExitCode.ok
}

/** `vs`, `vs,dr`, `vs/reviews`, `all`. */
function parseQuery(kinds: string, names: readonly string[]): Result<Query, string> {
  const slash = kinds.indexOf('/')
  if (slash > 0) {
    const definition = kindOf(kinds.slice(0, slash))
    return definition.ok
      ? ok({ definitions: [definition.value], names: [kinds.slice(slash + 1), ...names] })
      : definition
  }
  if (kinds === 'all') return names.length > 0 ? err('"all" takes no names') : ok({ definitions: [], names })
  const definitions: KindDefinition[] = []
  for (const word of kinds.split(',').filter(Boolean)) {
    const definition = kindOf(word)
    if (!definition.ok) return definition
    definitions.push(definition.value)
  }
  return ok({ definitions, names })
}

function select(all: readonly MeshResource[], query: Query, flags: GetFlags): MeshResource[] {
  const namespace = flags.namespace ?? 'default'
  return all
    .filter(
      resource =>
        query.definitions.length === 0 ||
        query.definitions.some(definition => definition === definitionOf(resource)),
    )
    .filter(
      ({ metadata }) => flags.allNamespaces || metadata.namespace === '' || metadata.namespace === namespace,
    )
    .filter(({ metadata }) => query.names.length === 0 || query.names.includes(metadata.name))
    .sort(
      (a, b) =>
        compare(a.metadata.namespace, b.metadata.namespace) || compare(a.metadata.name, b.metadata.name),
    )
}

async function print(
  terminal: Terminal,
  found: readonly MeshResource[],
  query: Query,
  flags: GetFlags,
): Promise<void> {
  if (flags.output === 'json' || flags.output === 'yaml')
    return printObjects(terminal, found, query, flags.output)
  if (found.length === 0) {
    if (query.names.length === 0) terminal.err(`no resources found${whereOf(query, flags)}\n`)
    return
  }
  if (flags.output === 'name') {
    for (const resource of found) terminal.out(`${qualifiedName(resource)}\n`)
    return
  }
  const kinds = [...new Set(found.map(kindKey))].sort()
  const tables = kinds.map(kind =>
    tableOf(
      found.filter(resource => kindKey(resource) === kind),
      kinds.length > 1,
      flags,
      terminal.colour.out,
    ),
  )
  terminal.out(tables.join('\n'))
}

/** What makes kinds differ: two groups may have one of the same name. */
function kindKey({ apiVersion, kind }: MeshResource): string {
  return `${kind}.${groupOf(apiVersion)}`
}

async function printObjects(
  terminal: Terminal,
  found: readonly MeshResource[],
  query: Query,
  format: 'json' | 'yaml',
): Promise<void> {
  const [first] = found
  const objects = found.map(toObject)
  if (query.names.length === 1 && query.definitions.length === 1) {
    if (first) await printData(terminal, objects[0], format)
  } else await printData(terminal, { apiVersion: 'v1', kind: 'List', items: objects }, format)
}

function tableOf(
  resources: readonly MeshResource[],
  withKind: boolean,
  flags: GetFlags,
  colour: boolean,
): string {
  const [first] = resources
  if (!first) return ''
  const columns = columnsOf(first)
  const wide = flags.output === 'wide'
  const namespaced = flags.allNamespaces && first.metadata.namespace !== ''
  const head = [
    ...(namespaced ? ['NAMESPACE'] : []),
    'NAME',
    ...columns.map(column => column.title),
    ...(wide ? ['FILE'] : []),
  ]
  const rows = resources.map(resource => [
    ...(namespaced ? [resource.metadata.namespace] : []),
    withKind ? qualifiedName(resource) : resource.metadata.name,
    ...columns.map(column => column.value(resource) || '<none>'),
    ...(wide ? [resource.origin ? `${resource.origin.file}:${resource.origin.line}` : ''] : []),
  ])
  return table(head, rows, colour)
}

function whereOf(query: Query, flags: GetFlags): string {
  const clusterScoped =
    query.definitions.length > 0 && query.definitions.every(definition => !definition.namespaced)
  return flags.allNamespaces || clusterScoped ? '' : ` in namespace ${flags.namespace ?? 'default'}`
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
