import { canonicalCidr, canonicalIp, refOf, type Service, type ServiceEntry } from '@seine/api'
import type { ResourceRef } from '@seine/kit'
import { canonicalHost, serviceHostname } from './host.ts'
import { type Protocol, portProtocol } from './protocol.ts'

/** One port of a service. */
export interface ServicePort {
  readonly name: string
  readonly number: number
  /** The port on the workload: a number, the name of a container's port, or undefined for the same number. */
  readonly targetPort: number | string | undefined
  readonly protocol: Protocol
  /** Its place among the ports of the object. */
  readonly index: number
}

/** How a proxy finds a service's addresses: it is told them, it asks DNS, or it goes where the client went. */
export type Resolution = 'static' | 'dns' | 'dns-round-robin' | 'passthrough'

/** A destination in the mesh's registry, from a Kubernetes Service or a ServiceEntry. */
export interface MeshService {
  /** Unique in the mesh. */
  readonly hostname: string
  readonly name: string
  readonly namespace: string
  /** Virtual IPs and ranges of them, in canonical form; empty for headless services. */
  readonly addresses: readonly string[]
  readonly ports: readonly ServicePort[]
  readonly resolution: Resolution
  readonly external: boolean
  /** Clients go to its endpoints by themselves. */
  readonly headless: boolean
  /** The name elsewhere that an ExternalName service stands for. */
  readonly externalName: string | undefined
  /** Endpoints that are not ready count too. */
  readonly includesNotReady: boolean
  readonly selector: Readonly<Record<string, string>> | undefined
  /** Namespaces it is visible in, or `*`. */
  readonly exportTo: readonly string[]
  readonly subjectAltNames: readonly string[]
  readonly ref: ResourceRef
  /** The ServiceEntry it came from; its endpoints are written there. */
  readonly entry: ServiceEntry | undefined
}

/** Whether a client in `namespace` may see the object. */
export function visibleIn(exportTo: readonly string[], own: string, namespace: string): boolean {
  return exportTo.some(scope => scope === '*' || (scope === '.' ? own : scope) === namespace)
}

/**
 * The service that a Kubernetes `Service` stands for. An ExternalName service is found by DNS; `allocate` gives it a
 * virtual IP, while there are any left, so that its connections can be told from others.
 */
export function fromKubernetesService(
  service: Service,
  allocate: (host: string) => string | undefined,
): MeshService {
  const { metadata, spec } = service
  const external = spec.type === 'ExternalName'
  const ips = [...(spec.clusterIPs ?? []), spec.clusterIP]
  const headless = !external && ips.includes('None')
  const hostname = serviceHostname(metadata.name, metadata.namespace)
  return {
    hostname,
    name: metadata.name,
    namespace: metadata.namespace,
    addresses: external ? addressesOf(hostname, allocate) : canonicalAddresses(ips),
    ports: (spec.ports ?? []).flatMap((port, index) =>
      port.protocol === undefined || port.protocol === 'TCP'
        ? {
            name: port.name ?? '',
            number: port.port,
            targetPort: port.targetPort,
            protocol: portProtocol(port.name, port.appProtocol, port.port),
            index,
          }
        : [],
    ),
    resolution: external ? 'dns' : headless ? 'passthrough' : 'static',
    external,
    headless,
    externalName: external && spec.externalName ? canonicalHost(spec.externalName) : undefined,
    includesNotReady: spec.publishNotReadyAddresses ?? false,
    selector: spec.selector && Object.keys(spec.selector).length > 0 ? spec.selector : undefined,
    exportTo: exportScopes(
      metadata.annotations['networking.istio.io/exportTo']?.split(',').map(scope => scope.trim()),
    ),
    subjectAltNames: [],
    ref: refOf(service),
    entry: undefined,
  }
}

/**
 * The services that a `ServiceEntry` stands for, one for each host. `allocate` gives a virtual IP to a host that
 * has none, while there are any left. UDP goes past the mesh, as it does for a Kubernetes Service: the ports for it
 * are left out, and the host has no virtual address.
 */
export function fromServiceEntry(
  entry: ServiceEntry,
  allocate: (host: string) => string | undefined,
): MeshService[] {
  const { metadata, spec } = entry
  const written = canonicalAddresses(spec.addresses ?? [])
  const hostnames = new Set(spec.hosts.map(canonicalHost))
  // Datagrams are not captured: what they are sent to has to be a real address.
  const virtual = (spec.ports ?? []).some(isUdp) ? () => undefined : allocate
  return [...hostnames].map(hostname => ({
    hostname,
    name: hostname,
    namespace: metadata.namespace,
    addresses: written.length > 0 ? written : addressesOf(hostname, virtual),
    ports: (spec.ports ?? []).flatMap((port, index) =>
      isUdp(port)
        ? []
        : {
            name: port.name,
            number: port.number,
            targetPort: port.targetPort,
            protocol: portProtocol(port.name, port.protocol ?? '', port.number),
            index,
          },
    ),
    resolution: entryResolution(spec.resolution),
    external: spec.location !== 'MESH_INTERNAL',
    headless: false,
    externalName: undefined,
    includesNotReady: false,
    selector: spec.workloadSelector?.labels,
    exportTo: exportScopes(spec.exportTo),
    subjectAltNames: spec.subjectAltNames ?? [],
    ref: refOf(entry),
    entry,
  }))
}

function isUdp({ protocol }: { readonly protocol?: string | undefined }): boolean {
  return protocol?.toUpperCase() === 'UDP'
}

/** Each address once. The unspecified address, and Kubernetes' `None`, stand for having none. */
function canonicalAddresses(written: readonly (string | undefined)[]): string[] {
  const addresses = written.map(text => (text ? (canonicalIp(text) ?? canonicalCidr(text)) : undefined))
  const known = addresses.filter(
    address => address !== undefined && address !== '0.0.0.0' && address !== '::',
  )
  return [...new Set(known as string[])]
}

/** Where a host without addresses is found: an address by itself, a name by one that stands for it, a wildcard nowhere. */
function addressesOf(hostname: string, allocate: (host: string) => string | undefined): string[] {
  if (hostname.startsWith('*')) return []
  return canonicalAddresses([canonicalIp(hostname) ?? allocate(hostname)])
}

function entryResolution(resolution: ServiceEntry['spec']['resolution']): Resolution {
  if (resolution === 'STATIC') return 'static'
  if (resolution === 'DNS') return 'dns'
  if (resolution === 'DNS_ROUND_ROBIN') return 'dns-round-robin'
  return 'passthrough'
}

/** What an absent or empty exportTo means: every namespace. */
export function exportScopes(exportTo: readonly string[] | undefined): readonly string[] {
  return exportTo && exportTo.length > 0 ? exportTo : ['*']
}
