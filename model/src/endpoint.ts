import type { EndpointSlice } from '@seine/api'
import type { MeshService, ServicePort } from './service.ts'
import { selects, type Workload } from './workload.ts'

/** An address that serves one port of a service. */
export interface Endpoint {
  readonly address: string
  readonly port: number
  readonly labels: Readonly<Record<string, string>>
  readonly weight: number
  /** Takes mutual TLS. */
  readonly meshed: boolean
  readonly serviceAccount: string | undefined
  readonly namespace: string
  readonly workload: Workload | undefined
}

/** Whether all, none or some of a service's endpoints take mutual TLS. A service of the mesh without any counts as `all`. */
export type MeshedShare = 'all' | 'none' | 'some'

/** The ready endpoints of a service, by the number of the service's port. */
export interface ServiceEndpoints {
  readonly byPort: ReadonlyMap<number, readonly Endpoint[]>
  readonly meshed: MeshedShare
  /** SPIFFE paths (`ns/<ns>/sa/<sa>`) of the accounts that may serve it, sorted. */
  readonly identities: readonly string[]
}

/** What endpoints are computed from. */
export interface EndpointInputs {
  /** Workloads of the service's namespace. */
  readonly workloads: readonly Workload[]
  readonly slices: readonly EndpointSlice[]
  workloadAt(address: string): Workload | undefined
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
  }
}

function portEndpoints(service: MeshService, port: ServicePort, inputs: EndpointInputs): readonly Endpoint[] {
  if (inputs.slices.length > 0) return inputs.slices.flatMap(slice => sliceEndpoints(slice, port, inputs))
  if (service.entry?.spec.endpoints?.length) return entryEndpoints(service, port)
  if (!service.selector) return []
  return inputs.workloads
    .filter(workload => workload.ready && selects(service.selector, workload.labels))
    .flatMap(workload =>
      workload.addresses
        .slice(0, 1)
        .map(address => fromWorkload(workload, address, targetOf(port, workload))),
    )
    .sort(byAddress)
}

function targetOf(port: ServicePort, workload: Workload): number {
  const byName = workload.ref.kind === 'WorkloadEntry' ? workload.namedPorts.get(port.name) : undefined
  if (byName) return byName
  if (typeof port.targetPort === 'string') return workload.namedPorts.get(port.targetPort) ?? port.number
  return port.targetPort ?? port.number
}

function fromWorkload(workload: Workload, address: string, port: number): Endpoint {
  const { labels, weight, meshed, serviceAccount, namespace } = workload
  return { address, port, labels, weight, meshed, serviceAccount, namespace, workload }
}

function sliceEndpoints(slice: EndpointSlice, port: ServicePort, inputs: EndpointInputs): Endpoint[] {
  const target = (slice.spec.ports ?? []).find(one => (one.name ?? '') === port.name)?.port
  if (!target) return []
  return (slice.spec.endpoints ?? [])
    .filter(endpoint => endpoint.conditions?.ready !== false)
    .flatMap(endpoint => endpoint.addresses)
    .map(address => {
      const workload = inputs.workloadAt(address)
      if (workload) return fromWorkload(workload, address, target)
      return {
        address,
        port: target,
        labels: {},
        weight: 1,
        meshed: false,
        serviceAccount: undefined,
        namespace: slice.metadata.namespace,
        workload: undefined,
      }
    })
    .sort(byAddress)
}

function entryEndpoints(service: MeshService, port: ServicePort): Endpoint[] {
  return (service.entry?.spec.endpoints ?? []).flatMap(entry => {
    if (!entry.address) return []
    const target =
      entry.ports?.[port.name] ?? (typeof port.targetPort === 'number' ? port.targetPort : port.number)
    const labels = entry.labels ?? {}
    const meshed = labels['security.istio.io/tlsMode'] === 'istio'
    return [
      {
        address: entry.address,
        port: target,
        labels,
        weight: entry.weight ?? 1,
        meshed,
        serviceAccount: entry.serviceAccount,
        namespace: service.namespace,
        workload: undefined,
      },
    ]
  })
}

function byAddress(a: Endpoint, b: Endpoint): number {
  return a.address < b.address ? -1 : a.address > b.address ? 1 : a.port - b.port
}
