import { hostCovers } from './host.ts'

/** Sets of keys by name. A name without keys is not kept. */
export class KeysByName {
  readonly #keys = new Map<string, Set<string>>()
  readonly #namesOf = new Map<string, readonly string[]>()

  /** Makes the names of a key these, and no others. @returns those that it gained or lost. */
  set(key: string, names: readonly string[]): readonly string[] {
    const before = this.#namesOf.get(key) ?? []
    for (const name of before) {
      const keys = this.#keys.get(name)
      keys?.delete(key)
      if (keys?.size === 0) this.#keys.delete(name)
    }
    if (names.length > 0) this.#namesOf.set(key, names)
    else this.#namesOf.delete(key)
    for (const name of names) this.#keys.set(name, (this.#keys.get(name) ?? new Set()).add(key))
    return [...before, ...names]
  }

  of(name: string): ReadonlySet<string> {
    return this.#keys.get(name) ?? new Set()
  }

  /** The keys whose names a pattern, which may be a host or a wildcard, covers. */
  *coveredBy(pattern: string): Iterable<string> {
    yield* this.of(pattern)
    if (!pattern.startsWith('*')) return
    for (const [name, keys] of this.#keys) if (hostCovers(pattern, name)) yield* keys
  }
}
