import type { EncodedResource } from '@seine/envoy'

/** Resources by name. Those of a host are made when one of them is first asked for. */
export class ResourcesByName {
  readonly #made = new Map<string, EncodedResource>()
  readonly #make: (name: string) => void
  readonly #makeAll: () => void

  /** `make` makes what a name is of, `makeAll` everything there is, unless it is made; both by {@link replace}. */
  constructor(make: (name: string) => void, makeAll: () => void) {
    this.#make = make
    this.#makeAll = makeAll
  }

  get(name: string): EncodedResource | undefined {
    const known = this.#made.get(name)
    if (known) return known
    this.#make(name)
    return this.#made.get(name)
  }

  /** The names of all there are. */
  keys(): Iterable<string> {
    this.#makeAll()
    return this.#made.keys()
  }

  /** Those that are made already, by name. */
  get made(): ReadonlyMap<string, EncodedResource> {
    return this.#made
  }

  /** Puts resources in the place of others, and adds the names of those that are different to `changed`. */
  replace(
    before: readonly EncodedResource[],
    after: readonly EncodedResource[],
    changed: Set<string> | undefined,
  ): void {
    const old = new Map(before.map(resource => [resource.name, resource]))
    for (const resource of after) {
      if (old.get(resource.name)?.version !== resource.version) changed?.add(resource.name)
      old.delete(resource.name)
      this.#made.set(resource.name, resource)
    }
    for (const name of old.keys()) {
      this.#made.delete(name)
      changed?.add(name)
    }
  }
}
