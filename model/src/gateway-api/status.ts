import type { Condition, Verdict } from './conditions.ts'
import type { Target } from './objects.ts'

/** A `ParentReference` in a status, its defaults left as they were written. */
export interface ParentInStatus {
  readonly group: string
  readonly kind: string
  readonly namespace?: string
  readonly name: string
  readonly sectionName?: string
  readonly port?: number
}

/** The status of one listener. */
export interface ListenerStatus {
  readonly name: string
  readonly supportedKinds: readonly Pick<Target, 'group' | 'kind'>[]
  readonly attachedRoutes: number
  readonly conditions: readonly Condition[]
}

/** An object's `status`, as the specification has it for the kind. */
export interface StatusBody {
  readonly conditions?: readonly Condition[]
  readonly addresses?: readonly { readonly type: string; readonly value: string }[]
  readonly listeners?: readonly ListenerStatus[]
  readonly attachedListenerSets?: number
  readonly parents?: readonly {
    readonly parentRef: ParentInStatus
    readonly controllerName: string
    readonly conditions: readonly Condition[]
  }[]
  readonly ancestors?: readonly {
    readonly ancestorRef: ParentInStatus
    readonly controllerName: string
    readonly conditions: readonly Condition[]
  }[]
}

/** An object's status, and what people should look at in it. */
export interface Status {
  /** Undefined where others write it. */
  readonly body: StatusBody | undefined
  /** Verdicts that are not good, each with the field that is to blame. */
  readonly findings: readonly Verdict[]
}
