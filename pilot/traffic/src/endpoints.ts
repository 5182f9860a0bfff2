import { type DestinationRule, keyOf, type MeshConfig, type Subset, UNIX_PREFIX } from '@seine/api'
import type { EncodedResource, Provenance } from '@seine/envoy'
import { HealthStatus } from '@seine/envoy/envoy/config/core/v3/health_check'
import { ClusterLoadAssignmentSchema } from '@seine/envoy/envoy/config/endpoint/v3/endpoint'
import type { LocalityLbEndpointsSchema } from '@seine/envoy/envoy/config/endpoint/v3/endpoint_components'
import {
  type BackendTls,
  type Endpoint,
  isSocket,
  localityParts,
  type MeshService,
  type ServiceEndpoints,
  type ServicePort,
  selects,
} from '@seine/model'
import { backendTlsAt, isCalledByMeshTls, withBackendTls } from './clusters/mesh-tls.ts'
import { effectivePolicy, goesWhereClientWent } from './destination-rules.ts'
import { encode } from './encode.ts'
import type { Init } from './init.ts'
import { type ClientPlace, groupsOf } from './locality.ts'
import { outboundClusterName, TELEMETRY_METADATA, TLS_MODE_KEY } from './names.ts'
import {
  causesOfGateways,
  type NetworkView,
  notesOfUnreached,
  type Reached,
  type ReachedGroup,
  throughGateways,
  wayTo,
} from './networks.ts'
import { provenanceField, provenanceMetadata } from './provenance-metadata.ts'

type LocalityInit = Init<typeof LocalityLbEndpointsSchema>

/** What a service's endpoint resources are made from. */
export interface EndpointAssignmentInputs {
  readonly service: MeshService
  readonly endpoints: ServiceEndpoints
  readonly rule: DestinationRule | undefined
  readonly config: MeshConfig
  readonly client: ClientPlace
  readonly view: NetworkView
  /** What the Gateway API asks of gateways that connect to the service. */
  readonly backendTls?: readonly BackendTls[] | undefined
}

/** The load assignment of each of a service's clusters that are discovered by EDS. */
export function endpointAssignments(inputs: EndpointAssignmentInputs): EncodedResource[] {
  const { service, rule } = inputs
  if (service.resolution !== 'static') return []
  const subsets: (Subset | undefined)[] = [undefined, ...(rule?.spec.subsets ?? [])]
  return service.ports.flatMap(port =>
    subsets
      .filter(
        subset => !goesWhereClientWent(service, effectivePolicy(rule, subset, port.number, inputs.config)),
      )
      .map(subset => assignment(inputs, port, subset)),
  )
}

function assignment(
  inputs: EndpointAssignmentInputs,
  port: ServicePort,
  subset: Subset | undefined,
): EncodedResource {
  const { service, rule } = inputs
  const name = outboundClusterName(port.number, subset?.name ?? '', service.hostname)
  const provenance: Provenance[] = [{ ...service.ref, path: 'spec.selector' }]
  if (subset && rule) {
    const path = `spec.subsets[${(rule.spec.subsets ?? []).indexOf(subset)}].labels`
    provenance.push({ kind: rule.kind, namespace: rule.metadata.namespace, name: rule.metadata.name, path })
  }
  const own = chosenEndpoints(inputs, port, subset)
  provenance.push(...groupsOfWorkloads(own))
  const { groups, notes } = reach(own, inputs, port, subset)
  provenance.push(...causesOfGateways(groups))
  return loadAssignment(name, groups, notes, provenance)
}

/** The load assignment of a name with these groups of endpoints. */
export function loadAssignment(
  name: string,
  groups: readonly ReachedGroup[],
  notes: readonly string[],
  provenance: readonly Provenance[],
): EncodedResource {
  const endpoints = groups.map(group => ({ ...localityOf(group), ...provenanceField(provenance) }))
  const made = encode(ClusterLoadAssignmentSchema, name, { clusterName: name, endpoints }, provenance)
  return notes.length > 0 ? { ...made, notes } : made
}

/** The WorkloadGroups by which workloads among the endpoints have registered. */
function groupsOfWorkloads(endpoints: readonly Endpoint[]): Provenance[] {
  const groups = endpoints.flatMap(({ workload }) => workload?.group ?? [])
  const byKey = new Map(groups.map(group => [keyOf(group), { ...group, path: 'spec.template' }]))
  return [...byKey.values()]
}

/** The endpoints of a cluster that Envoy resolves by DNS: the addresses of the entry, or the host itself. */
export function dnsReached(
  inputs: EndpointAssignmentInputs,
  port: ServicePort,
  subset: Subset | undefined,
): ReachedEndpoints {
  const { service } = inputs
  const isListed =
    (inputs.endpoints.byPort.get(port.number)?.length ?? 0) > 0 || service.selector !== undefined
  if (isListed) return reach(chosenEndpoints(inputs, port, subset), inputs, port, subset)
  const target = typeof port.targetPort === 'number' ? port.targetPort : port.number
  const host = {
    address: service.externalName ?? service.hostname,
    additionalAddresses: [],
    port: target,
    labels: {},
    weight: 1,
    meshed: false,
    serviceAccount: undefined,
    namespace: service.namespace,
    workload: undefined,
    locality: '',
    membership: undefined,
  }
  return reach([host], inputs, port, subset)
}

/** The endpoints of a port that are of a subset, or all. */
export function chosenEndpoints(
  { endpoints }: Pick<EndpointAssignmentInputs, 'endpoints'>,
  port: ServicePort,
  subset: Subset | undefined,
): readonly Endpoint[] {
  const all = endpoints.byPort.get(port.number) ?? []
  return subset?.labels ? all.filter(endpoint => selects(subset.labels, endpoint.labels)) : all
}

/** Endpoints by place, in the order in which a client prefers them. */
export function localitiesOf(
  endpoints: readonly Endpoint[],
  inputs: EndpointAssignmentInputs,
  port: ServicePort,
  subset: Subset | undefined,
): LocalityInit[] {
  return reach(endpoints, inputs, port, subset).groups.map(localityOf)
}

/** The places that a client connects to, and what people should know of endpoints that it can't. */
export interface ReachedEndpoints {
  readonly groups: readonly ReachedGroup[]
  readonly notes: readonly string[]
}

/** How a client reaches endpoints: only those that are called by mutual TLS can be behind a gateway. */
function reach(
  endpoints: readonly Endpoint[],
  inputs: EndpointAssignmentInputs,
  port: ServicePort,
  subset: Subset | undefined,
): ReachedEndpoints {
  const { service, rule, config, client, view } = inputs
  const policy = withBackendTls(
    effectivePolicy(rule, subset, port.number, config),
    backendTlsAt(inputs, port),
  )
  const unreached: Endpoint[] = []
  const able = endpoints.flatMap(endpoint => {
    const way = wayTo(endpoint, view)
    if (way === 'directly') return [endpoint]
    if (way.length > 0 && isCalledByMeshTls(endpoint, inputs, policy)) {
      const locality = endpoint.locality || way.find(one => one.locality !== '')?.locality
      return [locality && locality !== endpoint.locality ? { ...endpoint, locality } : endpoint]
    }
    unreached.push(endpoint)
    return []
  })
  const groups = throughGateways(groupsOf(able, service, policy, config, client), view)
  return { groups, notes: unreached.length > 0 ? notesOfUnreached(unreached, view) : [] }
}

/** A group of endpoints in the form Envoy takes. */
export function localityOf({ locality, priority, weight, reached }: ReachedGroup): LocalityInit {
  const [region, zone, subZone] = localityParts(locality)
  return {
    ...(region ? { locality: { region, zone, subZone } } : {}),
    priority,
    loadBalancingWeight: weight,
    lbEndpoints: reached.map(lbEndpoint),
  }
}

function socketAddress(address: string, port: number) {
  const value = { address, portSpecifier: { case: 'portValue' as const, value: port } }
  return { case: 'socketAddress' as const, value }
}

/** A Unix domain socket, of the machine that the calling proxy runs on. */
function pipe(address: string) {
  return { case: 'pipe' as const, value: { path: address.slice(UNIX_PREFIX.length) } }
}

function lbEndpoint({ endpoint, weight, by }: Reached): NonNullable<LocalityInit['lbEndpoints']>[number] {
  const { address, additionalAddresses, port } = endpoint
  const telemetry = by ? commonTelemetry(by.endpoints) : telemetryOf(endpoint)
  return {
    hostIdentifier: {
      case: 'endpoint',
      value: {
        address: { address: isSocket(address) ? pipe(address) : socketAddress(address, port) },
        // Envoy tries them one after the other, as fast as Happy Eyeballs says (RFC 8305).
        ...(additionalAddresses.length > 0
          ? {
              additionalAddresses: additionalAddresses.map(other => ({
                address: { address: socketAddress(other, port) },
              })),
            }
          : {}),
      },
    },
    healthStatus: HealthStatus.HEALTHY,
    loadBalancingWeight: weight,
    metadata: {
      filterMetadata: {
        ...(endpoint.meshed ? { 'envoy.transport_socket_match': { [TLS_MODE_KEY]: 'istio' } } : {}),
        ...(telemetry || by
          ? {
              [TELEMETRY_METADATA]: {
                ...telemetry,
                ...(by ? { network: by.gateway.network, endpoints: by.endpoints.length } : {}),
              },
            }
          : {}),
        ...(by ? provenanceMetadata([by.gateway.cause]) : {}),
      },
    },
  }
}

/** Clusters that carry their endpoints depend on them; the others get them by EDS. */
export function staticEndpoints(
  service: MeshService,
  endpoints: ServiceEndpoints,
): ServiceEndpoints | undefined {
  return service.resolution === 'static' ? undefined : endpoints
}

/** What telemetry says of calls to an endpoint; undefined where nothing is known of what runs there. */
function telemetryOf({ workload, meshed }: Endpoint) {
  return (
    workload && {
      workload: workload.workloadName,
      namespace: workload.namespace,
      app: workload.app,
      version: workload.version,
      principal: meshed ? `ns/${workload.namespace}/sa/${workload.serviceAccount}` : 'unknown',
    }
  )
}

/** What it says of calls through a gateway: what is the same for all endpoints that they may come to. */
function commonTelemetry(endpoints: readonly Endpoint[]) {
  const [first, ...others] = endpoints.map(telemetryOf)
  return others.every(other => JSON.stringify(other) === JSON.stringify(first)) ? first : undefined
}
