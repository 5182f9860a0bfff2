import {
  canonicalCidr,
  canonicalIp,
  refOf,
  type Service,
  type ServiceEntry,
  type ServiceSpec,
} from '@seine/api'
import type { ResourceRef } from '@seine/kit'
import { type AddressFamily, familyOf } from './address-family.ts'
import { canonicalHost, serviceHostname } from './host.ts'
import { GATEWAY_PORT_LABEL, NETWORK_LABEL } from './networks.ts'
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

/**
 * How a proxy finds a service's addresses: it is told them, it asks DNS, it asks DNS for the name in each request, or it
 * goes where the client went.
 */
export type Resolution = 'static' | 'dns' | 'dns-round-robin' | 'dynamic-dns' | 'passthrough'

/** A destination in the mesh's registry, from a Kubernetes Service or a ServiceEntry. */
export interface MeshService {
  /** Unique in the mesh. */
  readonly hostname: string
  readonly name: string
  readonly namespace: string
  /** Virtual IPs and ranges of them, in canonical form; empty for headless services. */
  readonly addresses: readonly string[]
  /**
   * What names that a wildcard covers are looked up to, so that calls are captured. Which name was called, an address
   * does not tell: none leads anywhere by itself.
   */
  readonly lookupAddresses: readonly string[]
  /** Of which kinds the addresses of its endpoints are that it takes; undefined for all that they have. */
  readonly families: readonly AddressFamily[] | undefined
  readonly ports: readonly ServicePort[]
  readonly resolution: Resolution
  readonly external: boolean
  /** Clients go to its endpoints by themselves. */
  readonly headless: boolean
  /** The name elsewhere that an ExternalName service stands for. */
  readonly externalName: string | undefined
  /** Which endpoints clients prefer, by where those are. */
  readonly distribution: TrafficDistribution | undefined
  /** Endpoints that are not ready count too. */
  readonly includesNotReady: boolean
  readonly selector: Readonly<Record<string, string>> | undefined
  /** Namespaces it is visible in, or `*`. */
  readonly exportTo: readonly string[]
  readonly subjectAltNames: readonly string[]
  readonly ref: ResourceRef
  /** The ServiceEntry it came from; its endpoints are written there. */
  readonly entry: ServiceEntry | undefined
  /** How it is reached from outside of its cluster, where that is said. */
  readonly edge?: ServiceEdge
}

/** How a service is reached from outside, and whether that is the way into a network. */
export interface ServiceEdge {
  /** IP addresses, and the fields that say them. */
  readonly addresses: readonly { readonly address: string; readonly path: string }[]
  /** Names in their place, which nobody looks up. */
  readonly names: readonly string[]
  /** The network whose gateway it says it is, by its label. */
  readonly network: string | undefined
  /** The port at which it then takes connections of other networks, as its label has it. */
  readonly gatewayPort: string | undefined
}

/** Endpoints of the client's zone, or of its node, come first. */
export type TrafficDistribution = 'same-zone' | 'same-node'

const DISTRIBUTION = 'networking.istio.io/traffic-distribution'

/** As Kubernetes' field and Istio's annotation have it, in any case; other words mean nothing. */
function distributionOf(written: string | undefined): TrafficDistribution | undefined {
  switch (written?.toLowerCase()) {
    case 'preferclose':
    case 'prefersamezone':
      return 'same-zone'
    case 'prefersamenode':
      return 'same-node'
    default:
      return undefined
  }
}

/** What gives a host virtual addresses of its own, one of each family, or none. */
type Allocate = (host: string) => readonly string[]

/** Whether a client in `namespace` may see the object. */
export function visibleIn(exportTo: readonly string[], own: string, namespace: string): boolean {
  return exportTo.some(scope => scope === '*' || (scope === '.' ? own : scope) === namespace)
}

/**
 * The service that a Kubernetes `Service` stands for. An ExternalName service is found by DNS; `allocate` gives it
 * virtual IPs, while there are any left, so that its connections can be told from others.
 */
export function fromKubernetesService(service: Service, allocate: Allocate): MeshService {
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
    lookupAddresses: [],
    families: external ? undefined : familiesOf(service.spec, canonicalAddresses(ips)),
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
    distribution: distributionOf(spec.trafficDistribution ?? metadata.annotations[DISTRIBUTION]),
    includesNotReady: spec.publishNotReadyAddresses ?? false,
    selector: spec.selector && Object.keys(spec.selector).length > 0 ? spec.selector : undefined,
    exportTo: exportScopes(
      metadata.annotations['networking.istio.io/exportTo']?.split(',').map(scope => scope.trim()),
    ),
    subjectAltNames: [],
    ref: refOf(service),
    entry: undefined,
    ...edgeOf(service),
  }
}

/** As Istio takes them: what a load balancer was given, for which `loadBalancerIP` stands as long as it was given nothing. */
function edgeOf({ metadata, spec, status }: Service): { edge?: ServiceEdge } {
  const isBalanced = spec.type === 'LoadBalancer'
  const ingress = isBalanced ? (status?.loadBalancer?.ingress ?? []) : []
  const given = ingress.flatMap(({ ip }, index) =>
    ip ? [{ address: ip, path: `status.loadBalancer.ingress[${index}].ip` }] : [],
  )
  const names = ingress.flatMap(({ ip, hostname }) => (!ip && hostname ? [hostname] : []))
  const wanted =
    isBalanced && ingress.length === 0 && spec.loadBalancerIP
      ? [{ address: spec.loadBalancerIP, path: 'spec.loadBalancerIP' }]
      : []
  const external = (spec.externalIPs ?? []).map((address, index) => ({
    address,
    path: `spec.externalIPs[${index}]`,
  }))
  const addresses = [...given, ...wanted, ...external].map(({ address, path }) => ({
    address: canonicalIp(address) ?? address,
    path,
  }))
  const network = metadata.labels[NETWORK_LABEL]
  if (addresses.length === 0 && names.length === 0 && !network) return {}
  return { edge: { addresses, names, network, gatewayPort: metadata.labels[GATEWAY_PORT_LABEL] } }
}

/**
 * The services that a `ServiceEntry` stands for, one for each host. `allocate` gives virtual IPs to a host that
 * has none, while there are any left. UDP goes past the mesh, as it does for a Kubernetes Service: the ports for it
 * are left out, and the host has no virtual address.
 */
export function fromServiceEntry(entry: ServiceEntry, allocate: Allocate): MeshService[] {
  const { metadata, spec } = entry
  const written = canonicalAddresses(spec.addresses ?? [])
  const hostnames = new Set(spec.hosts.map(canonicalHost))
  // Datagrams are not captured: what they are sent to has to be a real address.
  const virtual = (spec.ports ?? []).some(isUdp) ? () => [] : allocate
  return [...hostnames].map(hostname => ({
    hostname,
    name: hostname,
    namespace: metadata.namespace,
    addresses: written.length > 0 ? written : addressesOf(hostname, virtual),
    lookupAddresses: spec.resolution === 'DYNAMIC_DNS' ? virtual(hostname) : [],
    families: undefined,
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
    distribution: distributionOf(metadata.annotations[DISTRIBUTION]),
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

/** Where a host without addresses is found: an address by itself, a name by ones that stand for it, a wildcard nowhere. */
function addressesOf(hostname: string, allocate: Allocate): string[] {
  if (hostname.startsWith('*')) return []
  const own = canonicalIp(hostname)
  return canonicalAddresses(own === undefined ? allocate(hostname) : [own])
}

/** The families that a Service says, or else those of its addresses: Kubernetes lists no other endpoints. */
function familiesOf(
  { ipFamilies }: ServiceSpec,
  addresses: readonly string[],
): readonly AddressFamily[] | undefined {
  const written = (ipFamilies ?? []).map(family => (family === 'IPv6' ? 'ipv6' : 'ipv4'))
  const families = [...new Set(written.length > 0 ? written : addresses.map(familyOf))]
  return families.length > 0 ? families : undefined
}

function entryResolution(resolution: ServiceEntry['spec']['resolution']): Resolution {
  if (resolution === 'STATIC') return 'static'
  if (resolution === 'DNS') return 'dns'
  if (resolution === 'DNS_ROUND_ROBIN') return 'dns-round-robin'
  if (resolution === 'DYNAMIC_DNS') return 'dynamic-dns'
  return 'passthrough'
}

/** What an absent or empty exportTo means: every namespace. */
export function exportScopes(exportTo: readonly string[] | undefined): readonly string[] {
  return exportTo && exportTo.length > 0 ? exportTo : ['*']
}
