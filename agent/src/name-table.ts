import type { DeltaDiscoveryResponse } from '@seine/envoy/envoy/service/discovery/v3/discovery'
import type { Subscription } from './pilot-stream.ts'

/** What a host resolves to, and the shorter names it is called by. */
interface Entry {
  readonly version: string
  readonly ips: readonly string[]
  readonly aliases: readonly string[]
}

/**
 * The names of the mesh's services, by the agent's own stream. What it knows stays while pilot is away, and is
 * brought up to date when it is back.
 */
export class NameTable implements Subscription {
  /** One resource for each host, its bytes JSON. */
  readonly type = 'type.googleapis.com/seine.nds.v1.NameTable'
  readonly #entries = new Map<string, Entry>()
  /** Those of the hosts that stand for many names: `*.example.com`. */
  readonly #wildcards = new Set<string>()
  /** Alias → the hosts that have it, in the order of their names; the first answers. */
  readonly #hostsByAlias = new Map<string, readonly string[]>()
  #loaded = false

  /** Whether pilot has said what names there are. */
  get loaded(): boolean {
    return this.#loaded
  }

  /**
   * The addresses of a name, or undefined when the mesh has no such name. A host's full name comes before aliases, and
   * those before the longest wildcard that covers it.
   */
  lookUp(name: string): readonly string[] | undefined {
    const asked = name.toLowerCase().replace(/\.$/, '')
    const host = this.#entries.has(asked) ? asked : this.#hostsByAlias.get(asked)?.[0]
    return this.#entries.get(host ?? this.#wildcardOf(asked) ?? '')?.ips
  }

  #wildcardOf(name: string): string | undefined {
    if (this.#wildcards.size === 0) return undefined
    for (let at = 1; at < name.length; at++) {
      const wildcard = `*${name.slice(at)}`
      if (this.#wildcards.has(wildcard)) return wildcard
    }
    return undefined
  }

  /** The names that it knows, with their versions. */
  versions(): Readonly<Record<string, string>> {
    return Object.fromEntries([...this.#entries].map(([name, { version }]) => [name, version]))
  }

  /** Takes a whole response or, when it throws, nothing of it. */
  take({ resources, removedResources }: DeltaDiscoveryResponse): void {
    const learned = resources.flatMap(({ name, version, resource }) =>
      resource ? [[name, readEntry(version, resource.value)] as const] : [],
    )
    for (const name of removedResources) this.#forget(name)
    for (const [name, entry] of learned) this.#learn(name, entry)
    this.#loaded = true
  }

  #learn(name: string, entry: Entry): void {
    this.#forget(name)
    this.#entries.set(name, entry)
    if (name.startsWith('*')) this.#wildcards.add(name)
    for (const alias of entry.aliases)
      this.#hostsByAlias.set(alias, [...(this.#hostsByAlias.get(alias) ?? []), name].sort())
  }

  #forget(name: string): void {
    for (const alias of this.#entries.get(name)?.aliases ?? []) {
      const left = (this.#hostsByAlias.get(alias) ?? []).filter(host => host !== name)
      if (left.length > 0) this.#hostsByAlias.set(alias, left)
      else this.#hostsByAlias.delete(alias)
    }
    this.#entries.delete(name)
    this.#wildcards.delete(name)
  }
}

/** Throws when the bytes hold no entry. */
function readEntry(version: string, bytes: Uint8Array): Entry {
  const { ips, aliases } = JSON.parse(new TextDecoder().decode(bytes)) as Partial<Entry>
  if (!Array.isArray(ips) || !Array.isArray(aliases))
    throw new Error('an entry must hold "ips" and "aliases"')
  return { version, ips, aliases }
}
