import { type DestinationRule, keyOf, type MeshConfig, type Subset, UNIX_PREFIX } from '@seine/api'
import type { EncodedResource, Provenance } from '@seine/envoy'
import { HealthStatus } from '@seine/envoy/envoy/config/core/v3/health_check'
import { ClusterLoadAssignmentSchema } from '@seine/envoy/envoy/config/endpoint/v3/endpoint'
import type { LocalityLbEndpointsSchema } from '@seine/envoy/envoy/config/endpoint/v3/endpoint_components'
import {
  type Endpoint,
  isSocket,
  localityParts,
  type MeshService,
  type ServiceEndpoints,
  type ServicePort,
  selects,
} from '@seine/model'
import { effectivePolicy, goesWhereClientWent } from './destination-rules.ts'
import { encode } from './encode.ts'
import type { Init } from './init.ts'
import { type ClientPlace, groupsOf } from './locality.ts'
import { outboundClusterName, TELEMETRY_METADATA, TLS_MODE_KEY } from './names.ts'
import { provenanceField } from './provenance-metadata.ts'

type LocalityInit = Init<typeof LocalityLbEndpointsSchema>

/** What a service's endpoint resources are made from. */
export interface EndpointAssignmentInputs {
  readonly service: MeshService
  readonly endpoints: ServiceEndpoints
  readonly rule: DestinationRule | undefined
  readonly config: MeshConfig
  readonly client: ClientPlace
}

/** The load assignment of each of a service's clusters that are discovered by EDS. */
export function endpointAssignments(inputs: EndpointAssignmentInputs): EncodedResource[] {
  const { service, rule } = inputs
  if (service.resolution !== 'static') return []
  const subsets: (Subset | undefined)[] = [undefined, ...(rule?.spec.subsets ?? [])]
  return service.ports.flatMap(port =>
    subsets
      .filter(subset => !goesWhereClientWent(service, effectivePolicy(rule, subset, port.number)))
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
  const endpoints = localitiesOf(own, inputs, port, subset).map(locality => ({
    ...locality,
    ...provenanceField(provenance),
  }))
  return encode(ClusterLoadAssignmentSchema, name, { clusterName: name, endpoints }, provenance)
}

/** The WorkloadGroups by which workloads among the endpoints have registered. */
function groupsOfWorkloads(endpoints: readonly Endpoint[]): Provenance[] {
  const groups = endpoints.flatMap(({ workload }) => workload?.group ?? [])
  const byKey = new Map(groups.map(group => [keyOf(group), { ...group, path: 'spec.template' }]))
  return [...byKey.values()]
}

/** The endpoints of a cluster that Envoy resolves by DNS: the addresses of the entry, or the host itself. */
export function dnsLocality(
  inputs: EndpointAssignmentInputs,
  port: ServicePort,
  subset: Subset | undefined,
): LocalityInit[] {
  const { service } = inputs
  const isListed =
    (inputs.endpoints.byPort.get(port.number)?.length ?? 0) > 0 || service.selector !== undefined
  if (isListed) return localitiesOf(chosenEndpoints(inputs, port, subset), inputs, port, subset)
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
  }
  return localitiesOf([host], inputs, port, subset)
}

/** The endpoints of a port that are of a subset, or all. */
export function chosenEndpoints(
  { endpoints }: EndpointAssignmentInputs,
  port: ServicePort,
  subset: Subset | undefined,
): readonly Endpoint[] {
  const all = endpoints.byPort.get(port.number) ?? []
  return subset?.labels ? all.filter(endpoint => selects(subset.labels, endpoint.labels)) : all
}

/** Endpoints by place, in the order in which a client prefers them. */
export function localitiesOf(
  endpoints: readonly Endpoint[],
  { service, rule, config, client }: EndpointAssignmentInputs,
  port: ServicePort,
  subset: Subset | undefined,
): LocalityInit[] {
  const policy = effectivePolicy(rule, subset, port.number)
  return groupsOf(endpoints, service, policy, config, client).map(group => {
    const [region, zone, subZone] = localityParts(group.locality)
    return {
      ...(region ? { locality: { region, zone, subZone } } : {}),
      priority: group.priority,
      loadBalancingWeight: group.weight,
      lbEndpoints: group.endpoints.map(lbEndpoint),
    }
  })
}

function socketAddress(address: string, port: number) {
  const value = { address, portSpecifier: { case: 'portValue' as const, value: port } }
  return { case: 'socketAddress' as const, value }
}

/** A Unix domain socket, of the machine that the calling proxy runs on. */
function pipe(address: string) {
  return { case: 'pipe' as const, value: { path: address.slice(UNIX_PREFIX.length) } }
}

function lbEndpoint(endpoint: Endpoint): NonNullable<LocalityInit['lbEndpoints']>[number] {
  const { address, additionalAddresses, port, workload } = endpoint
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
    loadBalancingWeight: Math.max(endpoint.weight, 1),
    metadata: {
      filterMetadata: {
        ...(endpoint.meshed ? { 'envoy.transport_socket_match': { [TLS_MODE_KEY]: 'istio' } } : {}),
        ...(workload
          ? {
              [TELEMETRY_METADATA]: {
                workload: workload.workloadName,
                namespace: workload.namespace,
                app: workload.app,
                version: workload.version,
                principal: endpoint.meshed
                  ? `ns/${workload.namespace}/sa/${workload.serviceAccount}`
                  : 'unknown',
              },
            }
          : {}),
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
