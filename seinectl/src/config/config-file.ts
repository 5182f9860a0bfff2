import { definitionOf, findKind, type KindDefinition, type MeshResource, parseYaml } from '@seine/api'
import type { Problem } from '@seine/kit'
import { hasContent, identify, type SourceDocument, splitDocuments } from '@seine/source-files'
import { parseDocument } from 'yaml'
import { asList, at, textAt } from '../hub/json.ts'
import { keyFor, keyOfResource } from './names.ts'

/** Where in a file one object stands. */
interface Place {
  readonly document: SourceDocument
  /** Its index among the items of a `kind: List`, and how many those are. */
  readonly item?: number
  readonly items?: number
  /** Absent where the document is broken but still says what it is about. */
  readonly resource?: MeshResource
}

/** One file of configuration, as text that can be edited object by object: whatever is not edited stays as it is. */
export class ConfigFile {
  readonly path: string
  #text: string
  #places = new Map<string, Place>()
  #problems: readonly Problem[] = []
  #edited = false

  constructor(path: string, text: string) {
    this.path = path
    this.#text = text
    this.#index()
  }

  get text(): string {
    return this.#text
  }

  get edited(): boolean {
    return this.#edited
  }

  get problems(): readonly Problem[] {
    return this.#problems
  }

  /** Whether anything but comments is left. */
  get isEmpty(): boolean {
    return !splitDocuments(this.#text).some(hasContent)
  }

  resources(): MeshResource[] {
    return [...this.#places.values()].flatMap(place => place.resource ?? [])
  }

  has(key: string): boolean {
    return this.#places.has(key)
  }

  /** The object, or undefined where it is broken or not there. */
  get(key: string): MeshResource | undefined {
    return this.#places.get(key)?.resource
  }

  /** Puts an object in the place of its former self, or at the end. `text` is YAML without a separator. */
  put(key: string, text: string): void {
    const place = this.#places.get(key)
    if (!place) this.#append(text)
    else if (place.item !== undefined)
      this.#editList(place.document, list =>
        list.setIn(['items', place.item ?? 0], parseDocument(text).toJS()),
      )
    else if (isJson(this.path)) this.#change(toJson(text))
    else this.#splice(place.document, separatorOf(place.document) + text + this.#trailerOf(place.document))
  }

  remove(key: string): void {
    const place = this.#places.get(key)
    if (!place) return
    const { document, item, items = 1 } = place
    if (item === undefined || items === 1) this.#splice(document, this.#trailerOf(document))
    else this.#editList(document, list => list.deleteIn(['items', item]))
  }

  #editList(document: SourceDocument, edit: (list: ReturnType<typeof parseDocument>) => unknown): void {
    const list = parseDocument(document.text)
    edit(list)
    const text = isJson(this.path) ? toJson(String(list)) : list.toString({ lineWidth: 0 })
    this.#splice(document, text)
  }

  #append(text: string): void {
    const before = this.#text === '' ? '' : `${this.#text.replace(/\n*$/, '')}\n`
    this.#change(before + (this.isEmpty ? '' : '---\n') + text)
  }

  /** Comments after a document's content are headings of the next one more often than not. */
  #trailerOf(document: SourceDocument): string {
    if (document.end === this.#text.length) return ''
    const lines = document.text.split('\n').slice(0, -1)
    const last = lines.findLastIndex(line => line.trim() !== '' && !line.startsWith('#'))
    const trailer = lines.slice(last + 1)
    return trailer.some(line => line.startsWith('#')) ? `${trailer.join('\n')}\n` : ''
  }

  #splice(document: SourceDocument, text: string): void {
    this.#change(this.#text.slice(0, document.start) + text + this.#text.slice(document.end))
  }

  #change(text: string): void {
    this.#text = text
    this.#edited = true
    this.#index()
  }

  #index(): void {
    const parsed = parseYaml(this.#text, this.path)
    const documents = splitDocuments(this.#text)
    this.#problems = parsed.problems
    this.#places = new Map()
    for (const [index, document] of documents.entries()) {
      const end = documents[index + 1]?.line ?? Number.POSITIVE_INFINITY
      const within = (line: number) => line >= document.line && line < end
      const resources = parsed.resources.filter(resource => within(resource.origin?.line ?? 0))
      for (const place of placesIn(document, resources))
        if (!this.#places.has(place.key)) this.#places.set(place.key, place)
    }
  }
}

function placesIn(document: SourceDocument, resources: readonly MeshResource[]): (Place & { key: string })[] {
  const [only] = resources
  if (!only) {
    const { apiVersion, kind, namespace, name } = identify(document.text)
    const definition = kind === undefined ? undefined : definitionNamed(apiVersion, kind)
    if (name === undefined || !definition) return []
    return [{ key: keyFor(definition, namespace ?? 'default', name), document }]
  }
  const list: unknown = isList(document.text) ? parseDocument(document.text).toJS() : undefined
  if (list === undefined) return [{ key: keyOfResource(only), document, resource: only }]
  const keys = asList(at(list, 'items')).map(itemKey)
  return resources.flatMap(resource => {
    const key = keyOfResource(resource)
    const item = keys.indexOf(key)
    return item < 0 ? [] : [{ key, document, item, items: keys.length, resource }]
  })
}

/** The kind that an object says it is of; one that is broken need not say its API's group. */
function definitionNamed(apiVersion = '', kind: string): KindDefinition | undefined {
  const known = findKind(kind)
  return definitionOf({ apiVersion, kind }) ?? (known?.kind === kind ? known : undefined)
}

function isList(text: string): boolean {
  return identify(text).kind === 'List'
}

function itemKey(item: unknown): string | undefined {
  const definition = definitionNamed(textAt(item, 'apiVersion'), textAt(item, 'kind'))
  return definition
    ? keyFor(definition, textAt(item, 'metadata', 'namespace') || 'default', textAt(item, 'metadata', 'name'))
    : undefined
}

/** The `---` line of a document, if it has one. */
function separatorOf(document: SourceDocument): string {
  const first = /^---[ \t]*(#[^\n]*)?\n/.exec(document.text)
  return first ? first[0] : document.text.startsWith('---') ? '---\n' : ''
}

function isJson(path: string): boolean {
  return path.toLowerCase().endsWith('.json')
}

function toJson(yaml: string): string {
  return `${JSON.stringify(parseDocument(yaml).toJS(), null, 2)}\n`
}
