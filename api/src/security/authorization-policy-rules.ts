import { isCidr, isIpAddress } from '../ip.ts'
import { type FieldPath, type Findings, type Rules, warnEmptySelector } from '../rules.ts'
import {
  type AuthorizationCondition,
  type AuthorizationPolicySpec,
  type AuthorizationRule,
  type AuthorizationSource,
  isPort,
  serviceAccountProblem,
  wildcardProblem,
} from './authorization-policy.ts'

/** What Istio's validation requires of an AuthorizationPolicy, beyond its fields. */
export const authorizationPolicyRules: Rules<AuthorizationPolicySpec> = (spec, findings, { annotations }) => {
  if (spec.selector) warnEmptySelector(spec.selector.matchLabels, ['selector'], findings)
  const dryRun = annotations['istio.io/dry-run']
  if (dryRun !== undefined && !/^(true|false|t|f|1|0)$/i.test(dryRun))
    findings.error([], `the annotation istio.io/dry-run must be "true" or "false", and is "${dryRun}"`)
  if (dryRun !== undefined && (spec.action === 'CUSTOM' || spec.action === 'AUDIT'))
    findings.error(
      ['action'],
      `the annotation istio.io/dry-run is for ALLOW and DENY, and the action is ${spec.action}`,
    )
  checkAction(spec, findings)
  for (const [index, rule] of (spec.rules ?? []).entries()) {
    const path = ['rules', index]
    for (const [at, condition] of (rule.when ?? []).entries())
      checkCondition(condition, [...path, 'when', at], findings)
    if (spec.action === 'CUSTOM') checkCustom(rule, path, findings)
    if (spec.action === 'DENY') warnDeniesTcp(rule, path, findings)
  }
}

function checkAction(spec: AuthorizationPolicySpec, findings: Findings): void {
  if (spec.action === 'CUSTOM' && !spec.provider?.name)
    findings.error(['provider', 'name'], 'action CUSTOM needs a provider')
  if (spec.provider && spec.action !== 'CUSTOM')
    findings.error(['provider'], 'a provider goes with action CUSTOM only')
  if ((spec.action === 'DENY' || spec.action === 'CUSTOM') && spec.rules === undefined)
    findings.error(
      ['rules'],
      `a ${spec.action} policy without rules never applies: write rules, or rules: [{}] for every request`,
    )
}

type ValueCheck = (value: string) => string | undefined
const anything: ValueCheck = () => undefined
const address: ValueCheck = value =>
  isIpAddress(value) || isCidr(value) ? undefined : 'must be an IP address or a range such as 10.0.0.0/8'
const port: ValueCheck = value => (isPort(value) ? undefined : 'must be a port number')

/** What a condition's values are checked by. */
const ATTRIBUTES: Readonly<Record<string, ValueCheck>> = {
  'source.ip': address,
  'remote.ip': address,
  'source.namespace': anything,
  'source.serviceAccount': serviceAccountProblem,
  'source.principal': anything,
  'source.trustDomain': wildcardProblem,
  'request.auth.principal': anything,
  'request.auth.audiences': anything,
  'request.auth.presenter': anything,
  'destination.ip': address,
  'destination.port': port,
  'connection.sni': anything,
}

/** Attributes of Istio's first API, and what to use now. */
const REPLACED: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/^destination\.namespace$/, 'write the policy into that namespace'],
  [/^destination\.labels/, 'use the selector'],
  [/^destination\.(name|user)$/, 'use the selector'],
]

function checkCondition(condition: AuthorizationCondition, path: FieldPath, findings: Findings): void {
  const { key } = condition
  const keyed = /^(request\.headers|request\.auth\.claims|experimental\.envoy\.filters\.)(.*)$/.exec(key)
  if (keyed) {
    if (!/^[^[]*\[.+\]$/.test(keyed[2] ?? ''))
      findings.error([...path, 'key'], `needs a name in brackets, such as ${keyed[1]}[name]`)
    return
  }
  const check = ATTRIBUTES[key]
  if (!check) {
    const instead = REPLACED.find(([pattern]) => pattern.test(key))?.[1]
    findings.error([...path, 'key'], `there is no attribute ${key}${instead ? ` any more: ${instead}` : ''}`)
    return
  }
  for (const field of ['values', 'notValues'] as const) {
    for (const [index, value] of (condition[field] ?? []).entries()) {
      const message = check(value)
      if (message) findings.error([...path, field, index], message)
    }
  }
}

/** What Istio can't decide before the external authorizer is asked. */
const NOT_CUSTOM = [
  'namespaces',
  'notNamespaces',
  'serviceAccounts',
  'notServiceAccounts',
  'trustDomains',
  'notTrustDomains',
  'principals',
  'notPrincipals',
  'requestPrincipals',
  'notRequestPrincipals',
] as const satisfies readonly (keyof AuthorizationSource)[]

function checkCustom(rule: AuthorizationRule, path: FieldPath, findings: Findings): void {
  for (const [index, { source }] of (rule.from ?? []).entries())
    for (const field of NOT_CUSTOM)
      if (source[field])
        findings.error([...path, 'from', index, 'source', field], 'does not go with action CUSTOM')
  for (const [index, { key }] of (rule.when ?? []).entries())
    if (/^source\.(namespace|serviceAccount|trustDomain|principal)$|^request\.auth\./.test(key))
      findings.error([...path, 'when', index, 'key'], `${key} does not go with action CUSTOM`)
}

/** At a TCP port nothing is known of requests, so a DENY rule that asks for them denies everything. */
function warnDeniesTcp(rule: AuthorizationRule, path: FieldPath, findings: Findings): void {
  const knownOfTcp = (rule.from ?? []).some(({ source }) =>
    Object.entries(source).some(([field, value]) => value && !/requestPrincipals/i.test(field)),
  )
  const namesPorts = (rule.to ?? []).some(({ operation }) => operation.ports ?? operation.notPorts)
  const denies = rule.to ? !namesPorts : rule.from !== undefined && !knownOfTcp
  if (denies)
    findings.warn(
      path,
      'denies everything at TCP ports, where requests are not known: name the ports it is for',
    )
}
