import { CLUSTER_DOMAIN } from '@seine/model'
import type { IndexedSnapshot } from './indexed-snapshot.ts'

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
  /** What was found since the last {@link forget}: many clients ask for the same names. */
  readonly #known = new Map<string, string>()

  /** `hosts` are those that are there, by port. */
  constructor(
    namespace: string,
    hosts: ReadonlyMap<number, ReadonlySet<string>>,
    indexed: () => Pick<IndexedSnapshot, 'addresses' | 'snapshot'>,
  ) {
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
    const found = virtualHostName(name, (port, host) => this.#hostOf(port, host))
    if (this.#known.size < MAX_KNOWN) this.#known.set(name, found)
    return found
  }

  /**
   * The host that is meant by a name or an address on a port with HTTP services: itself, a short form of a
   * service's name, a service's address, a name below a headless service's, or the longest wildcard that covers it.
   */
  #hostOf(port: number, name: string): string | undefined {
    const hosts = this.#hosts.get(port)
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

  /** The host of which a name is the full or a short form. */
  #written(hosts: ReadonlySet<string>, name: string): string | undefined {
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

/** The longest wildcard of some hosts that covers a name. */
function longestWildcard(hosts: ReadonlySet<string>, name: string): string | undefined {
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    const wildcard = `*${name.slice(dot)}`
    if (hosts.has(wildcard)) return wildcard
  }
  return hosts.has('*') ? '*' : undefined
}
