import type { EncodedResource } from '@seine/envoy'
import type { MeshService, ServiceEndpoints } from '@seine/model'

interface Entry {
  readonly inputs: readonly unknown[]
  readonly resources: readonly EncodedResource[]
}

/** How many variants of one service's resources are kept: scopes rarely see more than a few. */
const VARIANTS = 8

/**
 * Shares resources between scopes: equal inputs give the same objects, made once. Entries go with the
 * service or endpoints they were made for.
 */
export class ResourceCache {
  readonly #clusters = new WeakMap<MeshService, Entry[]>()
  readonly #endpoints = new WeakMap<ServiceEndpoints, Entry[]>()
  readonly #byVersion = new Map<string, WeakRef<EncodedResource>>()

  clusters(
    service: MeshService,
    inputs: readonly unknown[],
    make: () => EncodedResource[],
  ): readonly EncodedResource[] {
    return lookUp(this.#clusters, service, inputs, make)
  }

  endpoints(
    endpoints: ServiceEndpoints,
    inputs: readonly unknown[],
    make: () => EncodedResource[],
  ): readonly EncodedResource[] {
    return lookUp(this.#endpoints, endpoints, inputs, make)
  }

  /** The resource itself, or an equal one that another scope already holds. */
  once(resource: EncodedResource): EncodedResource {
    const key = `${resource.name} ${resource.version}`
    const known = this.#byVersion.get(key)?.deref()
    if (known) return known
    this.#byVersion.set(key, new WeakRef(resource))
    if (this.#byVersion.size % 4096 === 0) this.#sweep()
    return resource
  }

  #sweep(): void {
    for (const [key, reference] of this.#byVersion) if (!reference.deref()) this.#byVersion.delete(key)
  }
}

function lookUp<K extends WeakKey>(
  entries: WeakMap<K, Entry[]>,
  key: K,
  inputs: readonly unknown[],
  make: () => EncodedResource[],
): readonly EncodedResource[] {
  const variants = entries.get(key) ?? []
  const found = variants.find(
    entry =>
      entry.inputs.length === inputs.length && entry.inputs.every((input, index) => input === inputs[index]),
  )
  if (found) return found.resources
  const resources = make()
  entries.set(key, [{ inputs, resources }, ...variants].slice(0, VARIANTS))
  return resources
}
