import { err, errorMessage, ok, type Position, type Problem, type Result } from '@seine/kit'
import { type Document, isMap, isScalar, isSeq, LineCounter, type Node, parseAllDocuments } from 'yaml'
import type { z } from 'zod'
import { defaultMeshConfig, type MeshConfig, meshConfigSchema } from '../mesh/mesh-config.ts'
import { type MeshNetworks, meshNetworksSchema, noMeshNetworks } from '../mesh/mesh-networks.ts'
import { UNSUPPORTED_SETTINGS } from '../mesh/unsupported-settings.ts'
import type { MeshResource } from '../mesh-resource.ts'
import type { Origin } from '../resource.ts'
import { formatPath, parentPath } from './field-path.ts'
import { describeIssue } from './issues.ts'
import { type CheckedObject, checkObject } from './object.ts'
import { fieldsAt } from './schema-walk.ts'
import { suggest } from './suggest.ts'

/** The largest file that is read, in bytes. */
export const MAX_FILE_BYTES = 16 << 20

/** What a file of YAML documents held. */
export interface ParsedFile {
  /** What can be taken: all objects without errors. */
  readonly resources: readonly MeshResource[]
  /** What is wrong with all of it. */
  readonly problems: readonly Problem[]
  /** Every object, taken or not, and each document that is no YAML, in their order. */
  readonly objects: readonly CheckedObject[]
}

function fileOf(objects: readonly CheckedObject[]): ParsedFile {
  const isGood = ({ problems }: CheckedObject) => !problems.some(({ severity }) => severity === 'error')
  return {
    resources: objects.filter(isGood).flatMap(({ resource }) => resource ?? []),
    problems: objects.flatMap(({ problems }) => problems),
    objects,
  }
}

/**
 * Reads YAML (or JSON) with any number of documents. A broken document is reported and the others are
 * read. `file` is what positions name.
 */
export function parseYaml(text: string, file: string): ParsedFile {
  if (text.length > MAX_FILE_BYTES) {
    const message = 'the file is larger than 16 MiB: split it'
    return fileOf([unreadable(message, { file, line: 1 })])
  }
  const lines = new LineCounter()
  const documents = parseAllDocuments(text, { lineCounter: lines, uniqueKeys: true, merge: true })
  return fileOf(
    (Array.isArray(documents) ? documents : []).flatMap(document => readDocument(document, lines, file)),
  )
}

function unreadable(message: string, position: Position): CheckedObject {
  return { problems: [{ severity: 'error', code: 'yaml-syntax', message, position }] }
}

function readDocument(document: Document.Parsed, lines: LineCounter, file: string): CheckedObject[] {
  const problems: Problem[] = document.errors.map(error => {
    const at = lines.linePos(error.pos[0])
    return {
      severity: 'error',
      code: 'yaml-syntax',
      message: firstLine(error.message),
      position: { file, line: at.line, column: at.col },
    }
  })
  if (problems.length > 0) return [{ problems }]
  let value: unknown
  try {
    value = document.toJS({ maxAliasCount: 1000 })
  } catch (failure) {
    return [unreadable(errorMessage(failure), { file, line: lines.linePos(document.range[0]).line })]
  }
  if (value === null || value === undefined) return []
  const positions = positionsOf(document.contents, lines)
  return readObject(value, originIn(positions, file, ''), path => originIn(positions, file, path))
}

function readObject(value: unknown, origin: Origin, originAt: (path: string) => Origin): CheckedObject[] {
  const items = listItems(value)
  if (!items) return [checkObject(value, origin)]
  return items.flatMap((item, index) => readObject(item, originAt(`items[${index}]`), originAt))
}

/** The items of a `kind: List`. */
function listItems(value: unknown): unknown[] | undefined {
  if (
    typeof value !== 'object' ||
    value === null ||
    !('kind' in value) ||
    value.kind !== 'List' ||
    !('items' in value)
  )
    return undefined
  return Array.isArray(value.items) ? value.items : undefined
}

/** By field path, line and column in one number: positions of all fields are kept for as long as the resource is. */
type Positions = ReadonlyMap<string, number>

const MAX_COLUMN = 0xfff

function packed({ line, col }: { readonly line: number; readonly col: number }): number {
  return line * (MAX_COLUMN + 1) + Math.min(col, MAX_COLUMN)
}

function lineOf(position: number): number {
  return Math.floor(position / (MAX_COLUMN + 1))
}

/** The position of every field of a document: of the key for a map's entries, of the value for a list's. */
function positionsOf(root: unknown, lines: LineCounter): Positions {
  const found = new Map<string, number>()
  const note = (path: readonly PropertyKey[], node: Node) => {
    found.set(shared(formatPath(path)), packed(lines.linePos(node.range?.[0] ?? 0)))
  }
  const visit = (node: unknown, path: readonly PropertyKey[]): void => {
    if (isMap(node)) {
      for (const pair of node.items) {
        if (!isScalar(pair.key)) continue
        const inner = [...path, String(pair.key.value)]
        note(inner, pair.key)
        visit(pair.value, inner)
      }
    } else if (isSeq<Node>(node)) {
      for (const [index, item] of node.items.entries()) {
        const inner = [...path, index]
        note(inner, item)
        visit(item, inner)
      }
    }
  }
  if (isMap(root)) note([], root)
  visit(root, [])
  return found
}

/** Documents of one kind have the same paths: one text of each serves all of them. */
function shared(path: string): string {
  const known = PATHS.get(path)
  if (known !== undefined) return known
  if (PATHS.size >= MAX_SHARED_PATHS) PATHS.clear()
  PATHS.set(path, path)
  return path
}

const PATHS = new Map<string, string>()
const MAX_SHARED_PATHS = 10_000

function originIn(positions: Positions, file: string, base: string): Origin {
  const locate = (path: string): Position => {
    const full = base === '' ? path : path === '' ? base : `${base}.${path}`
    for (let at: string | undefined = full; at !== undefined; at = parentPath(at)) {
      const found = positions.get(at)
      if (found !== undefined) return { file, line: lineOf(found), column: found % (MAX_COLUMN + 1) }
    }
    return { file, line: lineOf(positions.get('') ?? packed({ line: 1, col: 1 })) }
  }
  return { file, line: locate('').line, locate }
}

function firstLine(message: string): string {
  const line = message.split('\n')[0] ?? message
  return line.replace(/ at line \d+, column \d+:?$/, '')
}

/** Reads the mesh-wide settings from the YAML that a ConfigMap holds; an empty text gives the defaults. */
export function parseMeshConfig(text: string, at?: SettingsPlace): Result<MeshConfig, Problem[]> {
  return parseSettings(text, meshConfigSchema, defaultMeshConfig, 'mesh-config', at)
}

/** Reads the networks of the mesh from the YAML that a ConfigMap holds; an empty text says of none. */
export function parseMeshNetworks(text: string, at?: SettingsPlace): Result<MeshNetworks, Problem[]> {
  return parseSettings(text, meshNetworksSchema, noMeshNetworks, 'mesh-networks', at)
}

/** Where a text of settings stands. */
interface SettingsPlace {
  readonly origin?: Origin
  readonly path: string
}

function parseSettings<T>(
  text: string,
  schema: z.ZodType<T>,
  defaults: T,
  code: 'mesh-config' | 'mesh-networks',
  at?: SettingsPlace,
): Result<T, Problem[]> {
  const position = at?.origin ? { position: at.origin.locate(at.path) } : {}
  const problem = (path: string, message: string): Problem => ({
    severity: 'error',
    code,
    message,
    path,
    ...position,
  })
  const [document] = parseAllDocuments(text)
  if (!document || !('contents' in document)) return ok(defaults)
  const syntax = document.errors[0]
  if (syntax) return err([problem(at?.path ?? '', firstLine(syntax.message))])
  let settings: unknown
  try {
    settings = document.toJS() ?? {}
  } catch (failure) {
    // An alias of nothing, or too many of them.
    return err([problem(at?.path ?? '', firstLine(errorMessage(failure)))])
  }
  const parsed = schema.safeParse(settings)
  if (parsed.success) return ok(parsed.data)
  const reasons = code === 'mesh-config' ? UNSUPPORTED_SETTINGS : {}
  return err(parsed.error.issues.flatMap(issue => settingsProblems(issue, schema, reasons, problem)))
}

/** What Istio has and nothing here does has a reason of its own. */
function settingsProblems(
  issue: z.core.$ZodIssue,
  schema: z.ZodType,
  reasons: Readonly<Record<string, string>>,
  problem: (path: string, message: string) => Problem,
): Problem[] {
  if (issue.code !== 'unrecognized_keys') return [problem(formatPath(issue.path), describeIssue(issue))]
  return issue.keys.map(key => {
    const path = formatPath([...issue.path, key])
    const reason = reasons[path.replace(/\[\d+\]/g, '[]')]
    if (reason) return problem(path, reason)
    const near = suggest(key, fieldsAt(schema, issue.path))
    return problem(path, `there is no setting of this name${near ? `: did you mean ${near}?` : ''}`)
  })
}
