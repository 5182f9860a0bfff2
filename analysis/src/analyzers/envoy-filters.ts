import { type EnvoyConfigPatch, type EnvoyFilter, hasEffect } from '@seine/api'
import type { Analyzer } from '../analyzer.ts'
import type { Path, Report } from '../finding.ts'

/** The codes of operations that are ignored. Insertions have none: the object is refused. */
const IGNORED: Readonly<Record<string, 'IST0152' | 'IST0153' | 'IST0154'>> = {
  REPLACE: 'IST0152',
  ADD: 'IST0153',
  REMOVE: 'IST0154',
}
/** Operations that refer to what is there before. */
const RELATIVE: ReadonlySet<string> = new Set(['REMOVE', 'REPLACE', 'INSERT_BEFORE', 'INSERT_AFTER'])

/** Patches that are ignored (IST0152–IST0154), and patches whose order matters and is not set (IST0151, IST0155). */
export const envoyFilterOperations: Analyzer = {
  name: 'envoy-filter-operations',
  inputs: ['EnvoyFilter'],
  analyze(context, report) {
    /** Names of filters that earlier patches change for some version of the proxy only. */
    const versioned = new Set<string>()
    for (const filter of context.all('EnvoyFilter'))
      for (const [index, patch] of (filter.spec.configPatches ?? []).entries()) {
        checkPatch(filter, patch, ['spec', 'configPatches', index], versioned, report)
        if (patch.match?.proxy?.proxyVersion) versioned.add(filterName(patch))
      }
  },
}

function checkPatch(
  filter: EnvoyFilter,
  patch: EnvoyConfigPatch,
  path: Path,
  versioned: ReadonlySet<string>,
  report: Report,
): void {
  const { applyTo } = patch
  const { operation } = patch.patch
  const at = [...path, 'patch', 'operation']
  const ignored = hasEffect(patch) ? undefined : IGNORED[operation]
  if (ignored) report(filter, ignored, at, { applyTo })
  if (ignored || !RELATIVE.has(operation) || filter.spec.priority) return
  const name = filterName(patch)
  if (versioned.has(name)) report(filter, 'IST0155', at, { operation, filter: name || applyTo })
  else report(filter, 'IST0151', at, { operation })
}

/** What a patch is about: the filter it brings, else the one it looks for. */
function filterName({ patch, match }: EnvoyConfigPatch): string {
  const own = patch.value?.['name']
  if (typeof own === 'string') return own
  return patch.value ? (match?.listener?.filterChain?.filter?.name ?? '') : ''
}
