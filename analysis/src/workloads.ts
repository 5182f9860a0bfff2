import type { MeshResource, PodSpec } from '@seine/api'
import type { AnalysisContext } from './context.ts'
import type { Labels } from './labels.ts'

/** Something that runs or will: a pod, the pods that a template makes, or a machine. */
export interface WorkloadLike {
  readonly name: string
  readonly namespace: string
  readonly labels: Labels
  readonly annotations: Labels
  /** Undefined for machines. */
  readonly spec: PodSpec | undefined
  readonly resource: MeshResource
  /** Has a sidecar, or gets one. */
  readonly meshed: boolean
  /** Is in the mesh without a sidecar. */
  readonly ambient: boolean
  /** Is not among the objects, and runs all the same. */
  readonly assumed?: boolean
}

const TEMPLATE_KINDS = ['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'Job'] as const
const PROXY_CONTAINERS: ReadonlySet<string> = new Set(['istio-proxy', 'seine-proxy'])

/** All workloads that the objects speak of. */
export function findWorkloads(context: AnalysisContext): WorkloadLike[] {
  const pods = context
    .all('Pod')
    .map(pod => podLike(context, pod, pod.metadata.labels, pod.metadata.annotations, pod.spec))
  const templates = TEMPLATE_KINDS.flatMap(kind =>
    context.all(kind).map(holder => {
      const { metadata, spec } = holder.spec.template
      return podLike(context, holder, metadata?.labels ?? {}, metadata?.annotations ?? {}, spec)
    }),
  )
  const machines = context
    .all('WorkloadEntry')
    .map(entry => machine(entry, { ...entry.metadata.labels, ...entry.spec.labels }))
  const groups = context
    .all('WorkloadGroup')
    .map(group => machine(group, { ...group.spec.metadata?.labels, ...group.spec.template.labels }))
  const found = [...pods, ...templates, ...machines, ...groups]
  return context.options.complete ? found : [...found, ...assumedGateways(context, found)]
}

/** The ports at which Istio's own gateways listen, by their Services and behind them. */
export const STANDARD_GATEWAY_PORTS = [80, 443, 8080, 8443, 15021, 15443, 31400] as const

/** Istio's own gateways, which run though nobody writes them down with the rest. */
function assumedGateways(context: AnalysisContext, found: readonly WorkloadLike[]): WorkloadLike[] {
  return ['ingressgateway', 'egressgateway']
    .filter(role => !found.some(({ labels }) => labels['istio'] === role))
    .map(role => {
      const name = `istio-${role}`
      const labels = { istio: role, app: name }
      const metadata = { name, namespace: context.meshConfig.rootNamespace, labels, annotations: {} }
      const spec: PodSpec = { containers: [{ name: 'istio-proxy', image: 'proxyv2' }] }
      const resource: MeshResource = { apiVersion: 'v1', kind: 'Pod', metadata, spec }
      return { ...metadata, spec, resource, meshed: true, ambient: false, assumed: true }
    })
}

function machine(resource: MeshResource, labels: Labels): WorkloadLike {
  const { name, namespace, annotations } = resource.metadata
  return { name, namespace, labels, annotations, spec: undefined, resource, meshed: true, ambient: false }
}

function podLike(
  context: AnalysisContext,
  resource: MeshResource,
  labels: Labels,
  annotations: Labels,
  spec: PodSpec,
): WorkloadLike {
  const { name, namespace } = resource.metadata
  const ambient = annotations['ambient.istio.io/redirection'] === 'enabled'
  const meshed = isMeshed(labels, annotations, spec, context.namespace(namespace)?.labels)
  return { name, namespace, labels, annotations, spec, resource, meshed, ambient }
}

/** The container with the sidecar, if the pod has one. */
export function proxyContainer(spec: PodSpec | undefined) {
  return [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].find(({ name }) =>
    PROXY_CONTAINERS.has(name),
  )
}

/** The pod's word counts before its namespace's; of a namespace that is not written down, the best is assumed. */
function isMeshed(
  labels: Labels,
  annotations: Labels,
  spec: PodSpec,
  namespace: Labels | undefined,
): boolean {
  if (proxyContainer(spec)?.image) return true
  const own = labels['sidecar.istio.io/inject'] ?? annotations['sidecar.istio.io/inject']
  if (own !== undefined) return own === 'true'
  return namespace === undefined || isInjected(namespace)
}

/** Whether a namespace's labels ask for sidecars. */
export function isInjected(labels: Labels): boolean {
  const injection = labels['istio-injection']
  return injection === undefined ? !!labels['istio.io/rev'] : injection === 'enabled'
}

/** Whether a namespace's labels put its pods into the mesh without sidecars. */
export function isAmbient(labels: Labels): boolean {
  return labels['istio.io/dataplane-mode'] === 'ambient' && !isInjected(labels)
}
