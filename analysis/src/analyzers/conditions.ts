import type { Kind, MeshResource } from '@seine/api'
import type { Analyzer } from '../analyzer.ts'
import { at, listOf, textOf } from '../mesh-config.ts'

/** The conditions of each kind that must not be false. */
const POSITIVE = {
  Service: ['istio.io/WaypointBound'],
  ServiceEntry: ['istio.io/WaypointBound'],
  WorkloadEntry: ['istio.io/WaypointBound'],
  AuthorizationPolicy: ['ZtunnelAccepted', 'WaypointAccepted'],
  Gateway: ['Accepted', 'Programmed', 'ResolvedRefs'],
  HTTPRoute: ['Accepted', 'Programmed', 'ResolvedRefs'],
  GRPCRoute: ['Accepted', 'Programmed', 'ResolvedRefs'],
} as const satisfies Partial<Record<Kind, readonly string[]>>

/** Objects of which a controller says that it could not do what they ask for (IST0171). */
export const negativeConditions: Analyzer = {
  name: 'negative-conditions',
  inputs: Object.keys(POSITIVE) as Kind[],
  analyze(context, report) {
    for (const [kind, types] of Object.entries(POSITIVE) as [keyof typeof POSITIVE, readonly string[]][])
      for (const resource of context.all(kind))
        for (const { condition, path } of conditionsOf(resource)) {
          const type = textOf(at(condition, 'type')) ?? ''
          const reason = textOf(at(condition, 'reason')) ?? ''
          const isPartial = kind === 'AuthorizationPolicy' && reason === 'PartiallyInvalid'
          const isNegative = types.includes(type) && at(condition, 'status') === 'False'
          if (isNegative || isPartial)
            report(resource, 'IST0171', path, {
              type,
              status: textOf(at(condition, 'status')) ?? '',
              reason,
              message: textOf(at(condition, 'message')) ?? '',
            })
        }
  },
}

function conditionsOf({ status }: MeshResource) {
  const own = listOf(at(status, 'conditions')).map((condition, index) => ({
    condition,
    path: ['status', 'conditions', index],
  }))
  const ofParents = listOf(at(status, 'parents')).flatMap((parent, which) =>
    listOf(at(parent, 'conditions')).map((condition, index) => ({
      condition,
      path: ['status', 'parents', which, 'conditions', index],
    })),
  )
  return [...own, ...ofParents]
}
