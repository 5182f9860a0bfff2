import { TypeUrl } from '@seine/envoy'
import type { ProxyConfiguration } from '@seine/pilot-traffic'

type Demands = NonNullable<ProxyConfiguration['demands']>

/** What a stream gets, from one place now and from another one later, whatever it has asked for so far. */
export class SwitchedView implements ProxyConfiguration {
  readonly demands?: Demands
  #current: ProxyConfiguration
  /** The names that were asked for which are not those of the virtual hosts that answer to them. */
  readonly #aliases = new Set<string>()

  constructor(current: ProxyConfiguration) {
    this.#current = current
    if (!current.demands) return
    this.demands = {
      ask: (type, names) => this.#ask(type, [...names]),
      resourceName: (type, name) => this.#demands.resourceName(type, name),
      follow: hint => this.#demands.follow(hint),
    }
  }

  get(type: string, name: string): ReturnType<ProxyConfiguration['get']> {
    return this.#current.get(type, name)
  }

  names(type: string, prefix?: string): Iterable<string> {
    return this.#current.names(type, prefix)
  }

  /** From now on the stream gets what another place has, of which it asks what it has asked this one for. */
  switchTo(next: ProxyConfiguration): void {
    const hosts = [...this.#current.names(TypeUrl.virtualHost), ...this.#aliases]
    const clusters = [...this.#current.names(TypeUrl.cluster)]
    this.#current = next
    next.demands?.ask(TypeUrl.virtualHost, hosts)
    next.demands?.ask(TypeUrl.cluster, clusters)
  }

  get #demands(): Demands {
    const { demands } = this.#current
    if (!demands) throw new Error('a stream that asks was given a view that takes no demands')
    return demands
  }

  #ask(type: string, names: readonly string[]): ReturnType<Demands['ask']> {
    const changed = this.#demands.ask(type, names)
    if (type !== TypeUrl.virtualHost) return changed
    for (const name of names) {
      const own = this.#demands.resourceName(type, name)
      if (own !== name && this.#current.get(type, own)) this.#aliases.add(name)
    }
    return changed
  }
}
