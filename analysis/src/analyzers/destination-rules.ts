import type { ClientTlsSettings, DestinationRule } from '@seine/api'
import { type Analyzer, WORKLOAD_KINDS } from '../analyzer.ts'
import type { AnalysisContext } from '../context.ts'
import type { KnownHost } from '../hosts.ts'
import { holds, type Labels } from '../labels.ts'

/** TLS to somewhere without checking whom it leads to (IST0128, IST0129). */
export const uncheckedServers: Analyzer = {
  name: 'unchecked-servers',
  inputs: ['DestinationRule'],
  analyze(context, report) {
    for (const rule of context.all('DestinationRule')) {
      const { host, trafficPolicy } = rule.spec
      const tls = trafficPolicy?.tls
      if (tls && isUnchecked(tls, rule))
        report(rule, 'IST0128', ['spec', 'trafficPolicy', 'tls'], { host, mode: tls.mode ?? '' })
      for (const [index, settings] of (trafficPolicy?.portLevelSettings ?? []).entries())
        if (settings.tls && isUnchecked(settings.tls, rule))
          report(rule, 'IST0129', ['spec', 'trafficPolicy', 'portLevelSettings', index, 'tls'], {
            host,
            port: settings.port.number,
            mode: settings.tls.mode ?? '',
          })
    }
  },
}

/** A secret by name counts where a selector tells which proxies read it: sidecars get no others. */
function isUnchecked(
  { mode, caCertificates, credentialName }: ClientTlsSettings,
  { spec }: DestinationRule,
): boolean {
  return (
    (mode === 'SIMPLE' || mode === 'MUTUAL') && !caCertificates && !(credentialName && spec.workloadSelector)
  )
}

/** Rules for hosts that nobody has (IST0174), and subsets of workloads that are not there (IST0173). */
export const destinationRuleTargets: Analyzer = {
  name: 'destination-rule-targets',
  inputs: ['DestinationRule', 'Service', 'ServiceEntry', 'Node', ...WORKLOAD_KINDS],
  analyze(context, report) {
    for (const rule of context.all('DestinationRule')) {
      const { host, subsets, exportTo } = rule.spec
      const known = context.hosts.find(host, rule.metadata.namespace, exportTo)
      if (!known) {
        const coversSome = host.startsWith('*') && context.hosts.someWithin(host)
        if (!coversSome && !context.hosts.isBroken(host, rule.metadata.namespace))
          report(rule, 'IST0174', ['spec', 'host'], { host })
        continue
      }
      const endpoints = endpointLabels(context, known)
      for (const [index, { name, labels }] of (subsets ?? []).entries())
        if (endpoints && !endpoints.some(endpoint => holds(labels, endpoint)))
          report(rule, 'IST0173', ['spec', 'subsets', index], { subset: name })
    }
  },
}

/** The labels of everything behind a host; undefined where that is not written down. */
function endpointLabels(context: AnalysisContext, { resource, selector }: KnownHost): Labels[] | undefined {
  if (resource.kind === 'ServiceEntry' && !resource.spec.workloadSelector)
    return (resource.spec.endpoints ?? [{}]).map(({ labels }) => labels ?? {})
  if (!context.knowsWorkloads) return undefined
  return context.workloads
    .filter(({ namespace, labels }) => namespace === resource.metadata.namespace && holds(selector, labels))
    .map(({ labels, spec }) =>
      spec?.nodeName ? { ...labels, ...placeLabels(context, spec.nodeName) } : labels,
    )
}

const PLACE_LABELS = [
  'topology.kubernetes.io/region',
  'topology.kubernetes.io/zone',
  'topology.istio.io/subzone',
]

/** The labels that endpoints have of their place, by the pod's node; an empty one is none. */
function placeLabels(context: AnalysisContext, nodeName: string): Labels {
  const node = context.find('Node', '', nodeName)?.metadata.labels ?? {}
  const known = PLACE_LABELS.flatMap(label => (node[label] ? [[label, node[label]] as const] : []))
  return { ...Object.fromEntries(known), 'kubernetes.io/hostname': nodeName }
}
