import type { DestinationRule, MeshConfig, Subset } from '@seine/api'
import type { EncodedResource, Provenance } from '@seine/envoy'
import {
  type Endpoint,
  hostCovers,
  type MeshService,
  type MeshSnapshot,
  type ServiceEndpoints,
  type ServicePort,
  visibleIn,
} from '@seine/model'
import { clusterCauses } from '../clusters/causes.ts'
import { passthroughCluster } from '../clusters/passthrough.ts'
import { type EffectivePolicy, effectivePolicy } from '../destination-rules.ts'
import { chosenEndpoints, loadAssignment } from '../endpoints.ts'
import { type ClientPlace, groupsOf } from '../locality.ts'
import { MeshAlpn, sniOf } from '../names.ts'
import { type NetworkView, throughGateways, wayTo } from '../networks.ts'
import type { BoundServer } from './servers.ts'

/** By these protocol names proxies of the mesh are known: ours, and those that Istio's offer. */
export const MESH_ALPNS: readonly string[] = [
  MeshAlpn.tcp,
  MeshAlpn.http,
  'istio-peer-exchange',
  'istio-http/1.0',
  'istio-http/1.1',
  'istio-h2',
]

/** What clusters of gateways between networks are made from. */
export interface PassedOnInputs {
  readonly snapshot: MeshSnapshot
  readonly service: MeshService
  readonly endpoints: ServiceEndpoints
  readonly rule: DestinationRule | undefined
  readonly client: ClientPlace
  readonly view: NetworkView
}

/**
 * Whether a gateway between networks can pass connections on to a service. Where a service is what the caller looked up, or is outside
 * of the mesh, there is nothing that takes mutual TLS by its name.
 */
export function isPassedOn({ external, resolution, headless }: MeshService): boolean {
  return !external && (resolution === 'static' || headless)
}

/** Whether a server that passes TLS on by its name is for a service, as clients of a namespace see it. */
export function isServedAt({ kind, hosts }: BoundServer, service: MeshService, namespace: string): boolean {
  return (
    kind === 'auto-passthrough' &&
    isPassedOn(service) &&
    visibleIn(service.exportTo, service.namespace, namespace) &&
    hosts.some(
      one =>
        (one.namespace === '*' || one.namespace === service.namespace) &&
        hostCovers(one.host, service.hostname),
    )
  )
}

/** What connections to a port of a service, or to a subset of it, are passed on by. */
export interface PassedOnPort {
  /** The server name that callers offer, and the name of the cluster. */
  readonly name: string
  readonly port: ServicePort
  readonly subset: Subset | undefined
  readonly policy: EffectivePolicy
  readonly causes: readonly Provenance[]
}

/** The names of the clusters by which connections to a service are passed on. */
export function passedOnNames(service: MeshService, rule: DestinationRule | undefined): string[] {
  const subsets = ['', ...(rule?.spec.subsets ?? []).map(({ name }) => name)]
  return service.ports.flatMap(({ number }) => subsets.map(subset => sniOf(number, subset, service.hostname)))
}

/**
 * The ports and subsets of a service.
 *
 * @param config what holds where no rule says a policy; may be left out where policies are not asked for
 */
export function passedOnPorts(
  service: MeshService,
  rule: DestinationRule | undefined,
  config: Partial<Pick<MeshConfig, 'defaultTrafficPolicy'>> = {},
): PassedOnPort[] {
  const subsets: (Subset | undefined)[] = [undefined, ...(rule?.spec.subsets ?? [])]
  return service.ports.flatMap(port =>
    subsets.map(subset => {
      const policy = effectivePolicy(rule, subset, port.number, config)
      const causes = clusterCauses({ service, rule }, port, subset, policy)
      return { name: sniOf(port.number, subset?.name ?? '', service.hostname), port, subset, policy, causes }
    }),
  )
}

/**
 * The clusters by which a gateway between networks passes connections to a service on as they are, and their endpoints: those that take
 * mutual TLS and are reached without another gateway.
 */
export function passedOn(inputs: PassedOnInputs): {
  clusters: EncodedResource[]
  endpoints: EncodedResource[]
} {
  const { service, snapshot, rule } = inputs
  if (!isPassedOn(service)) return { clusters: [], endpoints: [] }
  const ports = passedOnPorts(service, rule, snapshot.config)
  return {
    clusters: ports.map(one => passthroughCluster(one, service, snapshot.config)),
    endpoints: ports.map(one => assignment(one, inputs, snapshot.config)),
  }
}

function assignment(
  { name, port, subset, policy, causes }: PassedOnPort,
  inputs: PassedOnInputs,
  config: MeshConfig,
): EncodedResource {
  const { service, client, view } = inputs
  const own = chosenEndpoints(inputs, port, subset).filter(
    endpoint => isOwn(endpoint, view) && takesMeshTls(endpoint, config, policy),
  )
  const groups = groupsOf(own, service, policy, config, client)
  // What is the gateway's own needs no further one.
  const direct = throughGateways(groups, { ...view, gateways: new Map() })
  return loadAssignment(name, direct, [], [{ ...service.ref, path: 'spec.selector' }, ...causes])
}

/** Whether callers speak mutual TLS to an endpoint: what the gateway passes on, it can't look into. */
function takesMeshTls(
  { meshed }: Endpoint,
  { enableAutoMtls }: MeshConfig,
  { tls }: EffectivePolicy,
): boolean {
  return tls ? tls.mode === 'ISTIO_MUTUAL' : enableAutoMtls && meshed
}

/** What a gateway reaches itself; one of which no network is known, all that has an address. */
function isOwn(endpoint: Endpoint, view: NetworkView): boolean {
  return view.network === '' ? endpoint.address !== '' : wayTo(endpoint, view) === 'directly'
}
