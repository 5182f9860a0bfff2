import { canonicalIp, canonicalService, type Pod, refOf, type WorkloadEntry } from '@seine/api'
import type { ResourceRef } from '@seine/kit'
import { groupOfEntry, isHealthy } from './entry-status.ts'
import { canonicalAddress } from './host.ts'
import { localityOfLabels } from './locality.ts'
import { noNetworks } from './network-registry.ts'
import { labelledNetwork, type Membership, NETWORK_LABEL, type NetworkAssignment } from './networks.ts'

/** The label Istio's injector puts on what can take mutual TLS. */
export const TLS_MODE_LABEL = 'security.istio.io/tlsMode'

/** Something that runs: a pod, or a machine that a WorkloadEntry describes. */
export interface Workload {
  /** The pod's name, or the entry's. */
  readonly name: string
  readonly namespace: string
  /** What people deployed: the Deployment's name for a pod. */
  readonly workloadName: string
  /** Istio's canonical service and revision. */
  readonly app: string
  readonly version: string
  readonly labels: Readonly<Record<string, string>>
  readonly serviceAccount: string
  /** None for one that only the gateway of its network leads to. */
  readonly addresses: readonly string[]
  readonly ready: boolean
  /** Has a sidecar and can take mutual TLS. */
  readonly meshed: boolean
  /** Is a gateway: its proxy is all there is, and captures nothing. */
  readonly gateway: boolean
  /** Its own gRPC library is its proxy. */
  readonly proxyless: boolean
  readonly namedPorts: ReadonlyMap<string, number>
  readonly weight: number
  /** Where it is, as `region/zone/subzone`; empty where that is not known. */
  readonly locality: string
  /** The node that it runs on, where that is known. */
  readonly node: string | undefined
  /** The network that it is in, where that is known. */
  readonly membership: Membership | undefined
  readonly ref: ResourceRef
  /** The WorkloadGroup by which it registered. */
  readonly group: ResourceRef | undefined
  /** What its pod says of its own proxy (`proxy.istio.io/config`): YAML. */
  readonly proxyConfig: string | undefined
}

/**
 * The workload that a pod is, or undefined while it has no address or when it has ended.
 *
 * @param node the labels of the node that it runs on, which tell where it is unless its own do
 */
export function fromPod(
  pod: Pod,
  node: Readonly<Record<string, string>> = {},
  assignment: NetworkAssignment = noNetworks.assignment,
): Workload | undefined {
  const { metadata, spec, status } = pod
  const written = status?.podIPs?.map(({ ip }) => ip) ?? (status?.podIP ? [status.podIP] : [])
  const addresses = written.map(ip => canonicalIp(ip) ?? ip)
  if (addresses.length === 0 || status?.phase === 'Succeeded' || status?.phase === 'Failed') return undefined
  const namedPorts = new Map<string, number>()
  for (const container of spec.containers) {
    for (const port of container.ports ?? []) if (port.name) namedPorts.set(port.name, port.containerPort)
  }
  return {
    name: metadata.name,
    namespace: metadata.namespace,
    workloadName: ownerName(pod),
    ...canonicalService(metadata.labels, ownerName(pod)),
    labels: metadata.labels,
    serviceAccount: spec.serviceAccountName ?? 'default',
    addresses,
    ready:
      status?.conditions?.some(condition => condition.type === 'Ready' && condition.status === 'True') ??
      status?.phase === 'Running',
    meshed: metadata.labels[TLS_MODE_LABEL] === 'istio',
    gateway: metadata.annotations['inject.istio.io/templates'] === 'gateway',
    proxyless: metadata.annotations['inject.istio.io/templates'] === 'grpc-agent',
    namedPorts,
    weight: 1,
    locality: localityOfLabels(metadata.labels) || localityOfLabels(node),
    node: spec.nodeName,
    membership: assignment.of(labelledNetwork(metadata.labels, refOf(pod)), addresses[0]),
    ref: refOf(pod),
    group: undefined,
    proxyConfig: metadata.annotations['proxy.istio.io/config'],
  }
}

/** The workload that a `WorkloadEntry` describes, or undefined when it gives neither an address nor a network. */
export function fromWorkloadEntry(
  entry: WorkloadEntry,
  assignment: NetworkAssignment = noNetworks.assignment,
): Workload | undefined {
  const { metadata, spec } = entry
  if (!spec.address && !spec.network) return undefined
  const labels = { ...metadata.labels, ...spec.labels }
  const addresses = spec.address ? [canonicalAddress(spec.address)] : []
  const group = groupOfEntry(entry)
  const workloadName = group?.name ?? metadata.name
  return {
    name: metadata.name,
    namespace: metadata.namespace,
    workloadName,
    ...canonicalService(labels, workloadName),
    labels,
    serviceAccount: spec.serviceAccount ?? 'default',
    addresses,
    ready: isHealthy(entry),
    meshed: entryTakesTls(labels, spec.serviceAccount),
    gateway: false,
    proxyless: false,
    namedPorts: new Map(Object.entries(spec.ports ?? {})),
    weight: spec.weight ?? 1,
    locality: spec.locality || localityOfLabels(labels),
    node: undefined,
    membership: assignment.of(entryNetwork(entry.spec, labels, refOf(entry), 'spec'), addresses[0]),
    ref: refOf(entry),
    group,
    proxyConfig: undefined,
  }
}

/**
 * The network that an entry says it is in: by its field, as Istio has it, or else by its labels.
 *
 * @param path where the entry stands in its object
 */
export function entryNetwork(
  { network }: { readonly network?: string | undefined },
  labels: Readonly<Record<string, string>>,
  ref: ResourceRef,
  path: string,
): Membership | undefined {
  if (network) return { network, cause: { ...ref, path: `${path}.network` } }
  return labelledNetwork(labels, ref, `${path}.labels["${NETWORK_LABEL}"]`)
}

/**
 * Whether a workload that an entry describes can take mutual TLS, as Istio has it: its label says so or, without the
 * label, it has an identity, for which it needs a sidecar.
 */
export function entryTakesTls(
  labels: Readonly<Record<string, string>>,
  serviceAccount: string | undefined,
): boolean {
  const mode = labels[TLS_MODE_LABEL]
  return mode === undefined ? !!serviceAccount : mode === 'istio'
}

/** The Deployment of a pod: its ReplicaSet's name without the hash, else its owner, else itself. */
function ownerName(pod: Pod): string {
  const owner = pod.metadata.ownerReferences?.[0]
  if (!owner) return pod.metadata.name
  const hash = pod.metadata.labels['pod-template-hash']
  return owner.kind === 'ReplicaSet' && hash && owner.name.endsWith(`-${hash}`)
    ? owner.name.slice(0, -hash.length - 1)
    : owner.name
}

/** Whether a proxy of the mesh belongs to a workload: a sidecar, or the one that it is. */
export function hasProxy({ meshed, gateway }: Pick<Workload, 'meshed' | 'gateway'>): boolean {
  return meshed || gateway
}

/** Whether nothing that matters to the mesh tells two workloads apart. */
export function sameWorkload(a: Workload, b: Workload): boolean {
  const content = (workload: Workload) =>
    JSON.stringify({ ...workload, namedPorts: [...workload.namedPorts] })
  return content(a) === content(b)
}

/** Whether the labels hold all of the selector's; an empty selector holds for everything. */
export function selects(
  selector: Readonly<Record<string, string>> | undefined,
  labels: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(selector ?? {}).every(([name, value]) => labels[name] === value)
}
