import type { MeshSnapshot } from '@seine/model'
import type { Proxy } from '../proxy.ts'
import type { Patch } from './patch.ts'
import { PatchSet } from './patch-set.ts'
import { patchesFor } from './selection.ts'

/** One set for all proxies with the same patches, for as long as some proxy has it. */
export class PatchSets {
  readonly #sets = new Map<string, WeakRef<PatchSet>>()
  readonly #numbers = new WeakMap<Patch, number>()
  #newest = 0

  /** The patches for a proxy; undefined where there are none. */
  of(snapshot: MeshSnapshot, proxy: Proxy): PatchSet | undefined {
    const patches = patchesFor(snapshot, proxy)
    if (patches.length === 0) return undefined
    const key = patches.map(patch => this.#numberOf(patch)).join()
    const known = this.#sets.get(key)?.deref()
    if (known) return known
    for (const [name, reference] of this.#sets) if (!reference.deref()) this.#sets.delete(name)
    const made = new PatchSet(patches)
    this.#sets.set(key, new WeakRef(made))
    return made
  }

  #numberOf(patch: Patch): number {
    const known = this.#numbers.get(patch) ?? ++this.#newest
    this.#numbers.set(patch, known)
    return known
  }
}
