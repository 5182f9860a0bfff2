import type { Sidecar, Telemetry } from '@seine/api'
import { type Analyzer, WORKLOAD_KINDS } from '../analyzer.ts'
import type { AnalysisContext } from '../context.ts'
import type { Path, Report } from '../finding.ts'
import { groupBy } from '../group-by.ts'
import { holds, type Labels, labelText } from '../labels.ts'
import { isAmbient, type WorkloadLike } from '../workloads.ts'

/** Sidecars of no workload (IST0101), several for one (IST0110, IST0111), and those that are no use (IST0167). */
export const sidecarSelectors: Analyzer = {
  name: 'sidecar-selectors',
  inputs: ['Sidecar', ...WORKLOAD_KINDS],
  analyze(context, report) {
    const useless = reportUselessSidecars(context, report)
    const sidecars = context.all('Sidecar').filter(sidecar => !useless.has(sidecar))
    const selections = sidecars.map(sidecar => ({
      policy: sidecar,
      selector: sidecar.spec.workloadSelector?.labels ?? {},
    }))
    checkSelections(context, selections, ['spec', 'workloadSelector'], report, {
      conflict: (sidecar, names, workload) => report(sidecar, 'IST0110', [], { names, workload }),
      several: (sidecar, names, namespace) => report(sidecar, 'IST0111', [], { names, namespace }),
    })
  },
}

/** Reports Sidecars for what has no sidecars, and returns them. */
function reportUselessSidecars(context: AnalysisContext, report: Report): Set<Sidecar> {
  const useless = new Set<Sidecar>()
  for (const sidecar of context.all('Sidecar')) {
    const { namespace } = sidecar.metadata
    const selector = sidecar.spec.workloadSelector?.labels ?? {}
    const isWhole = Object.keys(selector).length === 0
    const reason = isWhole
      ? isAmbient(context.namespace(namespace)?.labels ?? {})
        ? `the namespace ${namespace} is in ambient mode`
        : undefined
      : context.workloads.some(
            one => one.ambient && one.namespace === namespace && holds(selector, one.labels),
          )
        ? 'a workload that it selects is in ambient mode'
        : undefined
    if (!reason) continue
    useless.add(sidecar)
    report(sidecar, 'IST0167', isWhole ? [] : ['spec', 'workloadSelector'], { reason })
  }
  return useless
}

/** Telemetries of no workload (IST0101), and several for one (IST0159, IST0160). */
export const telemetrySelectors: Analyzer = {
  name: 'telemetry-selectors',
  inputs: ['Telemetry', ...WORKLOAD_KINDS],
  analyze(context, report) {
    const selections = context
      .all('Telemetry')
      .filter(({ spec }) => !spec.targetRef && !spec.targetRefs?.length)
      .map(policy => ({ policy, selector: policy.spec.selector?.matchLabels ?? {} }))
    checkSelections(context, selections, ['spec', 'selector'], report, {
      conflict: (telemetry, names, workload) => report(telemetry, 'IST0159', [], { names, workload }),
      several: (telemetry, names, namespace) => report(telemetry, 'IST0160', [], { names, namespace }),
    })
  },
}

interface Selection<Policy> {
  readonly policy: Policy
  readonly selector: Labels
}

interface Conflicts<Policy> {
  conflict(policy: Policy, names: string, workload: string): void
  several(policy: Policy, names: string, namespace: string): void
}

/** What holds of every kind of which a workload has one: by a selector, or for the whole namespace. */
function checkSelections<Policy extends Sidecar | Telemetry>(
  context: AnalysisContext,
  selections: readonly Selection<Policy>[],
  selectorPath: Path,
  report: Report,
  conflicts: Conflicts<Policy>,
): void {
  const isWhole = ({ selector }: Selection<Policy>) => Object.keys(selector).length === 0
  const wholes = groupBy(selections.filter(isWhole), ({ policy }) => policy.metadata.namespace)
  for (const [namespace, all] of wholes)
    if (all.length > 1) for (const { policy } of all) conflicts.several(policy, namesOf(all), namespace)

  const selective = selections.filter(selection => !isWhole(selection))
  const selected = (workload: WorkloadLike) =>
    selective.filter(
      ({ policy, selector }) =>
        policy.metadata.namespace === workload.namespace && holds(selector, workload.labels),
    )
  const found = new Set<Selection<Policy>>()
  const told = new Set<Selection<Policy>>()
  for (const workload of context.workloads) {
    const all = selected(workload)
    for (const selection of all) {
      found.add(selection)
      if (all.length < 2 || told.has(selection)) continue
      told.add(selection)
      conflicts.conflict(selection.policy, namesOf(all), `${workload.namespace}/${workload.name}`)
    }
  }
  if (!context.knowsWorkloads) return
  for (const selection of selective)
    if (!found.has(selection))
      report(selection.policy, 'IST0101', selectorPath, {
        what: 'workload with the labels',
        name: labelText(selection.selector),
      })
}

function namesOf(selections: readonly Selection<Sidecar | Telemetry>[]): string {
  return selections
    .map(({ policy }) => policy.metadata.name)
    .sort()
    .join(', ')
}

/** Policies that select the workloads of a Gateway of the Gateway API, which take policies by name (IST0166). */
export const kubernetesGatewaySelectors: Analyzer = {
  name: 'kubernetes-gateway-selectors',
  inputs: ['AuthorizationPolicy', 'RequestAuthentication', 'Telemetry', 'WasmPlugin', ...WORKLOAD_KINDS],
  analyze(context, report) {
    const gateways = context.workloads.filter(({ labels }) => GATEWAY_NAME in labels)
    for (const kind of ['AuthorizationPolicy', 'RequestAuthentication', 'Telemetry', 'WasmPlugin'] as const)
      for (const policy of context.all(kind)) {
        const { selector, targetRef, targetRefs } = policy.spec
        if (!selector || targetRef || targetRefs?.length) continue
        const gateway = gateways.find(
          ({ namespace, labels }) =>
            namespace === policy.metadata.namespace && holds(selector.matchLabels, labels),
        )
        if (gateway)
          report(policy, 'IST0166', ['spec', 'selector'], { gateway: gateway.labels[GATEWAY_NAME] ?? '' })
      }
  },
}

const GATEWAY_NAME = 'gateway.networking.k8s.io/gateway-name'
