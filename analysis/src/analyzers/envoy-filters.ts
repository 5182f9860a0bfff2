import type { EnvoyConfigPatch, EnvoyFilter } from '@seine/api'
import type { Analyzer } from '../analyzer.ts'
import type { Path, Report } from '../finding.ts'

const CAN_REPLACE: ReadonlySet<string> = new Set(['NETWORK_FILTER', 'HTTP_FILTER', 'VIRTUAL_HOST'])
const CANT_ADD_OR_REMOVE: ReadonlySet<string> = new Set(['ROUTE_CONFIGURATION', 'HTTP_ROUTE'])
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
  const ignored = ignoredBy(operation, applyTo)
  if (ignored) report(filter, ignored, at, { applyTo })
  if (ignored || !RELATIVE.has(operation) || filter.spec.priority) return
  const name = filterName(patch)
  if (versioned.has(name)) report(filter, 'IST0155', at, { operation, filter: name || applyTo })
  else report(filter, 'IST0151', at, { operation })
}

function ignoredBy(operation: string, applyTo: string): 'IST0152' | 'IST0153' | 'IST0154' | undefined {
  if (operation === 'ADD' && CANT_ADD_OR_REMOVE.has(applyTo)) return 'IST0153'
  if (operation === 'REMOVE' && CANT_ADD_OR_REMOVE.has(applyTo)) return 'IST0154'
  return operation === 'REPLACE' && !CAN_REPLACE.has(applyTo) ? 'IST0152' : undefined
}

/** What a patch is about: the filter it brings, else the one it looks for. */
function filterName({ patch, match }: EnvoyConfigPatch): string {
  const own = patch.value?.['name']
  if (typeof own === 'string') return own
  return patch.value ? (match?.listener?.filterChain?.filter?.name ?? '') : ''
}
