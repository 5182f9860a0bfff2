import type { MutatingWebhookConfiguration } from '@seine/api'
import type { Analyzer } from '../analyzer.ts'
import { type Labels, selectedBy } from '../labels.ts'

const REVISION = 'istio.io/rev'

type Webhook = NonNullable<MutatingWebhookConfiguration['spec']['webhooks']>[number]

interface PlacedWebhook {
  readonly configuration: MutatingWebhookConfiguration
  readonly webhook: Webhook
  readonly index: number
}

/** Injectors that add a sidecar twice, or that are called at a Service that is not there (IST0139). */
export const webhooks: Analyzer = {
  name: 'webhooks',
  inputs: ['MutatingWebhookConfiguration', 'Service'],
  analyze(context, report) {
    const injectors = context.all('MutatingWebhookConfiguration').filter(isInjector)
    const placed: PlacedWebhook[] = injectors.flatMap(configuration =>
      (configuration.spec.webhooks ?? []).map((webhook, index) => ({ configuration, webhook, index })),
    )
    const cases = labelCases(injectors)
    for (const one of placed) {
      const { configuration, webhook, index } = one
      const path = ['webhooks', index]
      const rivals = placed.filter(
        other => other !== one && cases.some(each => takes(one, each) && takes(other, each)),
      )
      if (rivals.length > 0)
        report(configuration, 'IST0139', path, {
          problem: `selects the same pods as ${rivals.map(nameOf).sort().join(', ')}: they get two sidecars`,
        })
      const service = webhook.clientConfig.service
      if (service && !context.exists('Service', service.namespace, service.name))
        report(configuration, 'IST0139', [...path, 'clientConfig', 'service'], {
          problem: `there is no Service ${service.namespace}/${service.name}: pods are not injected`,
        })
    }
  },
}

function nameOf({ configuration, webhook }: PlacedWebhook): string {
  return `${configuration.metadata.name}/${webhook.name}`
}

function isInjector(configuration: MutatingWebhookConfiguration): boolean {
  return (
    revisionsOf(configuration).length > 0 ||
    (configuration.spec.webhooks ?? []).some(({ name }) => name.endsWith('istio.io'))
  )
}

/** The revisions of the control plane that a configuration speaks of. */
function revisionsOf({ metadata, spec }: MutatingWebhookConfiguration): string[] {
  const ofSelectors = (spec.webhooks ?? [])
    .flatMap(({ namespaceSelector, objectSelector }) => [namespaceSelector, objectSelector])
    .flatMap(selector => [
      selector?.matchLabels?.[REVISION] ?? [],
      ...(selector?.matchExpressions ?? []).map(({ key, values }) =>
        key === REVISION ? (values ?? []) : [],
      ),
    ])
    .flat()
  return [...new Set([metadata.labels[REVISION] ?? [], ofSelectors].flat())]
}

interface LabelCase {
  readonly namespace: Labels
  readonly pod: Labels
}

/** Every way in which people label a namespace and a pod for injection. */
function labelCases(injectors: readonly MutatingWebhookConfiguration[]): LabelCase[] {
  const revisions = [...new Set(injectors.flatMap(revisionsOf))]
  const withRevisions = (all: readonly Labels[]) => [
    ...all,
    ...revisions.flatMap(revision => all.map(labels => ({ ...labels, [REVISION]: revision }))),
  ]
  const namespaces = withRevisions([{}, { 'istio-injection': 'enabled' }, { 'istio-injection': 'disabled' }])
  const pods = withRevisions([
    {},
    { 'sidecar.istio.io/inject': 'true' },
    { 'sidecar.istio.io/inject': 'false' },
  ])
  return namespaces.flatMap(namespace => pods.map(pod => ({ namespace, pod })))
}

function takes({ webhook }: PlacedWebhook, { namespace, pod }: LabelCase): boolean {
  return selectedBy(webhook.namespaceSelector, namespace) && selectedBy(webhook.objectSelector, pod)
}
