import type { Namespace } from '@seine/api'
import { type Analyzer, WORKLOAD_KINDS } from '../analyzer.ts'
import type { AnalysisContext } from '../context.ts'
import type { Report } from '../finding.ts'
import { type Labels, selectedBy } from '../labels.ts'
import { at, readYaml } from '../mesh-config.ts'
import { proxyContainer, type WorkloadLike } from '../workloads.ts'

const INJECTION = 'istio-injection'
const REVISION = 'istio.io/rev'
const DATAPLANE_MODE = 'istio.io/dataplane-mode'
/** Namespaces of control planes, where nothing is injected. */
const SYSTEM: ReadonlySet<string> = new Set(['istio-system', 'seine-system'])

/** Namespaces that do not say whether they are in the mesh (IST0102, IST0148), or say it twice (IST0123). */
export const namespaceInjection: Analyzer = {
  name: 'namespace-injection',
  inputs: ['Namespace', 'ConfigMap'],
  analyze(context, report) {
    for (const namespace of context.all('Namespace'))
      if (!SYSTEM.has(namespace.metadata.name)) checkNamespace(context, namespace, report)
  },
}

function checkNamespace(context: AnalysisContext, namespace: Namespace, report: Report): void {
  const { labels } = namespace.metadata
  const given = [INJECTION, REVISION, DATAPLANE_MODE].filter(label => label in labels)
  // A namespace that is left out may keep its other labels.
  const contradicts = given.length > 1 && (!(INJECTION in labels) || labels[INJECTION] === 'enabled')
  if (contradicts)
    report(namespace, 'IST0123', ['metadata', 'labels'], {
      labels: given.map(label => `${label}=${labels[label]}`).join(', '),
    })
  if (labels[DATAPLANE_MODE] === 'ambient' || labels[INJECTION] || REVISION in labels) return
  const code = isEnabledByDefault(context) ? 'IST0148' : 'IST0102'
  report(namespace, code, ['metadata', 'name'], {})
}

/** What Istio's injector is set to, where its settings are among the objects. */
function isEnabledByDefault(context: AnalysisContext): boolean {
  const injector = context.all('ConfigMap').find(({ metadata }) => metadata.name === 'istio-sidecar-injector')
  const values = readYaml(injector?.spec.data?.['values'])
  return at(values, 'sidecarInjectorWebhook', 'enableNamespacesByDefault') === true
}

/** Pods that should have a sidecar and have none (IST0103). */
export const missingSidecars: Analyzer = {
  name: 'missing-sidecars',
  inputs: ['Pod', 'Namespace'],
  analyze(context, report) {
    for (const pod of context.all('Pod')) {
      const { namespace, labels, annotations } = pod.metadata
      if (SYSTEM.has(namespace) || context.namespace(namespace)?.labels[INJECTION] !== 'enabled') continue
      const own = labels['sidecar.istio.io/inject'] ?? annotations['sidecar.istio.io/inject']
      if (own?.toLowerCase() === 'false' || pod.spec.hostNetwork) continue
      // The label of a workload that takes mutual TLS: its sidecar runs beside the pod, not in a container.
      const runsBeside = labels['security.istio.io/tlsMode'] === 'istio'
      if (!proxyContainer(pod.spec)?.image && !runsBeside) report(pod, 'IST0103', [], {})
    }
  },
}

/** Containers that wait for injection to name their image, which does not come (IST0146, IST0147). */
export const automaticImages: Analyzer = {
  name: 'automatic-images',
  inputs: ['MutatingWebhookConfiguration', ...WORKLOAD_KINDS],
  analyze(context, report) {
    for (const workload of context.workloads) {
      const { kind } = workload.resource
      const path = containerPath(workload)
      if (!path) continue
      if (kind === 'Pod') report(workload.resource, 'IST0147', path, { kind, name: workload.name })
      else if (!isInjectedByWebhook(context, workload))
        report(workload.resource, 'IST0146', path, { kind, name: workload.name })
    }
  },
}

function containerPath({ spec, resource }: WorkloadLike) {
  const index = (spec?.containers ?? []).findIndex(
    ({ name, image }) => image === 'auto' && (name === 'istio-proxy' || name === 'seine-proxy'),
  )
  if (index < 0) return undefined
  const base = resource.kind === 'Pod' ? ['spec'] : ['spec', 'template', 'spec']
  return [...base, 'containers', index, 'image']
}

/** Where no webhook is among the objects, something else injects, by the labels that webhooks usually go by. */
function isInjectedByWebhook(context: AnalysisContext, { namespace, labels, meshed }: WorkloadLike): boolean {
  const webhooks = context
    .all('MutatingWebhookConfiguration')
    .flatMap(({ spec }) => spec.webhooks ?? [])
    .filter(({ name }) => name.endsWith('istio.io'))
  if (webhooks.length === 0) return meshed
  const ofNamespace: Labels = context.namespace(namespace)?.labels ?? {}
  return webhooks.some(
    ({ namespaceSelector, objectSelector }) =>
      selectedBy(namespaceSelector, ofNamespace) && selectedBy(objectSelector, labels),
  )
}

/** Applications that run as the sidecar's user (IST0144). */
export const applicationUsers: Analyzer = {
  name: 'application-users',
  inputs: WORKLOAD_KINDS,
  analyze(context, report) {
    for (const { spec, resource, labels } of context.workloads) {
      if (!spec || 'istio' in labels || resource.metadata.labels['release'] === 'istio') continue
      const base = resource.kind === 'Pod' ? ['spec'] : ['spec', 'template', 'spec']
      if (spec.securityContext?.runAsUser === PROXY_UID)
        report(resource, 'IST0144', [...base, 'securityContext', 'runAsUser'], { uid: PROXY_UID })
      for (const [index, { name, securityContext }] of spec.containers.entries())
        if (securityContext?.runAsUser === PROXY_UID && !PROXIES.has(name))
          report(resource, 'IST0144', [...base, 'containers', index, 'securityContext', 'runAsUser'], {
            uid: PROXY_UID,
          })
    }
  },
}

const PROXY_UID = 1337
const PROXIES: ReadonlySet<string> = new Set(['istio-proxy', 'seine-proxy', 'istio-operator'])
