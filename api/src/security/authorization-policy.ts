import { z } from 'zod'
import { addressRangeField, portField, workloadSelectorField } from '../fields.ts'
import { canonicalCidr, canonicalIp } from '../ip.ts'
import type { Resource } from '../resource.ts'

const strings = z.array(z.string().min(1)).min(1, 'must not be empty: leave the field out instead').optional()
const isPort = (text: string) => /^\d+$/.test(text) && portField.safeParse(Number(text)).success
const ports = z.array(z.string().refine(isPort, 'a port is 1 to 65535')).min(1).optional()
const blocks = z.array(addressRangeField).min(1, 'must not be empty: leave the field out instead').optional()

const source = z.strictObject({
  principals: strings.describe('SPIFFE IDs without `spiffe://`'),
  notPrincipals: strings.describe('Everybody but these'),
  requestPrincipals: strings.describe('Identities of end users'),
  notRequestPrincipals: strings.describe('Everybody but these'),
  namespaces: strings.describe('Namespaces of callers'),
  notNamespaces: strings.describe('All but these'),
  serviceAccounts: strings.describe(
    "Accounts, as `<name>` in the policy's namespace or `<namespace>/<name>`",
  ),
  notServiceAccounts: strings.describe('All but these'),
  ipBlocks: blocks.describe('Addresses the connection comes from'),
  notIpBlocks: blocks.describe('All but these'),
  remoteIpBlocks: blocks.describe('Addresses the request comes from, as `X-Forwarded-For` has it'),
  notRemoteIpBlocks: blocks.describe('All but these'),
})

const operation = z.strictObject({
  hosts: strings.describe('Hosts that the request names, without regard to case'),
  notHosts: strings.describe('All but these'),
  ports: ports.describe("The workload's ports"),
  notPorts: ports.describe('All but these'),
  methods: strings.describe('HTTP methods'),
  notMethods: strings.describe('All but these'),
  paths: strings.describe('Paths without their query; `{*}` is one segment, `{**}` any number'),
  notPaths: strings.describe('All but these'),
})

const condition = z
  .strictObject({
    key: z
      .string()
      .min(1)
      .describe(
        '`source.ip`, `source.namespace`, `source.principal`, `remote.ip`, `destination.ip`, `destination.port`, `connection.sni` or `request.headers[<name>]`',
      ),
    values: strings.describe('Any of these'),
    notValues: strings.describe('None of these'),
  })
  .superRefine((value, context) => {
    if (!value.values && !value.notValues)
      context.addIssue({ code: 'custom', path: [], message: 'one of values, notValues must be set' })
    const [isValid, message] = valueCheck(value.key)
    for (const field of ['values', 'notValues'] as const) {
      for (const [index, one] of (value[field] ?? []).entries())
        if (!isValid(one)) context.addIssue({ code: 'custom', path: [field, index], message })
    }
  })

/** What the values of a condition must be, by its key. */
function valueCheck(key: string): [isValid: (value: string) => boolean, message: string] {
  if (/^(source|remote|destination)\.ip$/.test(key)) {
    const isRange = (value: string) => (canonicalIp(value) ?? canonicalCidr(value)) !== undefined
    return [isRange, 'must be an IP address or a range such as 10.0.0.0/8']
  }
  if (key === 'destination.port') return [isPort, 'a port is 1 to 65535']
  return [() => true, '']
}

const rule = z.strictObject({
  from: z
    .array(z.strictObject({ source }))
    .min(1)
    .optional()
    .describe('Who: any of these; without it, everybody'),
  to: z
    .array(z.strictObject({ operation }))
    .min(1)
    .optional()
    .describe('What: any of these; without it, everything'),
  when: z.array(condition).optional().describe('And all of these conditions'),
})

/** Istio `AuthorizationPolicy`: who may do what at a workload. */
export const authorizationPolicySpec = z
  .strictObject({
    selector: workloadSelectorField
      .optional()
      .describe(
        'Workloads it holds for; without it, all of its namespace, or of the mesh in the root namespace',
      ),
    targetRef: z
      .looseObject({ kind: z.string(), name: z.string() })
      .optional()
      .describe('A Gateway or Service it holds for'),
    targetRefs: z
      .array(z.looseObject({ kind: z.string(), name: z.string() }))
      .optional()
      .describe('Several of these'),
    rules: z.array(rule).optional().describe('It matches when one of these does; without any, never'),
    action: z.enum(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM']).optional().describe('`ALLOW` unless it is said'),
    provider: z.strictObject({ name: z.string() }).optional().describe('Who decides, with action `CUSTOM`'),
  })
  .superRefine((spec, context) => {
    if (spec.action === 'CUSTOM' && !spec.provider)
      context.addIssue({ code: 'custom', path: ['provider'], message: 'action CUSTOM needs a provider' })
    if (spec.provider && spec.action !== 'CUSTOM')
      context.addIssue({
        code: 'custom',
        path: ['provider'],
        message: 'a provider goes with action CUSTOM only',
      })
    if (spec.action === 'DENY' && spec.rules === undefined) {
      context.addIssue({
        code: 'custom',
        path: ['rules'],
        message: 'a DENY policy without rules denies nothing: write rules, or rules: [{}] to deny everything',
      })
    }
  })

export type AuthorizationPolicySpec = z.infer<typeof authorizationPolicySpec>
export type AuthorizationPolicy = Resource<'AuthorizationPolicy', AuthorizationPolicySpec>
export type AuthorizationRule = z.infer<typeof rule>
export type AuthorizationSource = z.infer<typeof source>
export type AuthorizationOperation = z.infer<typeof operation>
export type AuthorizationCondition = z.infer<typeof condition>
