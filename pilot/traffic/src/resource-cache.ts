import type { EncodedResource } from '@seine/envoy'
import type { MeshService, ServiceEndpoints } from '@seine/model'
import type { IndexedSnapshot } from './indexed-snapshot.ts'

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
  readonly #virtualHosts = new Map<object | undefined, Map<string, EncodedResource>>()
  #routedBy: readonly unknown[] = []
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

  /**
   * Virtual hosts are shared as long as nothing that routes are made from is different, in whatever way: `indexed` is
   * compared, and `own` says in which way scopes differ.
   */
  virtualHost(
    { snapshot, rules, virtualServices, addresses }: IndexedSnapshot,
    virtualService: object | undefined,
    own: string,
    make: () => EncodedResource,
  ): EncodedResource {
    const inputs = [snapshot.services, snapshot.config, rules, virtualServices, addresses]
    if (inputs.some((input, index) => input !== this.#routedBy[index])) {
      this.#routedBy = inputs
      this.#virtualHosts.clear()
    }
    const known = this.#virtualHosts.get(virtualService) ?? new Map<string, EncodedResource>()
    this.#virtualHosts.set(virtualService, known)
    const found = known.get(own) ?? this.once(make())
    known.set(own, found)
    return found
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
