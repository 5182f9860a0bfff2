import { canonicalIp, type EndpointSlice, keyOf } from '@seine/api'
import { ofFamilies } from './address-family.ts'
import { canonicalAddress, canonicalHost, isSocket } from './host.ts'
import { localityOfLabels } from './locality.ts'
import type { Membership, NetworkAssignment } from './networks.ts'
import type { PolicyTarget } from './peer-authentication.ts'
import type { MeshService, ServicePort } from './service.ts'
import { entryNetwork, entryTakesTls, selects, type Workload } from './workload.ts'

/** An address that serves one port of a service. */
export interface Endpoint {
  /** Empty for one that only the gateway of its network leads to. */
  readonly address: string
  /** Further addresses of the same place, for clients that can't reach the first: those of a pod with several. */
  readonly additionalAddresses: readonly string[]
  readonly port: number
  readonly labels: Readonly<Record<string, string>>
  readonly weight: number
  /** Takes mutual TLS. */
  readonly meshed: boolean
  readonly serviceAccount: string | undefined
  readonly namespace: string
  readonly workload: Workload | undefined
  /** Where it is, as `region/zone/subzone`; empty where that is not known. */
  readonly locality: string
  /** The network that it is in, where that is known. */
  readonly membership: Membership | undefined
}

/** The addresses of an endpoint, the one to try first before the others; none where it has none that is known. */
export function allAddresses({ address, additionalAddresses }: Endpoint): string[] {
  return address === '' ? [] : [address, ...additionalAddresses]
}

/** Whether all, none or some of a service's endpoints take mutual TLS. A service of the mesh without any counts as `all`. */
export type MeshedShare = 'all' | 'none' | 'some'

/** The ready endpoints of a service, by the number of the service's port. */
export interface ServiceEndpoints {
  readonly byPort: ReadonlyMap<number, readonly Endpoint[]>
  readonly meshed: MeshedShare
  /** SPIFFE paths (`ns/<ns>/sa/<sa>`) of the accounts that may serve it, sorted. */
  readonly identities: readonly string[]
  /** The networks that some of them are in, sorted. */
  readonly networks: readonly string[]
}

/** What endpoints are computed from. */
export interface EndpointInputs {
  /** Workloads of the service's namespace. */
  readonly workloads: readonly Workload[]
  readonly slices: readonly EndpointSlice[]
  workloadAt(address: string): Workload | undefined
  readonly assignment: NetworkAssignment
  /** Whether policy lets a workload take mutual TLS on a port. */
  takesMutualTls(target: PolicyTarget, port: number): boolean
}

/** The endpoints of a service: from its EndpointSlices where it has some, else from what its selector or ServiceEntry names. */
export function endpointsOf(service: MeshService, inputs: EndpointInputs): ServiceEndpoints {
  const byPort = new Map<number, readonly Endpoint[]>()
  for (const port of service.ports) byPort.set(port.number, portEndpoints(service, port, inputs))
  const all = [...byPort.values()].flat()
  const meshed = all.filter(endpoint => endpoint.meshed).length
  const identities = new Set<string>()
  for (const endpoint of all) {
    if (endpoint.meshed && endpoint.serviceAccount)
      identities.add(`ns/${endpoint.namespace}/sa/${endpoint.serviceAccount}`)
  }
  return {
    byPort,
    meshed:
      all.length === 0
        ? service.external
          ? 'none'
          : 'all'
        : meshed === all.length
          ? 'all'
          : meshed === 0
            ? 'none'
            : 'some',
    identities: [...identities].sort(),
    networks: [...new Set(all.flatMap(({ membership }) => membership?.network ?? []))].sort(),
  }
}

function portEndpoints(service: MeshService, port: ServicePort, inputs: EndpointInputs): readonly Endpoint[] {
  const found = candidates(service, port, inputs)
  const usable = found
    .filter(({ address }) => address === '' || isUsable(address, service))
    .map(endpoint => (isResolved(service) ? { ...endpoint, additionalAddresses: [] } : endpoint))
  return unique(usable).sort(byAddress)
}

/** Only DNS can make use of a name, and only an endpoint that is listed can be a socket. */
function isUsable(address: string, service: MeshService): boolean {
  if (isSocket(address)) return service.resolution === 'static'
  return isResolved(service) || canonicalIp(address) !== undefined
}

/** Whether Envoy asks DNS for the addresses: then a place has one. */
function isResolved({ resolution }: MeshService): boolean {
  return resolution === 'dns' || resolution === 'dns-round-robin'
}

function candidates(service: MeshService, port: ServicePort, inputs: EndpointInputs): readonly Endpoint[] {
  if (service.entry?.spec.endpoints?.length) return entryEndpoints(service, port, inputs)
  if (service.ref.kind === 'Service' && inputs.slices.length > 0)
    return inputs.slices.flatMap(slice => sliceEndpoints(slice, port, inputs))
  if (!service.selector) return []
  return inputs.workloads
    .filter(({ ready, labels }) => (ready || service.includesNotReady) && selects(service.selector, labels))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap(workload => {
      const target = targetOf(port, workload)
      const addresses = ofFamilies(workload.addresses, service.families)
      return target === undefined ? [] : fromWorkload(workload, addresses, target, inputs)
    })
}

/** The port of a workload that a service's port leads to; undefined where the workload has none of that name. */
export function targetOf(port: ServicePort, workload: Workload): number | undefined {
  const byName = workload.ref.kind === 'WorkloadEntry' ? workload.namedPorts.get(port.name) : undefined
  if (byName) return byName
  if (typeof port.targetPort === 'string') return workload.namedPorts.get(port.targetPort)
  return port.targetPort ?? port.number
}

/** The endpoint that a workload is by some of its addresses; none without one. */
function fromWorkload(
  workload: Workload,
  [address, ...additionalAddresses]: readonly string[],
  port: number,
  inputs: EndpointInputs,
): Endpoint[] {
  // One that has no address at all is reached by its network's gateway; one with others, not at all.
  if (address === undefined && workload.addresses.length > 0) return []
  const { labels, weight, serviceAccount, namespace, locality, membership } = workload
  const meshed = workload.meshed && inputs.takesMutualTls(workload, port)
  const at = { address: address ?? '', additionalAddresses, port }
  return [{ ...at, labels, weight, meshed, serviceAccount, namespace, workload, locality, membership }]
}

function sliceEndpoints(slice: EndpointSlice, port: ServicePort, inputs: EndpointInputs): Endpoint[] {
  const target = (slice.spec.ports ?? []).find(one => (one.name ?? '') === port.name)?.port
  if (!target) return []
  return (slice.spec.endpoints ?? [])
    .filter(endpoint => endpoint.conditions?.ready !== false)
    .flatMap(endpoint => endpoint.addresses)
    .flatMap(written => {
      const address = canonicalHost(written)
      const workload = inputs.workloadAt(address)
      if (workload) return fromWorkload(workload, [address], target, inputs)
      return {
        address,
        additionalAddresses: [],
        port: target,
        labels: {},
        weight: 1,
        meshed: false,
        serviceAccount: undefined,
        namespace: slice.metadata.namespace,
        workload: undefined,
        locality: '',
        membership: inputs.assignment.of(undefined, address),
      }
    })
}

function entryEndpoints(service: MeshService, port: ServicePort, inputs: EndpointInputs): Endpoint[] {
  const { namespace } = service
  return (service.entry?.spec.endpoints ?? []).flatMap((entry, index) => {
    if (!entry.address && !entry.network) return []
    const address = entry.address ? canonicalAddress(entry.address) : ''
    const target =
      entry.ports?.[port.name] ?? (typeof port.targetPort === 'number' ? port.targetPort : port.number)
    const labels = entry.labels ?? {}
    return {
      address,
      additionalAddresses: [],
      port: target,
      labels,
      weight: entry.weight ?? 1,
      meshed:
        entryTakesTls(labels, entry.serviceAccount) && inputs.takesMutualTls({ namespace, labels }, target),
      serviceAccount: entry.serviceAccount,
      namespace,
      workload: undefined,
      locality: entry.locality || localityOfLabels(labels),
      membership: inputs.assignment.of(
        entryNetwork(entry, labels, service.ref, `spec.endpoints[${index}]`),
        address || undefined,
        service.external,
      ),
    }
  })
}

/**
 * Each address and port once, for slices may overlap while one takes over from another; and each workload once with
 * all its addresses, for Kubernetes has a slice for each family.
 */
function unique(endpoints: readonly Endpoint[]): Endpoint[] {
  const found = new Map<string, Endpoint>()
  for (const [index, endpoint] of endpoints.entries()) {
    const { workload, address, port } = endpoint
    // Those without an address are written one by one.
    const key = `${workload ? keyOf(workload.ref) : address || `#${index}`} ${port}`
    const known = found.get(key)
    found.set(key, known ? withAddressesOf(known, endpoint) : endpoint)
  }
  return [...found.values()]
}

/** The endpoint with the addresses of another one too, in the order in which the workload has them. */
function withAddressesOf(endpoint: Endpoint, other: Endpoint): Endpoint {
  const known = new Set([endpoint, other].flatMap(allAddresses))
  const own = (endpoint.workload?.addresses ?? []).filter(address => known.has(address))
  const [address = endpoint.address, ...additionalAddresses] = own
  return { ...endpoint, address, additionalAddresses }
}

function byAddress(a: Endpoint, b: Endpoint): number {
  return a.address < b.address ? -1 : a.address > b.address ? 1 : a.port - b.port
}

/** Whether two sets of endpoints lead to the same configuration. */
export function sameEndpoints(a: ServiceEndpoints, b: ServiceEndpoints): boolean {
  const content = ({ byPort, meshed }: ServiceEndpoints) =>
    JSON.stringify([
      meshed,
      [...byPort].map(([port, list]) => [
        port,
        list.map(({ workload, ...rest }) => [
          rest,
          workload?.workloadName,
          workload?.version,
          workload?.app,
          workload?.proxyless,
        ]),
      ]),
    ])
  return content(a) === content(b)
}
