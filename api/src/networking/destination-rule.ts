import { z } from 'zod'
import { dnsLabelField } from '../fields/names.ts'
import { labelsField, workloadSelectorField } from '../fields/selectors.ts'
import { hostField } from '../fields.ts'
import type { Resource } from '../resource.ts'
import { checkExportTo, type FieldPath, type Findings, type Rules, warnEmptySelector } from '../rules.ts'
import { type PortTrafficPolicy, type TrafficPolicy, trafficPolicyField } from './traffic-policy.ts'

const subset = z.strictObject({
  name: dnsLabelField.describe('What routes call it'),
  labels: labelsField.optional().describe('Labels of the pods that it consists of'),
  trafficPolicy: trafficPolicyField.optional().describe('What holds for it, over that of the rule'),
})

/** Istio `DestinationRule`: what applies to a service's traffic after routing. */
export const destinationRuleSpec = z
  .strictObject({
    host: hostField.describe('The service, or several by a wildcard such as `*.example.com`'),
    trafficPolicy: trafficPolicyField.optional().describe('What holds for all of the service'),
    subsets: z.array(subset).optional().describe('Versions of the service'),
    exportTo: z
      .array(z.string())
      .optional()
      .describe('Namespaces whose clients it holds for; all unless it is said. `.` is its own'),
    workloadSelector: workloadSelectorField.optional().describe('Callers that it holds for'),
  })
  .superRefine((spec, context) => {
    const seen = new Set<string>()
    for (const [index, { name }] of (spec.subsets ?? []).entries()) {
      if (seen.has(name))
        context.addIssue({
          code: 'custom',
          path: ['subsets', index, 'name'],
          message: `there is already a subset ${name}: names must differ`,
        })
      seen.add(name)
    }
  })

export type DestinationRuleSpec = z.infer<typeof destinationRuleSpec>
export type DestinationRule = Resource<'DestinationRule', DestinationRuleSpec>
export type Subset = z.infer<typeof subset>

/** What Istio's validation requires of a DestinationRule, beyond its fields. */
export const destinationRuleRules: Rules<DestinationRuleSpec> = (spec, findings, { namespace }) => {
  checkExportTo(spec.exportTo, namespace, findings, { ownNamespaceOnly: spec.workloadSelector !== undefined })
  if (spec.workloadSelector)
    warnEmptySelector(spec.workloadSelector.matchLabels, ['workloadSelector'], findings)
  checkPolicy(spec.trafficPolicy, ['trafficPolicy'], namespace, findings)
  for (const [index, { trafficPolicy }] of (spec.subsets ?? []).entries())
    checkPolicy(trafficPolicy, ['subsets', index, 'trafficPolicy'], namespace, findings)
}

function checkPolicy(
  policy: TrafficPolicy | undefined,
  path: FieldPath,
  namespace: string,
  findings: Findings,
): void {
  if (!policy) return
  checkPortPolicy(policy, path, namespace, findings)
  for (const [index, settings] of (policy.portLevelSettings ?? []).entries())
    checkPortPolicy(settings, [...path, 'portLevelSettings', index], namespace, findings)
}

function checkPortPolicy(
  { loadBalancer, outlierDetection, tls }: PortTrafficPolicy,
  path: FieldPath,
  namespace: string,
  findings: Findings,
): void {
  if (outlierDetection?.consecutiveErrors)
    findings.warn(
      [...path, 'outlierDetection', 'consecutiveErrors'],
      'this field is deprecated: use consecutive5xxErrors or consecutiveGatewayErrors',
    )
  if (loadBalancer?.consistentHash?.minimumRingSize)
    findings.warn(
      [...path, 'loadBalancer', 'consistentHash', 'minimumRingSize'],
      'this field is deprecated: use ringHash.minimumRingSize',
    )
  for (const field of ['localityLbSetting', 'zoneAwareLbSetting'] as const) {
    const setting = loadBalancer?.[field]
    if ((setting?.failover?.length || setting?.failoverPriority?.length) && !outlierDetection)
      findings.warn(
        [...path, 'loadBalancer', field],
        'nothing fails over without outlierDetection, which tells that endpoints fail',
      )
  }
  const configMap = /^configmap:\/\/(?:([^/]*)\/)?(.*)$/.exec(tls?.credentialName ?? '')
  if (configMap && (configMap[2] === '' || (configMap[1] !== undefined && configMap[1] !== namespace)))
    findings.error(
      [...path, 'tls', 'credentialName'],
      `must be configmap:// and the name of a ConfigMap in ${namespace}`,
    )
}
