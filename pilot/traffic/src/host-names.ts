import { CLUSTER_DOMAIN, longestWildcard } from '@seine/model'
import type { IndexedSnapshot } from './indexed-snapshot.ts'
import { keyAt, virtualHostAt } from './table-places.ts'

interface Hosts {
  has(host: string): boolean
}

/** For how many names it is remembered what they mean. */
const MAX_KNOWN = 10_000

/** What clients of a namespace may leave out at the end of a service's name. */
export function optionalSuffixes(namespace: string): readonly string[] {
  return [`.${namespace}.svc.${CLUSTER_DOMAIN}`, `.svc.${CLUSTER_DOMAIN}`, `.${CLUSTER_DOMAIN}`]
}

/** A name as it is, and with what clients of a namespace may have left out. */
export function writtenOut(name: string, namespace: string): readonly string[] {
  return [name, ...optionalSuffixes(namespace).map(suffix => name + suffix)]
}

/** What the clients of a namespace mean by the names that they call. */
export class HostNames {
  readonly #namespace: string
  readonly #hosts: ReadonlyMap<number, ReadonlySet<string>>
  readonly #indexed: () => Pick<IndexedSnapshot, 'addresses' | 'snapshot'>
  readonly #isProxy: (port: number) => boolean
  /** What was found since the last {@link forget}: many clients ask for the same names. */
  readonly #known = new Map<string, string>()

  /** `hosts` are those that are there, by port; those of an HTTP proxy with their own ports. */
  constructor(
    namespace: string,
    hosts: ReadonlyMap<number, ReadonlySet<string>>,
    indexed: () => Pick<IndexedSnapshot, 'addresses' | 'snapshot'>,
    isProxy: (port: number) => boolean = () => false,
  ) {
    this.#isProxy = isProxy
    this.#namespace = namespace
    this.#hosts = hosts
    this.#indexed = indexed
  }

  /** To be called when the mesh has changed. */
  forget(): void {
    this.#known.clear()
  }

  /** The name of the virtual host that answers to a name of the form `<port>/<Host header>`. */
  resourceName(name: string): string {
    const known = this.#known.get(name)
    if (known !== undefined) return known
    const table = Number(name.slice(0, name.indexOf('/')))
    const found = this.#isProxy(table)
      ? this.#proxiedName(table, name)
      : virtualHostName(name, (port, host) => this.#hostOf(this.#hosts.get(port), host))
    if (this.#known.size < MAX_KNOWN) this.#known.set(name, found)
    return found
  }

  /**
   * The host that is meant by a name or an address on a port with HTTP services: itself, a short form of a
   * service's name, a service's address, a name below a headless service's, or the longest wildcard that covers it.
   */
  #hostOf(hosts: Hosts | undefined, name: string): string | undefined {
    if (!hosts) return undefined
    const { addresses, snapshot } = this.#indexed()
    const holder = addresses.get(name)?.find(one => hosts.has(one))
    if (holder !== undefined) return hosts.has(name) ? name : holder
    const own = this.#written(hosts, name)
    if (own !== undefined) return own
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
      const above = this.#written(hosts, name.slice(dot + 1))
      if (above !== undefined && snapshot.services.get(above)?.headless) return above
    }
    return longestWildcard(hosts, name)
  }

  /** To an HTTP proxy, requests say what they are for in full; without a port, they are for 80. */
  #proxiedName(table: number, name: string): string {
    const authority = name.slice(name.indexOf('/') + 1).toLowerCase()
    const [, written = authority, port = '80'] = /^(.*?)(?::(\d+))?$/.exec(authority) ?? []
    const place = { table, port: Number(port), proxied: true }
    const keys = this.#hosts.get(table)
    const hosts = keys && { has: (host: string) => keys.has(keyAt(place, host)) }
    const host = this.#hostOf(hosts, written.replace(/^\[(.+)\]$/, '$1'))
    return host === undefined ? `${table}/${authority}` : virtualHostAt(place, host)
  }

  /** The host of which a name is the full or a short form. */
  #written(hosts: Hosts, name: string): string | undefined {
    return writtenOut(name, this.#namespace).find(form => hosts.has(form))
  }
}

/**
 * The name of the virtual host that answers to a name of the form `<port>/<Host header>`, where `hostOf` says which
 * host a name without its port leads to; undefined for what the mesh does not know. A Host header's port is left out
 * where it is the table's own: only then does it say the same as none. Hosts are compared in lower case.
 */
export function virtualHostName(
  name: string,
  hostOf: (port: number, host: string) => string | undefined,
): string {
  const table = name.slice(0, name.indexOf('/'))
  const authority = name.slice(table.length + 1).toLowerCase()
  const [, written = authority, port] = /^(.*?)(?::(\d+))?$/.exec(authority) ?? []
  const bare = port === undefined || port === table ? written : authority
  const host = bare.replace(/^\[(.+)\]$/, '$1')
  return `${table}/${hostOf(Number(table), host) ?? host}`
}
