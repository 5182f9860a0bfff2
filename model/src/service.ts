import { refOf, type Service, type ServiceEntry } from '@seine/api'
import type { ResourceRef } from '@seine/kit'
import { serviceHostname } from './host.ts'
import { type Protocol, portProtocol } from './protocol.ts'

/** One port of a service. */
export interface ServicePort {
  readonly name: string
  readonly number: number
  /** The port on the workload: a number, the name of a container's port, or undefined for the same number. */
  readonly targetPort: number | string | undefined
  readonly protocol: Protocol
}

/** How a proxy finds a service's addresses: it is told them, it asks DNS, or it goes where the client went. */
export type Resolution = 'static' | 'dns' | 'dns-round-robin' | 'passthrough'

/** A destination in the mesh's registry, from a Kubernetes Service or a ServiceEntry. */
export interface MeshService {
  /** Unique in the mesh. */
  readonly hostname: string
  readonly name: string
  readonly namespace: string
  /** Virtual IPs; empty for headless services. */
  readonly addresses: readonly string[]
  readonly ports: readonly ServicePort[]
  readonly resolution: Resolution
  readonly external: boolean
  readonly headless: boolean
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

/** The service that a Kubernetes `Service` stands for. ExternalName services are resolved by DNS. */
export function fromKubernetesService(service: Service): MeshService {
  const { metadata, spec } = service
  const addresses = (spec.clusterIPs ?? [spec.clusterIP]).filter((ip): ip is string => !!ip && ip !== 'None')
  const external = spec.type === 'ExternalName'
  return {
    hostname: serviceHostname(metadata.name, metadata.namespace),
    name: metadata.name,
    namespace: metadata.namespace,
    addresses,
    ports: (spec.ports ?? [])
      .filter(port => port.protocol === undefined || port.protocol === 'TCP')
      .map(port => ({
        name: port.name ?? '',
        number: port.port,
        targetPort: port.targetPort,
        protocol: portProtocol(port.name, port.appProtocol, port.port),
      })),
    resolution: external ? 'dns' : 'static',
    external,
    headless: spec.clusterIP === 'None',
    selector: spec.selector && Object.keys(spec.selector).length > 0 ? spec.selector : undefined,
    exportTo: exportScopes(metadata.annotations['networking.istio.io/exportTo']?.split(',')),
    subjectAltNames: [],
    ref: refOf(service),
    entry: undefined,
  }
}

/** The services that a `ServiceEntry` stands for, one for each host. `allocate` gives a virtual IP to a host that has none. */
export function fromServiceEntry(entry: ServiceEntry, allocate: (host: string) => string): MeshService[] {
  const { metadata, spec } = entry
  return spec.hosts.map(hostname => ({
    hostname,
    name: hostname,
    namespace: metadata.namespace,
    addresses: spec.addresses?.length ? spec.addresses : hostname.startsWith('*') ? [] : [allocate(hostname)],
    ports: (spec.ports ?? []).map(port => ({
      name: port.name,
      number: port.number,
      targetPort: port.targetPort,
      protocol: portProtocol(port.name, port.protocol ?? '', port.number),
    })),
    resolution: entryResolution(spec.resolution),
    external: spec.location !== 'MESH_INTERNAL',
    headless: false,
    selector: spec.workloadSelector?.labels,
    exportTo: exportScopes(spec.exportTo),
    subjectAltNames: spec.subjectAltNames ?? [],
    ref: refOf(entry),
    entry,
  }))
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
