import type { IstioEgressListener, Sidecar, VirtualService } from '@seine/api'
import type { Provenance } from '@seine/envoy'
import {
  hostCovers,
  isSocket,
  type MeshService,
  type Protocol,
  portProtocol,
  type ServicePort,
  virtualServiceHosts,
} from '@seine/model'
import { type Addresses, type AddressFamilies, loopbacks } from './address-families.ts'

/** Where the connections to a port are taken. */
export interface Place {
  /** The addresses that listeners listen on, whatever addresses a service has; undefined to follow those. */
  readonly addresses: Addresses | undefined
  /** A socket of its own, which clients call; else the connections are captured ones. */
  readonly bound: boolean
}

/** A port of a service as clients see it. */
export interface SeenPort {
  readonly port: ServicePort
  /** What the listener reads there: its own protocol where it names one, else the service's. */
  readonly protocol: Protocol
  readonly place: Place
}

const CAPTURED: Place = { addresses: undefined, bound: false }

/** The ports of services as clients see them for whom no Sidecar says anything. */
const unrestricted = new WeakMap<MeshService, readonly SeenPort[]>()

/**
 * What clients may call, as their Sidecar says: services and routes are imported by listeners, some of which
 * are for one port, and the last for all the rest. Without a Sidecar, or one without `egress`, everything is.
 */
export class Egress {
  readonly sidecar: Sidecar | undefined
  readonly #ports = new Map<number, EgressListener>()
  readonly #rest: EgressListener | undefined
  readonly #proxyPort: number | undefined
  readonly #seen: WeakMap<MeshService, readonly SeenPort[]>

  /** @param proxyPort where the mesh's settings have an HTTP proxy listen on loopback */
  constructor(
    sidecar: Sidecar | undefined,
    namespace: string,
    families: AddressFamilies,
    proxyPort?: number,
  ) {
    this.sidecar = sidecar
    this.#proxyPort = proxyPort
    this.#seen = this.restricts ? new WeakMap() : unrestricted
    const listeners = (sidecar?.spec.egress ?? []).map(
      (listener, index) => new EgressListener(listener, namespace, index, families),
    )
    for (const listener of listeners)
      if (listener.port !== undefined) this.#ports.set(listener.port, listener)
    this.#rest =
      listeners.length === 0
        ? new EgressListener({ hosts: ['*/*'] }, namespace, undefined, families)
        : listeners.find(({ port }) => port === undefined)
    if (proxyPort === undefined || this.#ports.has(proxyPort)) return
    const hosts = sidecar?.spec.egress?.find(({ port }) => port === undefined)?.hosts
    const proxy: IstioEgressListener = {
      port: { number: proxyPort, name: 'http-proxy', protocol: 'HTTP_PROXY' },
      captureMode: 'NONE',
      hosts: hosts ?? (listeners.length === 0 ? ['*/*'] : []),
    }
    this.#ports.set(proxyPort, new EgressListener(proxy, namespace, undefined, families))
  }

  /** Whether clients of the namespace may see something else than others for whom no Sidecar says anything. */
  get restricts(): boolean {
    return (this.sidecar?.spec.egress ?? []).length > 0 || this.#proxyPort !== undefined
  }

  /** The listeners that are HTTP proxies. */
  get proxies(): readonly EgressListener[] {
    return [...this.#ports.values()].filter(({ isProxy }) => isProxy)
  }

  /** Whether a port is that of an HTTP proxy. */
  isProxy(port: number): boolean {
    return this.#ports.get(port)?.isProxy ?? false
  }

  /** The listener that takes connections to a port. */
  listenerOf(port: number): EgressListener | undefined {
    return this.#ports.get(port) ?? this.#rest
  }

  /** Whether a service is imported at all. */
  imports(service: MeshService): boolean {
    const isImported = (one: EgressListener) => one.imports(service)
    return service.ports.length === 0
      ? this.#all().some(isImported)
      : this.portsOf(service).length > 0 || this.proxies.some(isImported)
  }

  /** The ports of a service that clients reach by calling them, and not through an HTTP proxy. */
  portsOf(service: MeshService): readonly SeenPort[] {
    const known = this.#seen.get(service)
    if (known) return known
    const seen = this.#portsSeenOf(service)
    this.#seen.set(service, seen)
    return seen
  }

  #portsSeenOf(service: MeshService): readonly SeenPort[] {
    return service.ports.flatMap(port => {
      const listener = this.listenerOf(port.number)
      if (!listener?.imports(service) || listener.isProxy) return []
      return [{ port, protocol: listener.protocol ?? port.protocol, place: listener.place }]
    })
  }

  /** Whether the routes of a virtual service hold for requests to a port. */
  importsRoutes(virtualService: VirtualService, port: number): boolean {
    return this.listenerOf(port)?.importsRoutes(virtualService) ?? false
  }

  /** Whether the routes of a virtual service hold on any port. */
  importsRoutesAnywhere(virtualService: VirtualService): boolean {
    return this.#all().some(one => one.importsRoutes(virtualService))
  }

  /** The field of the Sidecar that decides about a port. */
  causeOf(port: number): readonly Provenance[] {
    const index = this.listenerOf(port)?.index
    return this.sidecar && index !== undefined ? [causeOf(this.sidecar, `spec.egress[${index}]`)] : []
  }

  #all(): EgressListener[] {
    return [...this.#ports.values(), ...(this.#rest ? [this.#rest] : [])]
  }
}

/** A place in a Sidecar as a cause. */
export function causeOf({ kind, metadata }: Sidecar, path: string): Provenance {
  return { kind, namespace: metadata.namespace, name: metadata.name, path }
}

/** The hosts of one namespace, or of all, that a listener names. */
interface Hosts {
  readonly imported: Patterns
  readonly excluded: Patterns
}

/** Hosts and wildcards: every host of the mesh is looked up in them, and most of them are no wildcards. */
class Patterns {
  readonly #exact = new Set<string>()
  readonly #wildcards: string[] = []

  add(pattern: string): void {
    if (pattern.startsWith('*')) this.#wildcards.push(pattern)
    else this.#exact.add(pattern)
  }

  cover(host: string): boolean {
    return this.#exact.has(host) || this.#wildcards.some(wildcard => hostCovers(wildcard, host))
  }

  /** Whether one of them covers the host, or the host, as a wildcard, covers one of them. */
  touch(host: string): boolean {
    if (this.cover(host)) return true
    return host.startsWith('*') && [...this.#exact, ...this.#wildcards].some(one => hostCovers(host, one))
  }
}

/** One of the listeners of a Sidecar's `egress`. */
export class EgressListener {
  /** Undefined for the one that takes all the rest; below 0 for one on a Unix domain socket. */
  readonly port: number | undefined
  readonly protocol: Protocol | undefined
  readonly place: Place
  /** Whether requests name what they are for, with its port, in place of being sent there. */
  readonly isProxy: boolean
  /** Its place in `spec.egress`; undefined where nothing is written. */
  readonly index: number | undefined
  readonly #hosts = new Map<string, Hosts>()

  constructor(
    { port, bind, captureMode, hosts }: IstioEgressListener,
    namespace: string,
    index: number | undefined,
    families: AddressFamilies,
  ) {
    const isOnSocket = bind !== undefined && isSocket(bind)
    // Beside those with ports, each socket has a number of its own.
    this.port = isOnSocket ? -1 - (index ?? 0) : port?.number
    this.isProxy = isOnSocket || port?.protocol?.toUpperCase() === 'HTTP_PROXY'
    this.protocol = port?.protocol ? portProtocol(undefined, port.protocol, port.number) : undefined
    this.index = index
    const bound = captureMode === 'NONE' || isOnSocket
    const addresses: Addresses | undefined = bind ? [bind] : bound ? loopbacks(families) : undefined
    this.place = addresses === undefined ? CAPTURED : { addresses, bound }
    for (const text of hosts) this.#add(text, namespace)
  }

  #add(text: string, namespace: string): void {
    const slash = text.indexOf('/')
    const written = text.slice(0, slash)
    const isExcluded = written.startsWith('~')
    const named = isExcluded ? written.slice(1) || '*' : written
    const scope = named === '.' ? namespace : named
    const known = this.#hosts.get(scope) ?? { imported: new Patterns(), excluded: new Patterns() }
    known[isExcluded ? 'excluded' : 'imported'].add(text.slice(slash + 1).toLowerCase())
    this.#hosts.set(scope, known)
  }

  imports({ hostname, namespace }: MeshService): boolean {
    const scopes = [this.#hosts.get(namespace), this.#hosts.get('*')]
    if (scopes.some(scope => scope?.excluded.cover(hostname))) return false
    return scopes.some(scope => scope?.imported.cover(hostname))
  }

  /** A virtual service for a wildcard is imported by a host that the wildcard covers too, as in Istio. */
  importsRoutes(virtualService: VirtualService): boolean {
    const scopes = [this.#hosts.get(virtualService.metadata.namespace), this.#hosts.get('*')]
    return virtualServiceHosts(virtualService).some(host => scopes.some(scope => scope?.imported.touch(host)))
  }
}
