import { isDnsLabel } from './fields/names.ts'
import type { ObjectMeta } from './resource.ts'

/** A field below an object's `spec`, step by step. */
export type FieldPath = readonly (string | number)[]

/** Takes what a kind's rules find in an object whose fields are each valid by themselves. */
export interface Findings {
  /** Something that keeps the object out of the mesh. */
  error(path: FieldPath, message: string): void
  /** Something a person should know; the object is taken. */
  warn(path: FieldPath, message: string): void
}

/** Which object it is whose `spec` is looked at. */
export interface About extends ObjectMeta {
  readonly apiVersion: string
}

/**
 * What a schema can't say of a kind: what depends on the object's name and namespace or on several fields at
 * once, and all that is only a warning.
 */
export type Rules<Spec> = (spec: Spec, findings: Findings, about: About) => void

/** What tells `checkExportTo` the kinds apart. */
export interface ExportToOptions {
  /** `~`, for no one, is for ServiceEntries. */
  readonly allowNone?: boolean
  /** A rule for selected workloads is for its own namespace only. */
  readonly ownNamespaceOnly?: boolean
}

/** The rules of `exportTo`, which Istio has for every kind that can be exported. */
export function checkExportTo(
  exportTo: readonly string[] | undefined,
  namespace: string,
  findings: Findings,
  { allowNone = false, ownNamespaceOnly = false }: ExportToOptions = {},
): void {
  const seen = new Set<string>()
  for (const [index, entry] of (exportTo ?? []).entries()) {
    const at = ['exportTo', index]
    const scope = entry === '.' ? namespace : entry
    if (seen.has(scope)) findings.error(at, `${entry} is there twice`)
    seen.add(scope)
    if (entry === '~' && !allowNone) findings.error(at, '"~" is for ServiceEntries only')
    else if (!['*', '.', '~'].includes(entry) && !isDnsLabel(entry))
      findings.error(at, 'must be ".", "*" or a namespace')
    if (ownNamespaceOnly && scope !== namespace)
      findings.error(at, 'a rule with a workloadSelector applies in its own namespace only: write "."')
  }
  for (const alone of ['*', '~'])
    if (seen.has(alone) && seen.size > 1)
      findings.error(['exportTo'], `"${alone}" is for all the others too: leave them out`)
}

/** Warns of a selector that is there and selects everything. */
export function warnEmptySelector(
  labels: Readonly<Record<string, string>> | undefined,
  path: FieldPath,
  findings: Findings,
): void {
  if (Object.keys(labels ?? {}).length === 0)
    findings.warn(path, 'the selector has no labels: it holds for every workload of the namespace')
}
