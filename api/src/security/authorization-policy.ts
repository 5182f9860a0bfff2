import { z } from 'zod'
import { attachmentFields, checkAttachment } from '../fields/selectors.ts'
import { addressRangeField, portField } from '../fields.ts'
import type { Resource } from '../resource.ts'

const texts = z
  .array(z.string().min(1, 'must not be empty'))
  .min(1, 'must not be empty: leave the field out instead')
const strings = texts.optional()

/** Whether a text is a port's number. */
export const isPort = (text: string) => /^\d+$/.test(text) && portField.safeParse(Number(text)).success

const ports = z.array(z.string().refine(isPort, 'a port is 1 to 65535')).min(1).optional()
const blocks = z.array(addressRangeField).min(1, 'must not be empty: leave the field out instead').optional()

/** What is wrong with a pattern that is a text with `*` at most at its start or its end. */
export function wildcardProblem(text: string): string | undefined {
  return /^\*?[^*]*$|^[^*]*\*?$/.test(text) ? undefined : 'a wildcard is "*" at the start or at the end'
}

const trustDomains = texts
  .superRefine((all, context) => {
    for (const [index, text] of all.entries()) {
      const message = text.includes('/') ? 'a trust domain has no "/"' : wildcardProblem(text)
      if (message) context.addIssue({ code: 'custom', path: [index], message })
    }
  })
  .optional()

/** What is wrong with `account` or `namespace/account`; undefined when nothing is. */
export function serviceAccountProblem(text: string): string | undefined {
  if (text.includes('*')) return 'takes no wildcards'
  const parts = text.split('/')
  return parts.length <= 2 && parts.every(part => part !== '')
    ? undefined
    : 'must be a service account, or its namespace, "/" and its name'
}

const serviceAccounts = texts
  .max(16, 'at most 16 service accounts')
  .superRefine((all, context) => {
    for (const [index, text] of all.entries()) {
      const message = text.length > 320 ? 'has more than 320 characters' : serviceAccountProblem(text)
      if (message) context.addIssue({ code: 'custom', path: [index], message })
    }
  })
  .optional()

const source = z
  .strictObject({
    principals: strings.describe('SPIFFE IDs without `spiffe://`'),
    notPrincipals: strings.describe('Everybody but these'),
    requestPrincipals: strings.describe('Identities of end users'),
    notRequestPrincipals: strings.describe('Everybody but these'),
    namespaces: strings.describe('Namespaces of callers'),
    notNamespaces: strings.describe('All but these'),
    serviceAccounts: serviceAccounts.describe(
      "Accounts, as `<name>` in the policy's namespace or `<namespace>/<name>`",
    ),
    notServiceAccounts: serviceAccounts.describe('All but these'),
    trustDomains: trustDomains.describe('Trust domains of callers; `*` may stand at the start or at the end'),
    notTrustDomains: trustDomains.describe('All but these'),
    ipBlocks: blocks.describe('Addresses the connection comes from'),
    notIpBlocks: blocks.describe('All but these'),
    remoteIpBlocks: blocks.describe('Addresses the request comes from, as `X-Forwarded-For` has it'),
    notRemoteIpBlocks: blocks.describe('All but these'),
  })
  .refine(isNotEmpty, 'is empty: say who, or leave from out')
  .superRefine((from, context) => {
    const accounts = (['serviceAccounts', 'notServiceAccounts'] as const).find(field => from[field])
    const others = ['principals', 'notPrincipals', 'namespaces', 'notNamespaces'] as const
    if (accounts && others.some(field => from[field]))
      context.addIssue({
        code: 'custom',
        path: [accounts],
        message: 'says the principal and the namespace already: leave those out',
      })
  })

function isNotEmpty(value: object): boolean {
  return Object.values(value).some(field => field !== undefined)
}

const PATH_LITERAL = /^[a-zA-Z0-9\-._~%!$&'()+,;:@=]+$/

/** What is wrong with a path that may hold `{*}` for one part and `{**}` for all the rest; undefined when nothing is. */
function pathProblem(path: string): string | undefined {
  const parts = path.replace(/^\/+|\/+$/g, '').split('/')
  const isTemplate = /\{\*\*?\}/.test(path)
  for (const [index, part] of parts.entries()) {
    if (part === '{**}' && parts.slice(index + 1).some(later => /^\{\*\*?\}$/.test(later)))
      return '"{**}" must be the last of the placeholders'
    if (part === '{*}' || part === '{**}') continue
    if (/[{}]/.test(part))
      return 'only "{*}" and "{**}" may stand in braces, each for a whole part of the path'
    if (isTemplate && !PATH_LITERAL.test(part)) return `"${part}" can't stand beside a placeholder`
  }
  return undefined
}

const paths = texts
  .superRefine((all, context) => {
    for (const [index, path] of all.entries()) {
      const message = pathProblem(path)
      if (message) context.addIssue({ code: 'custom', path: [index], message })
    }
  })
  .optional()

const operation = z
  .strictObject({
    hosts: strings.describe('Hosts that the request names, without regard to case'),
    notHosts: strings.describe('All but these'),
    ports: ports.describe("The workload's ports"),
    notPorts: ports.describe('All but these'),
    methods: strings.describe('HTTP methods'),
    notMethods: strings.describe('All but these'),
    paths: paths.describe('Paths without their query; `{*}` is one segment, `{**}` any number'),
    notPaths: paths.describe('All but these'),
  })
  .refine(isNotEmpty, 'is empty: say what, or leave to out')

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
  })

const rule = z.strictObject({
  from: z
    .array(z.strictObject({ source }))
    .min(1, 'must not be empty: leave the field out instead')
    .max(512)
    .optional()
    .describe('Who: any of these; without it, everybody'),
  to: z
    .array(z.strictObject({ operation }))
    .min(1, 'must not be empty: leave the field out instead')
    .optional()
    .describe('What: any of these; without it, everything'),
  when: z.array(condition).optional().describe('And all of these conditions'),
})

/** Istio `AuthorizationPolicy`: who may do what at a workload. */
export const authorizationPolicySpec = z
  .strictObject({
    ...attachmentFields,
    rules: z
      .array(rule)
      .max(512)
      .optional()
      .describe('It matches when one of these does; without any, never'),
    action: z.enum(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM']).optional().describe('`ALLOW` unless it is said'),
    provider: z
      .strictObject({ name: z.string().optional().describe('Its name in the mesh configuration') })
      .optional()
      .describe('Who decides, with action `CUSTOM`'),
  })
  .superRefine(checkAttachment)

export type AuthorizationPolicySpec = z.infer<typeof authorizationPolicySpec>
export type AuthorizationPolicy = Resource<'AuthorizationPolicy', AuthorizationPolicySpec>
export type AuthorizationRule = z.infer<typeof rule>
export type AuthorizationSource = z.infer<typeof source>
export type AuthorizationOperation = z.infer<typeof operation>
export type AuthorizationCondition = z.infer<typeof condition>
