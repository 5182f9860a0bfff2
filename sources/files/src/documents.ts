import { isMap, parseDocument } from 'yaml'

/** One document of a YAML file as text, whether or not it can be parsed. */
export interface SourceDocument {
  /** Offset of its first character (of its `---` line where it has one). */
  readonly start: number
  /** Offset after its last character. */
  readonly end: number
  /** The line it starts on, from 1. */
  readonly line: number
  readonly text: string
}

/** What a document says it is, as far as that can be read. */
export interface DocumentIdentity {
  readonly apiVersion?: string
  readonly kind?: string
  readonly namespace?: string
  readonly name?: string
}

const SEPARATOR = /^---(?=\s|$)/gm

/**
 * Cuts a file into its documents. A `---` in the first column ends a document wherever it stands, so this
 * holds for broken ones too; comments before the first separator are a document of their own.
 */
export function splitDocuments(text: string): SourceDocument[] {
  const starts = [0, ...[...text.matchAll(SEPARATOR)].map(match => match.index).filter(index => index > 0)]
  let line = 1
  return starts.map((start, index) => {
    const end = starts[index + 1] ?? text.length
    const document = { start, end, line, text: text.slice(start, end) }
    line += countLines(document.text)
    return document
  })
}

/** Whether a document holds anything but comments. */
export function hasContent(document: SourceDocument): boolean {
  return document.text.split('\n').some((line, index) => {
    const rest = index === 0 ? line.replace(/^---/, '') : line
    return rest.trim() !== '' && !rest.trim().startsWith('#') && rest.trim() !== '...'
  })
}

/** The kind and name of a document that may be broken: by its parts that parse, else by its lines. */
export function identify(text: string): DocumentIdentity {
  const body = text.replace(/^---/, '   ')
  const root = parseDocument(body, { strict: false, uniqueKeys: false, logLevel: 'silent' }).contents
  const read = (path: readonly string[]): string | undefined => {
    const value = isMap(root) ? root.getIn(path) : undefined
    return typeof value === 'string' ? value : undefined
  }
  const kind = read(['kind']) ?? lineValue(body, /^kind:[ \t]*["']?([\w.-]+)/m)
  const apiVersion = read(['apiVersion']) ?? lineValue(body, /^apiVersion:[ \t]*["']?([\w./-]+)/m)
  const name =
    read(['metadata', 'name']) ??
    lineValue(body, /^metadata:[^\n]*\n(?:[ \t]+[^\n]*\n)*?[ \t]+name:[ \t]*["']?([\w.-]+)/m)
  const namespace =
    read(['metadata', 'namespace']) ??
    lineValue(body, /^metadata:[^\n]*\n(?:[ \t]+[^\n]*\n)*?[ \t]+namespace:[ \t]*["']?([\w.-]+)/m)
  return {
    ...(apiVersion ? { apiVersion } : {}),
    ...(kind ? { kind } : {}),
    ...(name ? { name } : {}),
    ...(namespace ? { namespace } : {}),
  }
}

function lineValue(text: string, pattern: RegExp): string | undefined {
  return pattern.exec(text)?.[1]
}

function countLines(text: string): number {
  let count = 0
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count++
  return count
}
