import { CANARY_ANNOTATION, CANARY_REMOVAL_ANNOTATION, type MeshResource } from '@seine/api'
import { canaryWorkloads, isCanary } from '@seine/model'
import { parseDocument } from 'yaml'
import type { InputObject } from '../config/input.ts'

/** An object as the version of it that some workloads, each `name.namespace`, get before the others. */
export function versionFor({ resource, text }: InputObject, workloads: readonly string[]): InputObject {
  const value = workloads.join(',')
  const { metadata } = resource
  const annotations = { ...metadata.annotations, [CANARY_ANNOTATION]: value }
  const source = parseDocument(text)
  source.setIn(['metadata', 'annotations', CANARY_ANNOTATION], value)
  return {
    resource: { ...resource, metadata: { ...metadata, annotations } } as MeshResource,
    text: source.toString({ lineWidth: 0 }),
  }
}

/** An object as the version by which it is gone for some workloads before it is for the others. */
export function removalFor(object: InputObject, workloads: readonly string[]): InputObject {
  const { resource, text } = versionFor(object, workloads)
  const { metadata } = resource
  const annotations = { ...metadata.annotations, [CANARY_REMOVAL_ANNOTATION]: 'true' }
  const source = parseDocument(text)
  source.setIn(['metadata', 'annotations', CANARY_REMOVAL_ANNOTATION], 'true')
  return {
    resource: { ...resource, metadata: { ...metadata, annotations } } as MeshResource,
    text: source.toString({ lineWidth: 0 }),
  }
}

/** Why these objects can't be given to these workloads first, beside what is there already; undefined when they can. */
export function whyNot(
  objects: readonly InputObject[],
  workloads: readonly string[],
  there: readonly MeshResource[],
): string | undefined {
  const marked = objects.find(({ resource }) => isCanary(resource))
  if (marked)
    return `${marked.resource.kind} ${marked.resource.metadata.name} has the annotation ${CANARY_ANNOTATION} itself: leave it out, or apply it without --canary`
  const busy = there.find(
    resource => isCanary(resource) && canaryWorkloads(resource).some(one => workloads.includes(one)),
  )
  return busy
    ? `a canary is under way there: ${busy.kind} ${busy.metadata.namespace}/${busy.metadata.name}${busy.origin ? ` (${busy.origin.file})` : ''}; wait for it, or delete the file`
    : undefined
}
