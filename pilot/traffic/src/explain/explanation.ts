import type { Provenance } from '@seine/envoy'
import type { ExplainedEndpoint } from './clusters.ts'

/** One decision on the way of a request, with the objects and fields that caused it. */
export interface Step {
  readonly stage:
    | 'listener'
    | 'filter chain'
    | 'filter'
    | 'authorization'
    | 'virtual host'
    | 'route'
    | 'cluster'
    | 'endpoints'
  /** The name of Envoy's resource. */
  readonly name: string
  /** What was decided, in a sentence. */
  readonly summary: string
  readonly details: readonly string[]
  /** What was looked at before and did not match, with why not. */
  readonly passed: readonly { readonly name: string; readonly why: string }[]
  readonly causes: readonly Provenance[]
}

/** A cluster that a request may go to, with its share of such requests, 0 to 1. */
export interface Target {
  readonly cluster: string
  readonly share: number
  readonly endpoints: readonly ExplainedEndpoint[]
}

/** How it ends. */
export type Verdict =
  | { readonly outcome: 'forwarded'; readonly targets: readonly Target[] }
  | { readonly outcome: 'redirected'; readonly status: number; readonly location: string }
  | { readonly outcome: 'answered'; readonly status: number; readonly reason: string }
  | { readonly outcome: 'closed'; readonly reason: string }

/** The whole way of a request through one proxy. */
export interface Explanation {
  readonly steps: readonly Step[]
  readonly verdict: Verdict
}

/** A step without what is empty. */
export function step(
  stage: Step['stage'],
  name: string,
  summary: string,
  more: Partial<Pick<Step, 'details' | 'passed' | 'causes'>> = {},
): Step {
  return {
    stage,
    name,
    summary,
    details: more.details ?? [],
    passed: more.passed ?? [],
    causes: more.causes ?? [],
  }
}
