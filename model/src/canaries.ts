import { CANARY_ANNOTATION, CANARY_REMOVAL_ANNOTATION, keyOf, type MeshResource, refOf } from '@seine/api'
import { MeshModel, type ModelUpdate, type ResourceChange } from './mesh-model.ts'
import type { MeshSnapshot } from './snapshot.ts'

/** Whether an object is a version that only some proxies get. */
export function isCanary({ metadata }: MeshResource): boolean {
  return metadata.annotations[CANARY_ANNOTATION] !== undefined
}

/** The workloads, as `name.namespace`, whose proxies get a version of an object before the others, in order. */
export function canaryWorkloads({ metadata }: MeshResource): readonly string[] {
  const words = (metadata.annotations[CANARY_ANNOTATION] ?? '').split(',').map(word => word.trim())
  const full = words
    .filter(word => word !== '')
    .map(word => (word.includes('.') ? word : `${word}.${metadata.namespace || 'default'}`))
  return [...new Set(full)].sort()
}

/** Whether a canary's version says that the object is not there for its workloads. */
export function isRemoval({ metadata }: MeshResource): boolean {
  return metadata.annotations[CANARY_REMOVAL_ANNOTATION] === 'true'
}

/** What a change did to the canaries. */
export interface CanaryUpdate {
  /** The canaries that are still there, or are new, with what changed for their proxies. */
  readonly updates: ReadonlyMap<CanaryGroup, ModelUpdate>
  /** Whether a canary began or ended, so that proxies may have to be told something else altogether. */
  readonly moved: boolean
}

/** Versions of objects that the same workloads get, over everything that all get. */
export class CanaryGroup {
  /** `name.namespace`, in order. */
  readonly workloads: readonly string[]
  readonly #model = new MeshModel()
  /** By the keys of the objects that they take the place of. */
  readonly #versions = new Map<string, MeshResource>()

  constructor(workloads: readonly string[]) {
    this.workloads = workloads
  }

  /** The mesh as the workloads see it. */
  get snapshot(): MeshSnapshot {
    return this.#model.snapshot
  }

  /** The canary's own versions of objects. */
  get versions(): readonly MeshResource[] {
    return [...this.#versions.values()]
  }

  /** Takes over what is in force for all: last good versions hold for these workloads as well. */
  begin(inForce: readonly MeshResource[]): void {
    this.#model.apply({ upserts: inForce, deletes: [] }, true)
  }

  has(key: string): boolean {
    return this.#versions.has(key)
  }

  /** Puts versions into the place of others, or takes them away; `resources` are those that all get. */
  apply(
    base: ResourceChange,
    versions: { readonly put: readonly MeshResource[]; readonly removed: readonly string[] },
    resources: ReadonlyMap<string, MeshResource>,
  ): ModelUpdate {
    const upserts: MeshResource[] = []
    const deletes: ResourceChange['deletes'][number][] = []
    for (const key of versions.removed) {
      const version = this.#versions.get(key)
      if (!version) continue
      this.#versions.delete(key)
      const other = resources.get(key)
      if (other) upserts.push(other)
      else deletes.push(refOf(inPlace(version, undefined)))
    }
    for (const version of versions.put) {
      const plain = inPlace(version, undefined)
      const key = keyOf(refOf(plain))
      this.#versions.set(key, version)
      if (isRemoval(version)) deletes.push(refOf(plain))
      else upserts.push(inPlace(version, resources.get(key)))
    }
    const isOthers = (key: string) => !this.#versions.has(key)
    return this.#model.apply({
      upserts: [...base.upserts.filter(one => isOthers(keyOf(refOf(one)))), ...upserts],
      deletes: [...base.deletes.filter(ref => isOthers(keyOf(ref))), ...deletes],
    })
  }
}

/** A version as if it were the object itself, as old as that. */
function inPlace(version: MeshResource, other: MeshResource | undefined): MeshResource {
  const {
    [CANARY_ANNOTATION]: _,
    [CANARY_REMOVAL_ANNOTATION]: __,
    ...annotations
  } = version.metadata.annotations
  const since = other?.metadata.creationTimestamp
  const metadata = { ...version.metadata, annotations, ...(since ? { creationTimestamp: since } : {}) }
  return { ...version, metadata } as MeshResource
}

/**
 * The changes that only some proxies get so far. Each set of workloads has a mesh of its own: what all get, with its
 * versions in their places. What all get is never touched, and without canaries nothing is kept.
 */
export class Canaries {
  readonly #groups = new Map<string, CanaryGroup>()

  get groups(): readonly CanaryGroup[] {
    return [...this.#groups.values()]
  }

  /** Takes a change in. @param model what all get, after it */
  apply(change: ResourceChange, model: Pick<MeshModel, 'resources' | 'objects'>): CanaryUpdate {
    const { resources } = model
    const put = change.upserts.filter(isCanary)
    const gone = new Set(change.deletes.filter(({ canary }) => canary).map(ref => plainKey(keyOf(ref))))
    const updates = new Map<CanaryGroup, ModelUpdate>()
    if (this.#groups.size === 0 && put.length === 0) return { updates, moved: false }
    const base: ResourceChange = {
      upserts: change.upserts.filter(one => !isCanary(one)),
      deletes: change.deletes.filter(({ canary }) => !canary),
    }
    const wanted = new Map<string, MeshResource[]>()
    for (const version of put) {
      const name = canaryWorkloads(version).join(',')
      wanted.set(name, [...(wanted.get(name) ?? []), version])
      gone.add(plainKey(keyOf(refOf(version))))
    }
    let moved = false
    for (const [name, group] of this.#groups) {
      const own = wanted.get(name) ?? []
      wanted.delete(name)
      const kept = new Set(own.map(one => plainKey(keyOf(refOf(one)))))
      const removed = [...gone].filter(key => group.has(key) && !kept.has(key))
      const update = group.apply(base, { put: own, removed }, resources)
      if (group.versions.length > 0) updates.set(group, update)
      else {
        this.#groups.delete(name)
        moved = true
      }
    }
    const all = { upserts: [...resources.values()].filter(one => !isCanary(one)), deletes: [] }
    for (const [name, versions] of wanted) {
      if (name === '') continue
      const group = new CanaryGroup(name.split(','))
      group.begin(
        [...model.objects()].flatMap(({ inForce }) => (inForce && !isCanary(inForce) ? inForce : [])),
      )
      this.#groups.set(name, group)
      updates.set(group, group.apply(all, { put: versions, removed: [] }, resources))
      moved = true
    }
    return { updates, moved }
  }
}

function plainKey(key: string): string {
  return key.replace(/~canary$/, '')
}
