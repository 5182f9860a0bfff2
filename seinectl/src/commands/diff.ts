import { keyOf, refOf } from '@seine/api'
import { formatRef } from '@seine/kit'
import type { FolderFlags } from '../config/folders.ts'
import { readInput } from '../config/input.ts'
import { meshWorld } from '../config/mesh-world.ts'
import { diffMesh, type MeshDiff, type ResourceChange } from '../diff.ts'
import { printData } from '../output/data.ts'
import { printProblems } from '../output/errors.ts'
import { printError } from '../output/message.ts'
import { type Style, styled } from '../output/style.ts'
import { ExitCode, type Terminal } from '../terminal.ts'

/** The flags of `diff`. */
export interface DiffFlags extends FolderFlags {
  readonly filename: readonly string[]
  readonly namespace?: string
  readonly output: 'text' | 'json' | 'yaml'
}

/**
 * Prints what the objects of files would change in which proxies. As with `kubectl diff`, the exit code is 0
 * if nothing would change and 1 if something would.
 */
export async function diffCommand(terminal: Terminal, flags: DiffFlags): Promise<ExitCode> {
  const { objects, problems } = await readInput(flags.filename, terminal, flags.namespace)
  if (printProblems(terminal, problems)) return ExitCode.usage
  const mesh = await meshWorld(terminal, flags)
  if (!mesh.ok) {
    printError(terminal, mesh.error)
    return ExitCode.usage
  }
  const { resources, held, isWhole } = mesh.value
  const known = new Set([...resources, ...held].map(resource => keyOf(refOf(resource))))
  const diff = diffMesh(
    mesh.value,
    objects.map(({ resource }) => resource),
    isWhole,
  )
  printProblems(terminal, diff.problems)
  if (flags.output === 'text') terminal.out(textOf(diff, terminal.colour.out))
  else await printData(terminal, diff, flags.output)
  for (const { resource } of objects)
    if (!known.has(keyOf(refOf(resource))) && flags.output === 'text')
      terminal.err(`${formatRef(refOf(resource))} is new\n`)
  return diff.groups.length === 0 && diff.problems.length === 0 ? ExitCode.ok : ExitCode.failed
}

const SIGNS: Readonly<Record<ResourceChange['change'], readonly [string, Style]>> = {
  added: ['+', 'green'],
  changed: ['~', 'yellow'],
  removed: ['-', 'red'],
}
/** Of a resource that changes all over, the first fields tell enough. */
const SHOWN_FIELDS = 12
const SHOWN_CHARACTERS = 100

function textOf({ groups, unchanged }: MeshDiff, colour: boolean): string {
  if (groups.length === 0) return `nothing changes for any of ${unchanged.length} proxies\n`
  const parts = groups.map(({ proxies, changes }) => {
    const lines = changes.flatMap(change => changeLines(change, colour))
    return `${styled(proxies.join(', '), 'bold', colour)}\n${lines.join('\n')}\n`
  })
  const rest = unchanged.length > 0 ? `unchanged: ${unchanged.join(', ')}\n` : ''
  return [...parts, ...(rest ? [rest] : [])].join('\n')
}

function changeLines({ type, name, change, causes, fields }: ResourceChange, colour: boolean): string[] {
  const [sign, style] = SIGNS[change]
  const because = causes.map(
    ({ kind, namespace, name: object, path }) => `${kind} ${namespace}/${object}${path ? ` ${path}` : ''}`,
  )
  const head = `  ${styled(`${sign} ${type.slice(0, -1)} ${name}`, style, colour)}${because.length > 0 ? styled(`  (${because.join(', ')})`, 'dim', colour) : ''}`
  const shown = fields.slice(0, SHOWN_FIELDS).map(({ path, before, after }) => {
    const values = [before, after].map(value => (value === undefined ? 'nothing' : short(value)))
    return `      ${path}: ${values.join(' → ')}`
  })
  const more = fields.length > SHOWN_FIELDS ? [`      and ${fields.length - SHOWN_FIELDS} more fields`] : []
  return [head, ...shown, ...more]
}

function short(text: string): string {
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text
}
