import type { AuthorizationPolicy } from '@seine/api'
import { type Analyzer, WORKLOAD_KINDS } from '../analyzer.ts'
import type { AnalysisContext } from '../context.ts'
import type { Report } from '../finding.ts'
import { holds, labelText } from '../labels.ts'

/** Policies of no workload (IST0127), and rules for namespaces that are not there (IST0101). */
export const authorizationPolicies: Analyzer = {
  name: 'authorization-policies',
  inputs: ['AuthorizationPolicy', 'ConfigMap', ...WORKLOAD_KINDS],
  analyze(context, report) {
    for (const policy of context.all('AuthorizationPolicy')) {
      if (!selectsSome(context, policy))
        report(policy, 'IST0127', policy.spec.selector ? ['spec', 'selector'] : [], {
          labels: labelText(policy.spec.selector?.matchLabels) || '(any)',
        })
      if (context.knowsNamespaces) checkNamespaces(context, policy, report)
    }
  },
}

function selectsSome(context: AnalysisContext, { metadata, spec }: AuthorizationPolicy): boolean {
  if (!context.knowsWorkloads || spec.targetRef || spec.targetRefs?.length) return true
  const isForAll = metadata.namespace === context.meshConfig.rootNamespace
  if (isForAll && !spec.selector) return true
  return context.workloads.some(
    ({ namespace, labels, meshed, ambient }) =>
      (meshed || ambient) &&
      (isForAll || namespace === metadata.namespace) &&
      holds(spec.selector?.matchLabels, labels),
  )
}

function checkNamespaces(context: AnalysisContext, policy: AuthorizationPolicy, report: Report): void {
  const known = context.all('Namespace').map(({ metadata }) => metadata.name)
  for (const [index, { from }] of (policy.spec.rules ?? []).entries())
    for (const [at, { source }] of (from ?? []).entries())
      for (const field of ['namespaces', 'notNamespaces'] as const)
        for (const [which, pattern] of (source[field] ?? []).entries())
          if (!known.some(namespace => matches(pattern, namespace)))
            report(policy, 'IST0101', ['spec', 'rules', index, 'from', at, 'source', field, which], {
              what: 'namespace',
              name: pattern,
            })
}

/** `*`, `*-suffix`, `prefix-*` or a name. */
function matches(pattern: string, namespace: string): boolean {
  if (pattern.startsWith('*')) return namespace.endsWith(pattern.slice(1))
  if (pattern.endsWith('*')) return namespace.startsWith(pattern.slice(0, -1))
  return pattern === namespace
}
