import type { Kind } from '../kinds.ts'
import { formatPath } from './field-path.ts'

/** A pattern over field paths: `*` stands for one step, a list index or a map key. */
type Pattern = readonly string[]

const path = (text: string): Pattern => text.split('.')

/**
 * Fields that belong to the API and that nothing translates yet. A resource that uses one is refused: the
 * alternative, taking it and ignoring the field, would let people believe in something that does not happen.
 */
const UNSUPPORTED: Partial<Record<Kind, readonly Pattern[]>> = {
  VirtualService: [
    path('http.*.delegate'),
    path('tls'),
    path('tcp.*.match.*.destinationSubnets'),
    path('tcp.*.match.*.sourceSubnet'),
    path('http.*.retries.retryRemoteLocalities'),
  ],
  DestinationRule: [
    path('workloadSelector'),
    ...['trafficPolicy', 'subsets.*.trafficPolicy'].flatMap(policy => [
      path(`${policy}.tunnel`),
      path(`${policy}.proxyProtocol`),
      path(`${policy}.retryBudget`),
      path(`${policy}.loadBalancer.localityLbSetting`),
      path(`${policy}.portLevelSettings.*.loadBalancer.localityLbSetting`),
      path(`${policy}.tls.credentialName`),
      path(`${policy}.portLevelSettings.*.tls.credentialName`),
    ]),
  ],
  ServiceEntry: [path('endpoints.*.network'), path('endpoints.*.locality')],
  WorkloadEntry: [path('network'), path('locality')],
  AuthorizationPolicy: [
    path('targetRef'),
    path('targetRefs'),
    path('provider'),
    path('rules.*.from.*.source.requestPrincipals'),
    path('rules.*.from.*.source.notRequestPrincipals'),
  ],
}

const CONDITION =
  /^(source\.(ip|namespace|principal)|remote\.ip|destination\.(ip|port)|connection\.sni|request\.headers\[[^\]]+\])$/

/** What a valid body uses that is not supported yet, as field paths below `spec`, each with a message. */
export function unsupportedFields(
  kind: Kind,
  spec: unknown,
): { path: readonly PropertyKey[]; message: string }[] {
  const found = (UNSUPPORTED[kind] ?? []).flatMap(pattern => occurrences(spec, pattern, []))
  const fields = found.map(at => ({
    path: at,
    message: `${formatPath(at.filter(step => typeof step !== 'number').slice(-1))} is not supported yet`,
  }))
  return [...fields, ...unsupportedValues(kind, spec)]
}

function occurrences(
  value: unknown,
  [step, ...rest]: Pattern,
  at: readonly PropertyKey[],
): (readonly PropertyKey[])[] {
  if (step === undefined) return [at]
  if (typeof value !== 'object' || value === null) return []
  if (step !== '*')
    return step in value ? occurrences((value as Record<string, unknown>)[step], rest, [...at, step]) : []
  const entries = Array.isArray(value) ? [...value.entries()] : Object.entries(value)
  return entries.flatMap(([key, inner]) => occurrences(inner, rest, [...at, key]))
}

interface Rules {
  readonly action?: string
  readonly rules?: readonly { readonly when?: readonly { readonly key: string }[] }[]
  readonly gateways?: readonly string[]
  readonly resolution?: string
}

function unsupportedValues(kind: Kind, spec: unknown): { path: readonly PropertyKey[]; message: string }[] {
  const { action, rules, gateways, resolution } = spec as Rules
  if (kind === 'VirtualService' && gateways?.some(gateway => gateway !== 'mesh')) {
    return [{ path: ['gateways'], message: 'gateways other than "mesh" are not supported yet' }]
  }
  if (kind === 'ServiceEntry' && resolution === 'DYNAMIC_DNS')
    return [{ path: ['resolution'], message: 'DYNAMIC_DNS is not supported yet' }]
  if (kind !== 'AuthorizationPolicy') return []
  const found: { path: readonly PropertyKey[]; message: string }[] = []
  if (action === 'CUSTOM' || action === 'AUDIT')
    found.push({ path: ['action'], message: `action ${action} is not supported yet` })
  for (const [index, rule] of (rules ?? []).entries()) {
    for (const [at, { key }] of (rule.when ?? []).entries()) {
      if (!CONDITION.test(key))
        found.push({
          path: ['rules', index, 'when', at, 'key'],
          message: `the condition ${key} is not supported yet`,
        })
    }
  }
  return found
}
