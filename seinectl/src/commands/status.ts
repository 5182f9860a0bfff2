import { refOf } from '@seine/api'
import { formatRef } from '@seine/kit'
import type { Condition, StatusBody } from '@seine/model'
import { loadFiles } from '@seine/source-files'
import { printData } from '../output/data.ts'
import { printProblems } from '../output/errors.ts'
import type { Style } from '../output/style.ts'
import { type Cell, table } from '../output/table.ts'
import { isOfGatewayApi, withStatuses } from '../statuses.ts'
import { ExitCode, type Terminal } from '../terminal.ts'

/** The flags of `status`. */
export interface StatusFlags {
  readonly filename: readonly string[]
  readonly output: 'table' | 'json' | 'yaml'
}

/**
 * Prints the status that objects of the Gateway API in files would have in a mesh of just these files. The exit
 * code is 1 when something is not as it should be.
 */
export async function statusCommand(terminal: Terminal, flags: StatusFlags): Promise<ExitCode> {
  const { resources, problems } = await loadFiles(flags.filename, { stdin: terminal.stdin })
  const failed = printProblems(terminal, problems)
  const found = withStatuses(resources).filter(isOfGatewayApi)
  const objects = found.map(resource => ({
    apiVersion: resource.apiVersion,
    kind: resource.kind,
    metadata: { name: resource.metadata.name, namespace: resource.metadata.namespace },
    status: (resource.status ?? {}) as StatusBody,
  }))
  const rows = found.flatMap((resource, index) =>
    conditionsOf(objects[index]?.status ?? {}).map(one => ({ object: formatRef(refOf(resource)), ...one })),
  )
  if (flags.output === 'table') printTable(terminal, rows)
  else await printData(terminal, objects, flags.output)
  return failed || rows.some(({ condition }) => !isFine(condition)) ? ExitCode.failed : ExitCode.ok
}

interface Row {
  /** The parent, listener or ancestor that it is about; empty for the object itself. */
  readonly about: string
  readonly condition: Condition
}

function conditionsOf(status: StatusBody): Row[] {
  const of = (about: string, conditions: readonly Condition[]) =>
    conditions.map(condition => ({ about, condition }))
  const named = ({ kind, namespace, name, sectionName, port }: ParentName) =>
    [
      `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`,
      ...(sectionName === undefined ? [] : [sectionName]),
      ...(port === undefined ? [] : [`port ${port}`]),
    ].join(', ')
  return [
    ...of('', status.conditions ?? []),
    ...(status.listeners ?? []).flatMap(({ name, conditions }) => of(`listener ${name}`, conditions)),
    ...(status.parents ?? []).flatMap(({ parentRef, conditions }) => of(named(parentRef), conditions)),
    ...(status.ancestors ?? []).flatMap(({ ancestorRef, conditions }) => of(named(ancestorRef), conditions)),
  ]
}

type ParentName = NonNullable<StatusBody['parents']>[number]['parentRef']

/** Conditions that are good when they are not true. */
const NEGATIVE: ReadonlySet<string> = new Set([
  'Conflicted',
  'PartiallyInvalid',
  'InsecureFrontendValidationMode',
])

function isFine({ type, status }: Condition): boolean {
  return (status === 'True') !== NEGATIVE.has(type)
}

function printTable(terminal: Terminal, rows: readonly (Row & { readonly object: string })[]): void {
  const cells = rows.map(({ object, about, condition }): Cell[] => {
    const style: Style = isFine(condition) ? 'green' : 'red'
    const { type, status, reason, message } = condition
    return [object, about, type, { text: status, style }, reason, message]
  })
  terminal.out(
    table(['OBJECT', 'ABOUT', 'CONDITION', 'STATUS', 'REASON', 'MESSAGE'], cells, terminal.colour.out),
  )
}
