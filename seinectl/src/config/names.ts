import {
  definitionOf,
  findKind,
  type KindDefinition,
  keyOf,
  kindDefinitions,
  type MeshResource,
  refOf,
  refTo,
  suggest,
} from '@seine/api'
import { err, ok, type Result } from '@seine/kit'

/** `virtualservice.networking.istio.io`, or `service` in Kubernetes' core group. */
export function qualifiedKind(definition: KindDefinition): string {
  const kind = definition.kind.toLowerCase()
  return definition.group === '' ? kind : `${kind}.${definition.group}`
}

/** `virtualservice.networking.istio.io/reviews`, as `kubectl` names an object. */
export function qualifiedName(resource: MeshResource): string {
  const definition = definitionOf(resource)
  return `${definition ? qualifiedKind(definition) : resource.kind.toLowerCase()}/${resource.metadata.name}`
}

/** `virtualservice-default-reviews.yaml`: the file that a new object goes to. */
export function fileNameOf(resource: MeshResource): string {
  const { kind, group, namespace, name, canary } = refOf(resource)
  return `${[group === undefined ? kind.toLowerCase() : `${kind.toLowerCase()}.${group}`, namespace, name, canary ? 'canary' : ''].filter(part => part !== '').join('-')}.yaml`
}

/** The kind that a word means (`vs`, `virtualservices`, `virtualservice.networking.istio.io`), or what to say about it. */
export function kindOf(word: string): Result<KindDefinition, string> {
  const definition = findKind(word) ?? findKind(word.split('.')[0] ?? '')
  if (definition) return ok(definition)
  const words = kindDefinitions.flatMap(({ kind, plural, shortNames }) => [
    kind.toLowerCase(),
    plural,
    ...shortNames,
  ])
  const near = suggest(word, words)
  const known = kindDefinitions.map(one => one.plural).join(', ')
  return err(`there is no kind "${word}"${near ? `: did you mean "${near}"?` : ''} (kinds: ${known})`)
}

/** A key for an object that may not be there. */
export function keyFor(definition: KindDefinition, namespace: string, name: string): string {
  return keyOf(refTo(definition, definition.namespaced ? namespace : '', name))
}

/** The key of a resource. */
export function keyOfResource(resource: MeshResource): string {
  return keyOf(refOf(resource))
}
