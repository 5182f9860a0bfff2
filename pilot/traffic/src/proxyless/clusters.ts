import { create } from '@bufbuild/protobuf'
import { type DestinationRule, durationMs, type Subset, trustDomainsOf } from '@seine/api'
import { duration, type EncodedResource } from '@seine/envoy'
import {
  ClusterSchema,
  Cluster_DiscoveryType as DiscoveryType,
  Cluster_LbPolicy as LbPolicy,
} from '@seine/envoy/envoy/config/cluster/v3/cluster'
import { ConfigSourceSchema } from '@seine/envoy/envoy/config/core/v3/config_source'
import { ClusterLoadAssignmentSchema } from '@seine/envoy/envoy/config/endpoint/v3/endpoint'
import {
  type Endpoint,
  inboundMtls,
  type MeshService,
  type MeshSnapshot,
  type ServiceEndpoints,
  type ServicePort,
} from '@seine/model'
import { clusterCauses } from '../clusters/causes.ts'
import { serverIdentities } from '../clusters/server-identities.ts'
import { standsFor } from '../destination.ts'
import { type EffectivePolicy, effectivePolicy } from '../destination-rules.ts'
import { encode } from '../encode.ts'
import {
  chosenEndpoints,
  dnsReached,
  type EndpointAssignmentInputs,
  localitiesOf,
  localityOf,
} from '../endpoints.ts'
import type { Init } from '../init.ts'
import type { ClientPlace } from '../locality.ts'
import { outboundClusterName } from '../names.ts'
import { type NetworkView, wayTo } from '../networks.ts'
import { provenanceField } from '../provenance-metadata.ts'
import { clientTlsSocket } from './transport-security.ts'

type ClusterInit = Init<typeof ClusterSchema>
type LocalityInit = ReturnType<typeof localitiesOf>[number]

/** What a service's clusters are made from. */
export interface ProxylessClusterInputs {
  readonly snapshot: MeshSnapshot
  readonly service: MeshService
  readonly endpoints: ServiceEndpoints
  readonly rule: DestinationRule | undefined
  readonly client: ClientPlace
  readonly view: NetworkView
}

/** Why the endpoints of a cluster can not be called as is wanted. */
export interface ClusterNote {
  readonly severity: 'warning' | 'info'
  readonly message: string
}

/** A service's clusters and their endpoints as gRPC takes them, and what people should know of them. */
export interface ProxylessClusters {
  readonly clusters: readonly EncodedResource[]
  readonly endpoints: readonly EncodedResource[]
  readonly notes: readonly ClusterNote[]
}

/** gRPC's own limit is low; without a rule the mesh sets none. */
const UNLIMITED = 0xffffffff

/**
 * The clusters of a service for gRPC clients: one for each port, and one for each port and subset, with the names that
 * they have for sidecars. Endpoints that are addresses come by EDS, whatever Envoy would do with them.
 */
export function proxylessClusters(given: ProxylessClusterInputs): ProxylessClusters {
  const { endpoints, note } = withoutOthersNetworks(given)
  const inputs = { ...given, endpoints }
  const { service, snapshot, rule } = inputs
  const subsets: (Subset | undefined)[] = [undefined, ...(rule?.spec.subsets ?? [])]
  const built = service.ports
    .filter(port => !standsFor(snapshot.services, service, port.number))
    .flatMap(port => subsets.map(subset => build(inputs, port, subset)))
  const all = [...(note ? [note] : []), ...built.flatMap(one => one.notes)]
  const notes = new Map(all.map(one => [one.message, one]))
  return {
    clusters: built.map(({ cluster }) => cluster),
    endpoints: built.flatMap(({ endpoints }) => endpoints ?? []),
    notes: [...notes.values()],
  }
}

/** gRPC offers no server name, by which alone the gateway of a network could pass its calls on. */
function withoutOthersNetworks({ service, endpoints, view }: ProxylessClusterInputs): {
  endpoints: ServiceEndpoints
  note?: ClusterNote
} {
  const isFar = (endpoint: Endpoint) => wayTo(endpoint, view) !== 'directly'
  const far = new Set([...endpoints.byPort.values()].flat().filter(isFar))
  if (far.size === 0) return { endpoints }
  const byPort = new Map(
    [...endpoints.byPort].map(([port, list]) => [port, list.filter(one => !far.has(one))]),
  )
  const networks = [...new Set([...far].map(({ membership }) => membership?.network))].join(', ')
  const message = `proxyless gRPC clients do not call endpoints of ${service.hostname} in other networks (${networks}): gRPC offers no server name, by which their gateways pass calls on`
  return { endpoints: { ...endpoints, byPort }, note: { severity: 'warning', message } }
}

function build(inputs: ProxylessClusterInputs, port: ServicePort, subset: Subset | undefined) {
  const name = outboundClusterName(port.number, subset?.name ?? '', inputs.service.hostname)
  const policy = effectivePolicy(inputs.rule, subset, port.number, inputs.snapshot.config)
  const security = securityOf(inputs, port, subset, policy)
  const found = security.kind === 'impossible' ? NOWHERE : whereabouts(inputs, port, subset)
  const provenance = clusterCauses(inputs, port, subset, policy)
  const cluster = encode(
    ClusterSchema,
    name,
    {
      name,
      ...discovery(found, name),
      ...loadBalancer(policy),
      circuitBreakers: {
        thresholds: [{ maxRequests: policy.connectionPool?.http?.http2MaxRequests ?? UNLIMITED }],
      },
      ...outlierDetection(policy),
      ...(security.kind === 'mutual'
        ? { transportSocket: clientTlsSocket(security.peers, trustDomainsOf(inputs.snapshot.config)) }
        : {}),
      ...provenanceField(provenance),
    },
    provenance,
  )
  const notes = [security.note, found.note].filter(note => note !== undefined)
  if (found.kind === 'name') return { cluster, endpoints: undefined, notes }
  const endpoints = encode(
    ClusterLoadAssignmentSchema,
    name,
    {
      clusterName: name,
      endpoints: found.localities.map(locality => ({
        ...locality,
        // gRPC refuses places that are not said.
        locality: locality.locality ?? { region: '', zone: '', subZone: '' },
        ...provenanceField(provenance),
      })),
    },
    provenance,
  )
  return { cluster, endpoints, notes }
}

/** Where a cluster's endpoints are: addresses, or one name that the client looks up itself. */
type Whereabouts =
  | { readonly kind: 'addresses'; readonly localities: readonly LocalityInit[]; readonly note?: ClusterNote }
  | { readonly kind: 'name'; readonly localities: readonly LocalityInit[]; readonly note?: ClusterNote }

const NOWHERE: Whereabouts = { kind: 'addresses', localities: [] }

function whereabouts(
  inputs: ProxylessClusterInputs,
  port: ServicePort,
  subset: Subset | undefined,
): Whereabouts {
  const { service, snapshot } = inputs
  const assignment: EndpointAssignmentInputs = { ...inputs, config: snapshot.config }
  if (service.resolution !== 'dns' && service.resolution !== 'dns-round-robin') {
    const listed = chosenEndpoints(assignment, port, subset)
    // A socket is of the machine that a proxy runs on, and gRPC takes addresses only.
    const usable = listed.filter(({ address }) => isAddress(address))
    const localities = localitiesOf(usable, assignment, port, subset)
    const isOpen = service.external && service.resolution === 'passthrough' && listed.length === 0
    const why =
      service.resolution === 'dynamic-dns'
        ? 'they look up one name, and it stands for many'
        : isOpen
          ? 'it names no endpoints, and they have no address of their own to go to'
          : usable.length < listed.length && 'they do not call sockets, and it names some'
    if (!why) return { kind: 'addresses', localities }
    const message = `proxyless gRPC clients can not call all of ${service.hostname}: ${why}`
    return { kind: 'addresses', localities, note: { severity: 'warning', message } }
  }
  const localities = dnsReached(assignment, port, subset).groups.map(localityOf)
  const addresses = localities.flatMap(({ lbEndpoints }) => (lbEndpoints ?? []).map(addressOf))
  if (addresses.every(isAddress)) return { kind: 'addresses', localities }
  if (addresses.length === 1) return { kind: 'name', localities }
  const message = `proxyless gRPC clients can not call ${service.hostname}: they look up one name, and it has ${addresses.length} endpoints of which some are names`
  return { ...NOWHERE, note: { severity: 'warning', message } }
}

function addressOf(endpoint: NonNullable<LocalityInit['lbEndpoints']>[number]): string {
  const { hostIdentifier } = endpoint
  const address = hostIdentifier?.case === 'endpoint' ? hostIdentifier.value.address?.address : undefined
  return address?.case === 'socketAddress' ? (address.value.address ?? '') : ''
}

function isAddress(text: string): boolean {
  return /^[\d.]+$|:/.test(text)
}

function discovery({ kind, localities }: Whereabouts, name: string): ClusterInit {
  if (kind === 'name')
    return {
      clusterDiscoveryType: { case: 'type', value: DiscoveryType.LOGICAL_DNS },
      loadAssignment: { clusterName: name, endpoints: [...localities] },
    }
  return {
    clusterDiscoveryType: { case: 'type', value: DiscoveryType.EDS },
    edsClusterConfig: {
      serviceName: name,
      edsConfig: create(ConfigSourceSchema, {
        resourceApiVersion: 2,
        configSourceSpecifier: { case: 'ads', value: {} },
      }),
    },
  }
}

/** gRPC chooses in turn, or by a hash ring. */
function loadBalancer({ loadBalancer: settings }: EffectivePolicy): ClusterInit {
  const hash = settings?.consistentHash
  if (!hash) return { lbPolicy: LbPolicy.ROUND_ROBIN }
  const minimum = hash.ringHash?.minimumRingSize ?? hash.minimumRingSize ?? 1024
  return {
    lbPolicy: LbPolicy.RING_HASH,
    lbConfig: { case: 'ringHashLbConfig', value: { minimumRingSize: BigInt(Math.max(minimum, 1)) } },
  }
}

/** Calls in one interval by which gRPC judges an endpoint, unless a rule says how many. */
const DEFAULT_FAILURES = 5

/**
 * gRPC counts no failures in a row, but judges by the share in an interval: an endpoint is put out when all of at least
 * as many calls failed. Whoever is put out so had as many failures in a row.
 */
function outlierDetection({ outlierDetection: outlier }: EffectivePolicy): ClusterInit {
  if (!outlier) return {}
  const asked = [outlier.consecutive5xxErrors, outlier.consecutiveGatewayErrors, outlier.consecutiveErrors]
  const counts = asked.filter(count => count !== undefined)
  const used = counts.filter(count => count > 0)
  const isOff = counts.length > 0 && used.length === 0
  return {
    outlierDetection: {
      enforcingSuccessRate: 0,
      enforcingFailurePercentage: isOff ? 0 : 100,
      // It must be exceeded.
      failurePercentageThreshold: 99,
      failurePercentageMinimumHosts: 1,
      failurePercentageRequestVolume: used.length > 0 ? Math.min(...used) : DEFAULT_FAILURES,
      interval: duration(outlier.interval ? durationMs(outlier.interval) : 10_000),
      baseEjectionTime: duration(outlier.baseEjectionTime ? durationMs(outlier.baseEjectionTime) : 30_000),
      maxEjectionPercent: outlier.maxEjectionPercent ?? 10,
    },
  }
}

interface Security {
  readonly kind: 'mutual' | 'plaintext' | 'impossible'
  readonly peers: readonly string[]
  readonly note?: ClusterNote
}

/**
 * How clients connect: as the rule says, else by mutual TLS where every endpoint can take that of gRPC. TLS that
 * gRPC can not do leads nowhere, as plaintext in its place would give away what was to be kept.
 */
function securityOf(
  inputs: ProxylessClusterInputs,
  port: ServicePort,
  subset: Subset | undefined,
  policy: EffectivePolicy,
): Security {
  const { service, snapshot, endpoints } = inputs
  const { config } = snapshot
  const mode = policy.tls?.mode
  const plaintext: Security = { kind: 'plaintext', peers: [] }
  if (mode === 'SIMPLE' || mode === 'MUTUAL') return { kind: 'impossible', peers: [] }
  if (mode === 'DISABLE') return plaintext
  const peers = serverIdentities(inputs, policy)
  const mutual: Security = { kind: 'mutual', peers }
  const chosen = chosenEndpoints(inputs, port, subset)
  const able = chosen.filter(endpoint => takesTlsOfGrpc(snapshot, endpoint))
  if (mode === 'ISTIO_MUTUAL') {
    if (able.length === chosen.length) return mutual
    const message = `${chosen.length - able.length} of the ${chosen.length} endpoints of ${service.hostname} do not take the mutual TLS of proxyless gRPC clients, which the rule asks for: let a PeerAuthentication make them STRICT`
    return { ...mutual, note: { severity: 'warning', message } }
  }
  if (policy.tls || !config.enableAutoMtls || service.external || endpoints.meshed === 'none')
    return plaintext
  if (able.length === chosen.length) return mutual
  const message = `proxyless gRPC clients call ${service.hostname} in plaintext: ${chosen.length - able.length} of its ${chosen.length} endpoints can not tell their TLS from the application's own; let a PeerAuthentication make them STRICT`
  return { ...plaintext, note: { severity: 'info', message } }
}

/**
 * Whether an endpoint can take TLS from gRPC, which does not say that it is of the mesh: a gRPC server, and a sidecar
 * that takes nothing else.
 */
function takesTlsOfGrpc(snapshot: MeshSnapshot, { meshed, workload, namespace, labels, port }: Endpoint) {
  if (!meshed) return false
  return workload?.proxyless || inboundMtls(snapshot, { namespace, labels }).modeOf(port) === 'STRICT'
}
