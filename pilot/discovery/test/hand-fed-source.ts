import type { EncodedResource } from '@seine/envoy'
import { err, ok, type Result } from '@seine/kit'
import type { ConfigSource, NodeInfo, ProxySession, ProxyView, PushHint } from '../src/config-source.ts'

/** A type of which every name exists: asking for one tells that all that was sent before it has arrived. */
export const FENCE = 'type.googleapis.com/seine.test.Fence'

/** A resource whose content is a text, and its version how that begins. */
export function resource(name: string, content: string): EncodedResource {
  return {
    name,
    version: `v-${content.slice(0, 20)}`,
    bytes: new TextEncoder().encode(content),
    provenance: [],
  }
}

/** Configuration that a test puts in by hand. All clients see the same. */
export class HandFedSource implements ConfigSource {
  readonly opened: NodeInfo[] = []
  closed = 0
  /** Node ids that are turned away, and why. */
  readonly refused = new Map<string, string>()
  readonly #resources = new Map<string, Map<string, EncodedResource>>()
  readonly #touched = new Map<string, Set<string>>()

  set(type: string, name: string, content: string): void {
    this.#of(type).set(name, resource(name, content))
    this.#touch(type, name)
  }

  remove(type: string, name: string): void {
    this.#of(type).delete(name)
    this.#touch(type, name)
  }

  /** What was set and removed since this was last called. */
  changes(): PushHint {
    const hint = new Map(this.#touched)
    this.#touched.clear()
    return hint
  }

  readonly view: ProxyView = {
    get: (type, name) => (type === FENCE ? resource(name, 'here') : this.#of(type).get(name)),
    names: (type, prefix) => {
      const all = [...this.#of(type).keys()]
      return prefix === undefined ? all : all.filter(name => name.startsWith(`${prefix}/`))
    },
  }

  open(node: NodeInfo): Result<ProxySession, string> {
    this.opened.push(node)
    const reason = this.refused.get(node.id)
    if (reason !== undefined) return err(reason)
    return ok({
      proxyId: node.id,
      view: this.view,
      close: () => {
        this.closed++
      },
    })
  }

  #of(type: string): Map<string, EncodedResource> {
    const known = this.#resources.get(type)
    if (known) return known
    const fresh = new Map<string, EncodedResource>()
    this.#resources.set(type, fresh)
    return fresh
  }

  #touch(type: string, name: string): void {
    const names = this.#touched.get(type) ?? new Set()
    this.#touched.set(type, names.add(name))
  }
}
