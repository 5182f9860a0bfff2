import { keyOf, type MeshResource, parseYaml, refOf } from '@seine/api'
import type { Problem } from '@seine/kit'
import { hasContent, identify, type SourceDocument, splitDocuments } from './documents.ts'
import { firstOfEach } from './duplicates.ts'

/** What one file gives the mesh now: its good resources, and the last good ones of what is broken in it. */
export interface FileState {
  readonly resources: ReadonlyMap<string, MeshResource>
  readonly problems: readonly Problem[]
  /** The text of each broken document, with the keys of the last good resources served in its place. */
  readonly broken: ReadonlyMap<string, readonly string[]>
}

const NOTHING: FileState = { resources: new Map(), problems: [], broken: new Map() }

/** The state of a file after it was read again. */
export function readState(text: string, path: string, before: FileState = NOTHING): FileState {
  const parsed = parseYaml(text, path)
  const { resources, problems: duplicates } = firstOfEach(parsed.resources)
  const problems = [...parsed.problems, ...duplicates]
  const errors = parsed.problems.filter(problem => problem.severity === 'error')
  const broken = new Map<string, readonly string[]>()
  if (errors.length === 0) return { resources, problems, broken }
  const good = new Set(resources.keys())
  for (const document of brokenDocuments(text, errors)) {
    const keys = before.broken.get(document.text) ?? standsFor(document, errors, before)
    broken.set(
      document.text,
      keys.filter(key => !good.has(key) && before.resources.has(key)),
    )
  }
  for (const key of [...broken.values()].flat()) {
    const last = before.resources.get(key)
    if (last) resources.set(key, last)
  }
  return { resources, problems, broken }
}

/** The state of a file that can't be read at all: what it was, and why. */
export function unreadState(problem: Problem, before: FileState = NOTHING): FileState {
  return { ...before, problems: [problem] }
}

function brokenDocuments(text: string, errors: readonly Problem[]): SourceDocument[] {
  return splitDocuments(text).filter(
    document => hasContent(document) && errors.some(error => isWithin(error, document)),
  )
}

/** Counts the line after a document's last too: an unclosed bracket is reported where the next document begins. */
function isWithin(problem: Problem, document: SourceDocument): boolean {
  const line = problem.position?.line ?? 1
  return line >= document.line && line < document.line + document.text.split('\n').length
}

/**
 * The keys of the earlier resources that a broken document is probably about: those its problems name, else
 * those of its name. A document that does not even say its name may be any of the file.
 */
function standsFor(document: SourceDocument, errors: readonly Problem[], before: FileState): string[] {
  const own = errors.filter(error => isWithin(error, document))
  if (own.every(error => error.resource))
    return own.flatMap(error => (error.resource ? [keyOf(error.resource)] : []))
  const all = [...before.resources.values()]
  const { name, namespace } = identify(document.text)
  const named = all.filter(
    one => one.metadata.name === name && (namespace === undefined || one.metadata.namespace === namespace),
  )
  return (name === undefined ? all : named).map(one => keyOf(refOf(one)))
}
