import { formatPath, keyOf, type MeshResource, refOf } from '@seine/api'
import type { Position, Problem, ResourceRef, Severity } from '@seine/kit'
import { type Arguments, type Code, codes, type Level, messageOf } from './codes.ts'

/** Something that is probably wrong. */
export interface Finding {
  readonly code: string
  readonly level: Level
  readonly resource: ResourceRef
  readonly message: string
  /** The field, as `spec.http[0].route[1].destination.host`; empty for the whole object. */
  readonly path: string
  readonly position?: Position
}

/** A field of an object, from its root: `['spec', 'http', 0]`. */
export type Path = readonly (string | number)[]

/** Takes what an analyzer finds. */
export type Report = <C extends Code>(
  resource: MeshResource,
  code: C,
  path: Path,
  values: Arguments<C>,
) => void

/** A finding about a field of a resource. */
export function finding<C extends Code>(
  resource: MeshResource,
  code: C,
  path: Path,
  values: Arguments<C>,
): Finding {
  const field = formatPath(path)
  return {
    code,
    level: codes[code].level,
    resource: refOf(resource),
    message: messageOf(code, values),
    path: field,
    ...(resource.origin ? { position: resource.origin.locate(field) } : {}),
  }
}

const LEVELS: Readonly<Record<Severity, Level>> = { error: 'Error', warning: 'Warning', info: 'Info' }
const SEVERITIES: Readonly<Record<Level, Severity>> = { Error: 'error', Warning: 'warning', Info: 'info' }

/** What validation found, as a finding; undefined for what is no matter of one object or of Istio's codes. */
export function findingOf({
  code,
  severity,
  message,
  resource,
  path,
  position,
}: Problem): Finding | undefined {
  if (!resource || !(code in codes)) return undefined
  return {
    code,
    level: LEVELS[severity],
    resource,
    message,
    path: path ?? '',
    ...(position ? { position } : {}),
  }
}

/** A finding as a problem of the mesh. */
export function problemOf({ code, level, resource, message, path, position }: Finding): Problem {
  return {
    severity: SEVERITIES[level],
    code,
    message,
    resource,
    ...(path === '' ? {} : { path }),
    ...(position ? { position } : {}),
  }
}

/** What makes two findings the same. */
function sameness({ code, resource, path, message }: Finding): string {
  return [code, keyOf(resource), path, message].join('\n')
}

const RANK: Readonly<Record<Level, number>> = { Error: 0, Warning: 1, Info: 2 }

/** Each finding once, the worst first, then by object and field. */
export function inOrder(findings: readonly Finding[]): Finding[] {
  const each = new Map<string, Finding>()
  for (const one of findings) if (!each.has(sameness(one))) each.set(sameness(one), one)
  const sortKey = (one: Finding) => [keyOf(one.resource), one.path, one.code].join('\n')
  return [...each.values()].sort(
    (a, b) => RANK[a.level] - RANK[b.level] || (sortKey(a) < sortKey(b) ? -1 : 1),
  )
}
