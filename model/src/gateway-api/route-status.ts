import type { ParentState } from './attachment.ts'
import { type Condition, condition, type Verdict } from './conditions.ts'
import { CONTROLLER_NAME } from './gateway-classes.ts'
import type { Query } from './incremental.ts'
import { routeOf } from './inputs.ts'
import { resolvedRefs } from './references.ts'
import { routeState } from './route-conflicts.ts'
import { compiledRoute } from './rules.ts'
import type { ParentInStatus, Status } from './status.ts'

/** The status of a route, by its key. */
export const routeStatus: Query<Status | undefined> = {
  name: 'routeStatus',
  compute(key, read) {
    const route = routeOf(read, key)
    const state = read.ask(routeState, key)
    if (!route || !state) return undefined
    const { generation } = route.metadata
    const findings: Verdict[] = [...state.missing]
    const parents = state.parents.map(parent => {
      const compiled = read.ask(compiledRoute, `${parent.side} ${key}`)
      const unresolved = compiled?.unresolved ?? []
      findings.push(
        ...(parent.accepted.ok ? [] : [parent.accepted]),
        ...unresolved,
        ...(compiled?.unsupported ?? []),
      )
      const conditions: Condition[] = [
        condition('Accepted', parent.accepted, generation),
        condition('ResolvedRefs', resolvedRefs(unresolved), generation),
      ]
      if (parent.accepted.ok && compiled && compiled.dropped.length > 0)
        conditions.push(condition('PartiallyInvalid', dropped(compiled), generation))
      return { parentRef: parentInStatus(parent), controllerName: CONTROLLER_NAME, conditions }
    })
    return { body: { parents }, findings }
  },
}

function dropped({
  dropped: rules,
  unsupported,
}: {
  dropped: readonly number[]
  unsupported: readonly Verdict[]
}): Verdict {
  const names = rules.map(index => `spec.rules[${index}]`).join(', ')
  const reasons = [...new Set(unsupported.map(({ message }) => message))].join('; ')
  // The specification asks for how the message begins.
  return { ok: true, reason: 'UnsupportedValue', message: `Dropped Rule ${names}: ${reasons}` }
}

/** The parent as the route names it: its entry in the status is found by that. */
function parentInStatus({ ref }: ParentState): ParentInStatus {
  const { group, kind, namespace, name, sectionName, port } = ref
  return {
    group,
    kind,
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(sectionName === undefined ? {} : { sectionName }),
    ...(port === undefined ? {} : { port }),
  }
}
