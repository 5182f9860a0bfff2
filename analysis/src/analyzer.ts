import type { Kind } from '@seine/api'
import type { AnalysisContext } from './context.ts'
import type { Report } from './finding.ts'

/** Looks for one sort of mistake. */
export interface Analyzer {
  /** Unique, for logs and for what is kept between runs. */
  readonly name: string
  /** The kinds it reads: when none of them changed, it would find the same. */
  readonly inputs: readonly Kind[]
  analyze(context: AnalysisContext, report: Report): void
}

/** The kinds that make workloads known. */
export const WORKLOAD_KINDS = [
  'Pod',
  'Deployment',
  'StatefulSet',
  'DaemonSet',
  'ReplicaSet',
  'Job',
  'WorkloadEntry',
  'WorkloadGroup',
  'Namespace',
] as const satisfies readonly Kind[]
