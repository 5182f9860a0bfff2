import type { Position, ResourceRef } from '@seine/kit'

/** The metadata every object has. Defaults are filled in: `namespace` is empty for cluster-scoped kinds. */
export interface ObjectMeta {
  readonly name: string
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  /** RFC 3339; Istio lets the oldest of two colliding resources win. */
  readonly creationTimestamp?: string
  readonly resourceVersion?: string
  readonly generation?: number
  /** What made this object: a pod's ReplicaSet, a ReplicaSet's Deployment. */
  readonly ownerReferences?: readonly { readonly kind: string; readonly name: string }[]
}

/** Where a resource was read from, and where each of its fields stands there. */
export interface Origin {
  readonly file: string
  /** The line its document starts on, from 1. */
  readonly line: number
  /** The position of a field path such as `spec.http[0].route`, or of its nearest ancestor that is there. */
  locate(path: string): Position
}

/**
 * One configuration object, validated. For kinds whose body is not under `spec` in Kubernetes
 * (EndpointSlice, Secret, ConfigMap, ServiceAccount), `spec` holds the body's own fields.
 */
export interface Resource<K extends string, S> {
  readonly apiVersion: string
  readonly kind: K
  readonly metadata: ObjectMeta
  readonly spec: S
  readonly status?: unknown
  readonly origin?: Origin
}

/** The object's name for people and for problems. */
export function refOf({ kind, metadata, apiVersion }: Resource<string, unknown>): ResourceRef {
  const ref = refTo({ kind, group: groupOf(apiVersion) }, metadata.namespace, metadata.name)
  return metadata.annotations[CANARY_ANNOTATION] === undefined ? ref : { ...ref, canary: true }
}

/**
 * Names the workloads, `name.namespace` or `name`, separated by commas, whose proxies alone get this version of the
 * object. It stands beside the version for all others, and is another object than that.
 */
export const CANARY_ANNOTATION = 'seine.dev/canary'

/**
 * `true` at such a version: for those proxies the object is not there. What else it says is what all others have.
 */
export const CANARY_REMOVAL_ANNOTATION = 'seine.dev/canary-removes'

/** The same for an object that may not be there. */
export function refTo(
  { kind, group }: { readonly kind: string; readonly group: string },
  namespace: string,
  name: string,
): ResourceRef {
  const ref = { kind, namespace, name }
  return group === AMBIGUOUS[kind] ? { ...ref, group } : ref
}

/** Kinds that two groups have: the group of the one that names it in references. */
const AMBIGUOUS: Readonly<Record<string, string>> = { Gateway: 'gateway.networking.k8s.io' }

/** The group in an `apiVersion`; empty for Kubernetes' core group. */
export function groupOf(apiVersion: string): string {
  const slash = apiVersion.indexOf('/')
  return slash < 0 ? '' : apiVersion.slice(0, slash)
}

/** A key unique among all objects of a mesh: `VirtualService/default/reviews`. */
export function keyOf(ref: ResourceRef): string {
  const kind = ref.group === undefined ? ref.kind : `${ref.kind}.${ref.group}`
  return `${kind}/${ref.namespace}/${ref.name}${ref.canary ? '~canary' : ''}`
}
