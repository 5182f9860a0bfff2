import { existsSync } from 'node:fs'
import { definitionOf, groupOf, type KindDefinition, type MeshResource, toObject } from '@seine/api'
import { err, ok, type Problem, type Result } from '@seine/kit'
import { isCanary } from '@seine/model'
import { ConfigStore } from '../config/config-store.ts'
import { type FolderFlags, meshFolders } from '../config/folders.ts'
import { keyOfResource, kindOf, qualifiedKind, qualifiedName } from '../config/names.ts'
import { serverUrl } from '../hub/client.ts'
import { byObject, type HubProblem, listProblems } from '../hub/problems.ts'
import { listRegistered } from '../hub/registered.ts'
import { printData } from '../output/data.ts'
import { printProblems, problemText } from '../output/errors.ts'
import { printError, printWarning } from '../output/message.ts'
import { type Cell, table } from '../output/table.ts'
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

/** What a running mesh says of the objects, by their keys; undefined where none reads them. */
type Known = ReadonlyMap<string, readonly HubProblem[]> | undefined

/** Prints objects of the configuration folder, with what the mesh that reads it says of them. */
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
  const folders = await meshFolders(flags, terminal)
  if (!folders.ok) {
    printError(terminal, folders.error)
    return ExitCode.failed
  }
  const { own, complete } = folders.value
  for (const folder of own) if (!existsSync(folder)) printWarning(terminal, `there is no folder ${folder}`)
  const store = await ConfigStore.open(own)
  for (const problem of store.problems)
    if (problem.severity === 'error') printWarning(terminal, problemText(problem))
  const written = withStatuses(store.resources())
  const registered = complete ? await registeredEntries(terminal, written, query.value, flags) : []
  const found = select([...written, ...registered], query.value, flags)
  const missing = query.value.names.filter(name => !found.some(resource => resource.metadata.name === name))
  const known = complete ? await askMesh(terminal, flags) : undefined
  await print(terminal, found, query.value, flags, known)
  const kind = query.value.definitions.map(qualifiedKind).join(', ')
  for (const name of missing)
    printError(terminal, `${kind} "${name}" not found${whereOf(query.value, flags)}`)
  return missing.length > 0 ? ExitCode.failed : ExitCode.ok
}

/** WorkloadEntries that pilot made are in no folder: a running mesh knows them. */
async function registeredEntries(
  terminal: Terminal,
  written: readonly MeshResource[],
  { definitions }: Query,
  flags: GetFlags,
): Promise<readonly MeshResource[]> {
  if (definitions.length > 0 && !definitions.some(({ kind }) => kind === 'WorkloadEntry')) return []
  const answer = await listRegistered(serverUrl(flags.server, terminal))
  if (!answer.ok) {
    printWarning(terminal, `which workloads have registered is not known: ${answer.error}`)
    return []
  }
  const known = new Set(written.map(keyOfResource))
  return answer.value.filter(entry => !known.has(keyOfResource(entry)))
}

async function askMesh(terminal: Terminal, flags: GetFlags): Promise<Known> {
  if (flags.output === 'name') return undefined
  const answer = await listProblems(serverUrl(flags.server, terminal))
  if (answer.ok) return byObject(answer.value)
  printWarning(terminal, `what the mesh says of the objects is not known: ${answer.error}`)
  return undefined
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
  known: Known,
): Promise<void> {
  if (flags.output === 'json' || flags.output === 'yaml')
    return printObjects(terminal, found, query, flags.output, known)
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
      known,
    ),
  )
  terminal.out(tables.join('\n'))
  printFindings(terminal, found, known)
}

/** What the mesh says of the objects that were shown, each in a line. */
function printFindings(terminal: Terminal, found: readonly MeshResource[], known: Known): void {
  const problems = found.flatMap(resource => known?.get(keyOfResource(resource)) ?? [])
  printProblems(terminal, problems.map(asProblem))
}

function asProblem({ severity, path, ...problem }: HubProblem): Problem {
  return {
    ...problem,
    severity: severity === 'error' || severity === 'warning' ? severity : 'info',
    ...(path === '' ? {} : { path }),
  }
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
  known: Known,
): Promise<void> {
  const [first] = found
  const objects = found.map(resource => withMessages(toObject(resource), known?.get(keyOfResource(resource))))
  if (query.names.length === 1 && query.definitions.length === 1) {
    if (first) await printData(terminal, objects[0], format)
  } else await printData(terminal, { apiVersion: 'v1', kind: 'List', items: objects }, format)
}

const LEVELS: Readonly<Record<string, string>> = { error: 'ERROR', warning: 'WARNING' }

/** The object with the mesh's messages where Istio puts those of its analysis. */
function withMessages(
  object: Record<string, unknown>,
  problems: readonly HubProblem[] | undefined,
): Record<string, unknown> {
  if (!problems?.length) return object
  const validationMessages = problems.map(({ code, severity, message, path }) => ({
    type: { code },
    level: LEVELS[severity] ?? 'INFO',
    message,
    ...(path === '' ? {} : { path }),
  }))
  return { ...object, status: { ...(object['status'] ?? {}), validationMessages } }
}

function tableOf(
  resources: readonly MeshResource[],
  withKind: boolean,
  flags: GetFlags,
  colour: boolean,
  known: Known,
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
    ...(known ? ['PROBLEMS'] : []),
    ...(wide ? ['FILE'] : []),
  ]
  const rows = resources.map((resource): Cell[] => [
    ...(namespaced ? [resource.metadata.namespace] : []),
    `${withKind ? qualifiedName(resource) : resource.metadata.name}${isCanary(resource) ? ' (canary)' : ''}`,
    ...columns.map(column => column.value(resource) || '<none>'),
    ...(known ? [problemsCell(known.get(keyOfResource(resource)) ?? [])] : []),
    ...(wide ? [resource.origin ? `${resource.origin.file}:${resource.origin.line}` : ''] : []),
  ])
  return table(head, rows, colour)
}

/** The codes, in the colour of the worst. */
function problemsCell(problems: readonly HubProblem[]): Cell {
  if (problems.length === 0) return '<none>'
  const has = (severity: string) => problems.some(problem => problem.severity === severity)
  const text = [...new Set(problems.map(({ code }) => code))].join(',')
  return { text, style: has('error') ? 'red' : has('warning') ? 'yellow' : 'dim' }
}

function whereOf(query: Query, flags: GetFlags): string {
  const clusterScoped =
    query.definitions.length > 0 && query.definitions.every(definition => !definition.namespaced)
  return flags.allNamespaces || clusterScoped ? '' : ` in namespace ${flags.namespace ?? 'default'}`
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
