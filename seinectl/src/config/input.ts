import { type MeshResource, parseYaml, toObject } from '@seine/api'
import type { Problem } from '@seine/kit'
import { readTexts, splitDocuments } from '@seine/source-files'
import { parseDocument, stringify } from 'yaml'
import type { Terminal } from '../terminal.ts'
import { keyOfResource } from './names.ts'

/** An object that a person gave with `-f`, with the YAML to write for it. */
export interface InputObject {
  readonly resource: MeshResource
  readonly text: string
}

/** Reads `-f` files, folders and standard input. Objects without a namespace get `namespace` if one is given. */
export async function readInput(
  paths: readonly string[],
  terminal: Terminal,
  namespace: string | undefined,
): Promise<{ objects: InputObject[]; problems: Problem[] }> {
  const { texts, problems } = await readTexts(paths, { stdin: terminal.stdin })
  const objects = new Map<string, InputObject>()
  for (const { path, text } of texts) {
    const parsed = parseYaml(text, path)
    problems.push(...parsed.problems)
    for (const resource of parsed.resources) {
      const elsewhere = namespaceConflict(resource, namespace)
      if (elsewhere) problems.push(elsewhere)
      const object = inputObject(resource, text, namespace)
      const key = keyOfResource(object.resource)
      const first = objects.get(key)
      if (first) problems.push(givenTwice(first.resource, object.resource))
      else objects.set(key, object)
    }
  }
  return { objects: [...objects.values()], problems }
}

function inputObject(parsed: MeshResource, file: string, namespace: string | undefined): InputObject {
  const own = documentOf(parsed, file)
  const moved = namespace !== undefined && parsed.metadata.namespace !== '' && !saysNamespace(parsed)
  const resource = moved
    ? ({ ...parsed, metadata: { ...parsed.metadata, namespace } } as MeshResource)
    : parsed
  if (!own) return { resource, text: stringify(toObject(resource), { lineWidth: 0 }) }
  if (!moved) return { resource, text: own }
  const source = parseDocument(own)
  source.setIn(['metadata', 'namespace'], namespace)
  return { resource, text: source.toString({ lineWidth: 0 }) }
}

/** A field that is not there has the position of what would hold it. */
function saysNamespace({ origin }: MeshResource): boolean {
  const [own, parent] = [origin?.locate('metadata.namespace'), origin?.locate('metadata')]
  return own?.line !== parent?.line || own?.column !== parent?.column
}

function namespaceConflict(resource: MeshResource, namespace: string | undefined): Problem | undefined {
  const own = resource.metadata.namespace
  if (namespace === undefined || own === '' || own === namespace || !saysNamespace(resource)) return undefined
  return {
    severity: 'error',
    code: 'namespace-conflict',
    message: `the object is of namespace ${own}, which --namespace ${namespace} contradicts`,
    resource: { kind: resource.kind, namespace: own, name: resource.metadata.name },
    path: 'metadata.namespace',
    ...(resource.origin ? { position: resource.origin.locate('metadata.namespace') } : {}),
  }
}

/** The object's own document with its comments, or undefined for items of a list and for JSON. */
function documentOf(resource: MeshResource, file: string): string | undefined {
  const line = resource.origin?.line ?? 0
  const document = splitDocuments(file).findLast(one => one.line <= line)
  const text = document?.text.replace(/^---[^\n]*\n/, '').trim()
  if (text === undefined || text === '' || text.startsWith('{') || text.startsWith('---')) return undefined
  const isList = parseDocument(text).get('kind') === 'List'
  return isList ? undefined : `${text.replace(/\n\.\.\.$/, '')}\n`
}

function givenTwice(first: MeshResource, second: MeshResource): Problem {
  const { kind, metadata } = second
  const place = first.origin ? ` at ${first.origin.file}:${first.origin.line}` : ''
  return {
    severity: 'error',
    code: 'duplicate-resource',
    message: `is given twice, first${place}: leave one out`,
    resource: { kind, namespace: metadata.namespace, name: metadata.name },
    ...(second.origin ? { position: second.origin.locate('') } : {}),
  }
}
