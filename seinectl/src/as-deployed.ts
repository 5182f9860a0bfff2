import { keyOf, type MeshResource, type ObjectMeta, type Pod, type PodSpec, refOf } from '@seine/api'
import { PROXY_CONTAINER, reasonToSkip } from '@seine/injector'
import { groupOfEntry, registeredEntry, selects, TLS_MODE_LABEL } from '@seine/model'

const TEMPLATE_KINDS = ['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'Job'] as const
type TemplateHolder = Extract<MeshResource, { readonly kind: (typeof TEMPLATE_KINDS)[number] }>

/** The sidecar's container, Istio's name for it and ours. */
const PROXY_CONTAINERS: ReadonlySet<string> = new Set(['istio-proxy', PROXY_CONTAINER])

/** Two halves of the block for benchmarks (RFC 2544), which no cluster gives to anything. */
const SERVICE_BLOCK = '198.18'
const POD_BLOCK = '198.19'
const BLOCK_SIZE = 0xffff

/**
 * Manifests as a cluster would run them. People write Services without addresses and Deployments without pods;
 * the platform adds both. Services get an address, pods without one get one and run, and a template of which no
 * pod is written down gets one pod, with a sidecar where the injector would give it one. A WorkloadGroup has one
 * workload. What already has an address or a pod stays as it is.
 */
export function asDeployed(resources: readonly MeshResource[]): MeshResource[] {
  const namespaces = new Map(
    resources.flatMap(({ kind, metadata }) =>
      kind === 'Namespace' ? [[metadata.name, metadata.labels] as const] : [],
    ),
  )
  const pods = resources.filter(resource => resource.kind === 'Pod')
  const taken = new Set(resources.map(resource => keyOf(refOf(resource))))
  const addresses = { service: addressBook(SERVICE_BLOCK), pod: addressBook(POD_BLOCK) }
  const run = (pod: Pod): Pod =>
    running(pod, addresses.pod(keyOf(refOf(pod))), namespaces.get(pod.metadata.namespace))
  const completed = resources.map((resource): MeshResource => {
    if (resource.kind === 'Pod') return resource.status ? resource : run(resource)
    if (resource.kind !== 'Service') return resource
    const { type, clusterIP, clusterIPs } = resource.spec
    if (type === 'ExternalName' || clusterIP || clusterIPs?.length) return resource
    return { ...resource, spec: { ...resource.spec, clusterIP: addresses.service(keyOf(refOf(resource))) } }
  })
  const made = resources.filter(isTemplateHolder).flatMap(holder => {
    const pod = podOf(holder, taken)
    if (!pod || holder.metadata.ownerReferences?.length) return []
    if (holder.kind === 'Deployment' && holder.spec.replicas === 0) return []
    if (pods.some(existing => isOf(existing, holder))) return []
    taken.add(keyOf(refOf(pod)))
    return [run(pod)]
  })
  return [...completed, ...made, ...registered(resources, addresses.pod)]
}

/** One workload for each WorkloadGroup, in good health, where no entry of the group is written down. */
function registered(resources: readonly MeshResource[], addressOf: (key: string) => string): MeshResource[] {
  const known = new Set(
    resources.flatMap(one => {
      const group = one.kind === 'WorkloadEntry' ? groupOfEntry(one) : undefined
      return group ? [keyOf(group)] : []
    }),
  )
  return resources.flatMap(group => {
    if (group.kind !== 'WorkloadGroup' || known.has(keyOf(refOf(group)))) return []
    const { name, namespace } = group.metadata
    const address = addressOf(keyOf(refOf(group)))
    const workload = { group: name, namespace, address, network: undefined, labels: {} }
    return [registeredEntry(group, workload, { healthy: true, message: '', since: 0 })]
  })
}

function isTemplateHolder(resource: MeshResource): resource is TemplateHolder {
  return TEMPLATE_KINDS.some(kind => kind === resource.kind)
}

/** The pod of a template, by the name of who holds it: so it is the workload's name, too. */
function podOf(holder: TemplateHolder, taken: ReadonlySet<string>): Pod | undefined {
  const { name, namespace } = holder.metadata
  const { metadata, spec } = holder.spec.template
  const named = (podName: string): Pod => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: podName,
      namespace,
      labels: metadata?.labels ?? {},
      annotations: metadata?.annotations ?? {},
    },
    spec,
    ...(holder.origin ? { origin: holder.origin } : {}),
  })
  const candidates = [named(name), named(`${name}-${holder.kind.toLowerCase()}`)]
  return candidates.find(pod => !taken.has(keyOf(refOf(pod))))
}

/** Whether a pod that is written down is one of the template's. */
function isOf({ metadata }: Pod, holder: TemplateHolder): boolean {
  const labels = holder.spec.template.metadata?.labels ?? {}
  return (
    metadata.namespace === holder.metadata.namespace &&
    (metadata.name === holder.metadata.name ||
      (Object.keys(labels).length > 0 && selects(labels, metadata.labels)))
  )
}

function running(pod: Pod, podIP: string, namespaceLabels: ObjectMeta['labels'] | undefined): Pod {
  const { metadata, spec } = pod
  const isGateway = metadata.annotations['inject.istio.io/templates'] === 'gateway'
  const labels =
    !isGateway && isInjected(metadata, spec, namespaceLabels)
      ? { [TLS_MODE_LABEL]: 'istio', ...metadata.labels }
      : metadata.labels
  return {
    ...pod,
    metadata: { ...metadata, labels },
    status: { podIP, phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
  }
}

/** A pod that has its sidecar written down needs none; of a namespace that is not written down, the best is assumed. */
function isInjected(metadata: ObjectMeta, spec: PodSpec, labels: ObjectMeta['labels'] | undefined): boolean {
  if (spec.containers.some(({ name }) => PROXY_CONTAINERS.has(name))) return true
  return reasonToSkip({ metadata, spec }, labels ?? { 'istio-injection': 'enabled' }) === undefined
}

/** Gives each name an address that depends on it alone, unless two meet: a new object does not move the others. */
function addressBook(block: string): (name: string) => string {
  const given = new Set<number>()
  return name => {
    let offset = hash(name) % BLOCK_SIZE
    while (offset === 0 || given.has(offset)) offset = (offset + 1) % BLOCK_SIZE
    given.add(offset)
    return `${block}.${offset >> 8}.${offset & 0xff}`
  }
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  return value >>> 0
}
