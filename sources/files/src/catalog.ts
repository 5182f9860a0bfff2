import { keyOf, type MeshResource, refOf } from '@seine/api'
import type { Problem } from '@seine/kit'
import type { ResourceChange } from '@seine/model'
import { duplicateProblem, positionOf } from './duplicates.ts'
import type { FileState } from './file-state.ts'
import { byPath } from './read.ts'

/** All files' resources together: who wins where two files hold one object, and what changed. */
export class Catalog {
  readonly #files = new Map<string, FileState>()
  /** Key → the files that hold the object. */
  readonly #holders = new Map<string, Set<string>>()
  /** Key → the file whose object is used. */
  readonly #used = new Map<string, string>()
  readonly #served = new Map<string, MeshResource>()
  /** Key → when the object was first seen; those that were there from the start have none. */
  readonly #since = new Map<string, string>()
  readonly #contested = new Set<string>()
  /** The files that have problems of their own. */
  readonly #troubled = new Set<string>()
  readonly #touched = new Set<string>()
  #problems: readonly Problem[] = []
  #problemsText = '[]'

  /** What is wrong now, by file. */
  get problems(): readonly Problem[] {
    return this.#problems
  }

  get(path: string): FileState | undefined {
    return this.#files.get(path)
  }

  /** The paths of the files it knows. */
  paths(): string[] {
    return [...this.#files.keys()]
  }

  /** Puts a file in the place of what was known of it; without a state the file is gone. */
  set(path: string, state: FileState | undefined): void {
    for (const key of this.#files.get(path)?.resources.keys() ?? []) {
      this.#touched.add(key)
      this.#holders.get(key)?.delete(path)
    }
    if (state) this.#files.set(path, state)
    else this.#files.delete(path)
    if (state && state.problems.length > 0) this.#troubled.add(path)
    else this.#troubled.delete(path)
    for (const key of state?.resources.keys() ?? []) {
      this.#touched.add(key)
      const holders = this.#holders.get(key)
      if (holders) holders.add(path)
      else this.#holders.set(key, new Set([path]))
    }
  }

  /**
   * What differs since the last call. `problems` tells whether those changed too. Objects that are new get `now`
   * (RFC 3339) as their date of creation, unless they say one themselves: of two that collide the one that was
   * there first stays in force. Without `now`, at the start, all are equally old.
   */
  takeChange(
    extra: readonly Problem[],
    now: string | undefined,
  ): { change: ResourceChange; problems: boolean } {
    const upserts: MeshResource[] = []
    const deletes: ResourceChange['deletes'][number][] = []
    for (const key of this.#touched) {
      const before = this.#served.get(key)
      const found = this.#winner(key)
      if (found && !before && now !== undefined) this.#since.set(key, now)
      if (!found) this.#since.delete(key)
      const after = found && dated(found, this.#since.get(key))
      if (after && !(before && sameResource(before, after))) upserts.push(after)
      if (after) this.#served.set(key, after)
      else if (before) {
        deletes.push(refOf(before))
        this.#served.delete(key)
      }
    }
    this.#touched.clear()
    return { change: { upserts, deletes }, problems: this.#refreshProblems(extra) }
  }

  /** Of several files that hold an object the one that was first stays; of files that come together, the first by name. */
  #winner(key: string): MeshResource | undefined {
    const paths = [...(this.#holders.get(key) ?? [])].sort(byPath)
    if (paths.length > 1) this.#contested.add(key)
    else this.#contested.delete(key)
    if (paths.length === 0) this.#holders.delete(key)
    const before = this.#used.get(key)
    const path = before !== undefined && paths.includes(before) ? before : paths[0]
    if (path === undefined) this.#used.delete(key)
    else this.#used.set(key, path)
    return path === undefined ? undefined : this.#files.get(path)?.resources.get(key)
  }

  #refreshProblems(extra: readonly Problem[]): boolean {
    const all = [...extra]
    for (const path of [...this.#troubled].sort(byPath)) all.push(...(this.#files.get(path)?.problems ?? []))
    for (const key of [...this.#contested].sort()) all.push(...this.#duplicatesOf(key))
    const text = JSON.stringify(all)
    if (text === this.#problemsText) return false
    this.#problems = all
    this.#problemsText = text
    return true
  }

  #duplicatesOf(key: string): Problem[] {
    const used = this.#used.get(key) ?? ''
    const others = [...(this.#holders.get(key) ?? [])].filter(path => path !== used).sort(byPath)
    const find = (path: string) => this.#files.get(path)?.resources.get(key)
    const first = find(used)
    return first ? others.flatMap(path => find(path) ?? []).map(other => duplicateProblem(first, other)) : []
  }
}

function dated(resource: MeshResource, since: string | undefined): MeshResource {
  if (since === undefined || resource.metadata.creationTimestamp !== undefined) return resource
  return { ...resource, metadata: { ...resource.metadata, creationTimestamp: since } } as MeshResource
}

/** Equal in content and place. The place counts because problems name it. */
function sameResource(a: MeshResource, b: MeshResource): boolean {
  if (a === b) return true
  const plain = (resource: MeshResource) =>
    JSON.stringify([
      resource.apiVersion,
      keyOf(refOf(resource)),
      resource.metadata,
      resource.spec,
      resource.status,
      positionOf(resource),
    ])
  return plain(a) === plain(b)
}
