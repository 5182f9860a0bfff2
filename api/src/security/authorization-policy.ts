import { z } from 'zod'
import { addressRangeField, portField, workloadSelectorField } from '../fields.ts'
import { canonicalCidr, canonicalIp } from '../ip.ts'
import type { Resource } from '../resource.ts'

const strings = z.array(z.string().min(1)).min(1, 'must not be empty: leave the field out instead').optional()
const isPort = (text: string) => /^\d+$/.test(text) && portField.safeParse(Number(text)).success
const ports = z.array(z.string().refine(isPort, 'a port is 1 to 65535')).min(1).optional()
const blocks = z.array(addressRangeField).min(1, 'must not be empty: leave the field out instead').optional()

const source = z.strictObject({
  principals: strings,
  notPrincipals: strings,
  requestPrincipals: strings,
  notRequestPrincipals: strings,
  namespaces: strings,
  notNamespaces: strings,
  serviceAccounts: strings,
  notServiceAccounts: strings,
  ipBlocks: blocks,
  notIpBlocks: blocks,
  remoteIpBlocks: blocks,
  notRemoteIpBlocks: blocks,
})

const operation = z.strictObject({
  hosts: strings,
  notHosts: strings,
  ports,
  notPorts: ports,
  methods: strings,
  notMethods: strings,
  paths: strings,
  notPaths: strings,
})

const condition = z
  .strictObject({ key: z.string().min(1), values: strings, notValues: strings })
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
  from: z.array(z.strictObject({ source })).min(1).optional(),
  to: z.array(z.strictObject({ operation })).min(1).optional(),
  when: z.array(condition).optional(),
})

/** Istio `AuthorizationPolicy`: who may do what at a workload. */
export const authorizationPolicySpec = z
  .strictObject({
    selector: workloadSelectorField.optional(),
    targetRef: z.looseObject({ kind: z.string(), name: z.string() }).optional(),
    targetRefs: z.array(z.looseObject({ kind: z.string(), name: z.string() })).optional(),
    rules: z.array(rule).optional(),
    action: z.enum(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM']).optional(),
    provider: z.strictObject({ name: z.string() }).optional(),
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
