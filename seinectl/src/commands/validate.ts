import type { CheckedObject } from '@seine/api'
import { formatPosition, formatRef, type Problem } from '@seine/kit'
import { meshConfigProblems } from '@seine/model'
import { loadFiles } from '@seine/source-files'
import { printData } from '../output/data.ts'
import { printProblems } from '../output/errors.ts'
import { styled } from '../output/style.ts'
import { type Cell, table } from '../output/table.ts'
import { ExitCode, type Terminal } from '../terminal.ts'

/** The flags of `validate`. */
export interface ValidateFlags {
  readonly filename: readonly string[]
  readonly output: 'table' | 'json' | 'yaml'
}

/** What is wrong with a field. */
interface FieldProblem {
  readonly path: string
  readonly message: string
}

/** One object, for machines. A document that can't be read has no kind and no name. */
interface ValidatedObject {
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly valid: boolean
  readonly errors: readonly FieldProblem[]
  readonly warnings: readonly FieldProblem[]
}

/** Checks the objects of files by their APIs. The exit code is 1 when one is invalid or a file can't be read. */
export async function validate(terminal: Terminal, flags: ValidateFlags): Promise<ExitCode> {
  const { objects, fileProblems, duplicates } = await loadFiles(flags.filename, { stdin: terminal.stdin })
  const unreadable = printProblems(terminal, fileProblems)
  const checked = objects.map(object => withDuplicates(withSettings(object), duplicates))
  if (flags.output === 'table') printTable(terminal, checked)
  else await printData(terminal, checked.map(validated), flags.output)
  return unreadable || checked.some(isInvalid) ? ExitCode.failed : ExitCode.ok
}

/** The settings of the mesh are a text in a ConfigMap, which its schema knows nothing of. */
function withSettings(object: CheckedObject): CheckedObject {
  const found = object.resource?.kind === 'ConfigMap' ? meshConfigProblems(object.resource) : []
  return found.length > 0 ? { ...object, problems: [...object.problems, ...found] } : object
}

/** An object that is written down twice is not invalid by itself, and only one of the two is used. */
function withDuplicates(object: CheckedObject, duplicates: readonly Problem[]): CheckedObject {
  const at = object.resource?.origin?.locate('')
  const own = duplicates.filter(
    ({ position }) =>
      position &&
      at &&
      position.file === at.file &&
      position.line === at.line &&
      position.column === at.column,
  )
  const warnings = own.map(problem => ({ ...problem, severity: 'warning' as const }))
  return warnings.length > 0 ? { ...object, problems: [...object.problems, ...warnings] } : object
}

function isInvalid({ problems }: CheckedObject): boolean {
  return problems.some(({ severity }) => severity === 'error')
}

function validated(object: CheckedObject): ValidatedObject {
  const { ref, problems } = object
  const of = (isError: boolean) =>
    problems
      .filter(({ severity }) => (severity === 'error') === isError)
      .map(({ path = '', message }) => ({ path, message }))
  return {
    kind: ref?.kind ?? '',
    namespace: ref?.namespace ?? '',
    name: ref?.name ?? '',
    valid: !isInvalid(object),
    errors: of(true),
    warnings: of(false),
  }
}

function printTable(terminal: Terminal, objects: readonly CheckedObject[]): void {
  const rows = objects.flatMap(({ ref, problems }) =>
    problems.map((problem): Cell[] => [
      problem.position ? formatPosition(problem.position) : '',
      problem.severity === 'error'
        ? { text: 'error', style: 'red' }
        : { text: problem.severity, style: 'yellow' },
      ref ? formatRef(ref) : '',
      problem.path ?? '',
      problem.message,
    ]),
  )
  const colour = terminal.colour.out
  if (rows.length > 0) terminal.out(table(['POSITION', 'LEVEL', 'OBJECT', 'FIELD', 'MESSAGE'], rows, colour))
  const invalid = objects.filter(isInvalid).length
  const count = objects.length === 1 ? '1 object' : `${objects.length} objects`
  const text = invalid > 0 ? `${count}, ${invalid} invalid` : `${count}, all valid`
  terminal.out(`${styled(text, invalid > 0 ? 'red' : 'green', colour)}\n`)
}
