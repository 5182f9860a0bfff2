import { z } from 'zod'
import { durationMs, regexProblem } from '../fields.ts'
import type { Resource } from '../resource.ts'
import {
  gatewayDurationField,
  gatewayPortField,
  groupField,
  kindField,
  namespaceField,
  objectNameField,
  preciseHostField,
  sectionNameField,
  tokenField,
  unique,
} from './common.ts'
import {
  checkFilterType,
  commonFilters,
  filteredBackendRef,
  headerMatchesField,
  MOST_MATCHES,
  onceOf,
  routeFields,
  routeHostnamesField,
  sessionPersistenceField,
} from './route-fields.ts'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'] as const

/** What is wrong with a path that is compared as it is; undefined when nothing is. */
function pathProblem(path: string): string | undefined {
  if (!path.startsWith('/')) return 'must begin with "/"'
  const wrong = ['//', '/./', '/../', '%2f', '%2F', '#'].find(part => path.includes(part))
  if (wrong) return `must not hold "${wrong}"`
  const end = ['/..', '/.'].find(part => path.endsWith(part))
  if (end) return `must not end with "${end}"`
  return /^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+$/.test(path)
    ? undefined
    : 'holds characters that are not allowed in a path'
}

const pathMatch = z
  .strictObject({
    type: z.enum(['Exact', 'PathPrefix', 'RegularExpression']).default('PathPrefix'),
    value: z.string().max(1024).default('/'),
  })
  .superRefine(({ type, value }, context) => {
    const message = type === 'RegularExpression' ? regexProblem(value) : pathProblem(value)
    if (message) context.addIssue({ code: 'custom', path: ['value'], message })
  })

const queryParams = z
  .array(
    z.strictObject({
      type: z.enum(['Exact', 'RegularExpression']).default('Exact'),
      name: tokenField,
      value: z.string().min(1, 'is needed').max(1024),
    }),
  )
  .max(16)
  .superRefine(
    unique(
      ({ name }) => name,
      ({ name }) => `the parameter ${name} is there twice`,
      ['name'],
    ),
  )

const httpMatch = z
  .strictObject({
    path: pathMatch.prefault({}),
    headers: headerMatchesField,
    queryParams: queryParams.optional(),
    method: z.enum(METHODS).optional(),
  })
  .superRefine((match, context) => {
    for (const field of ['headers', 'queryParams'] as const) {
      for (const [index, { type, value }] of (match[field] ?? []).entries()) {
        const message = type === 'RegularExpression' ? regexProblem(value) : undefined
        if (message) context.addIssue({ code: 'custom', path: [field, index, 'value'], message })
      }
    }
  })

const pathModifier = z
  .strictObject({
    type: z.enum(['ReplaceFullPath', 'ReplacePrefixMatch']),
    replaceFullPath: z.string().max(1024).optional(),
    replacePrefixMatch: z.string().max(1024).optional(),
  })
  .superRefine((modifier, context) => {
    for (const [type, field] of [
      ['ReplaceFullPath', 'replaceFullPath'],
      ['ReplacePrefixMatch', 'replacePrefixMatch'],
    ] as const) {
      if (modifier.type === type && modifier[field] === undefined)
        context.addIssue({ code: 'custom', path: [field], message: `is needed for type ${type}` })
      if (modifier.type !== type && modifier[field] !== undefined)
        context.addIssue({ code: 'custom', path: [field], message: `goes with type ${type}` })
    }
  })

const requestRedirect = z.strictObject({
  scheme: z.enum(['http', 'https']).optional(),
  hostname: preciseHostField.optional(),
  path: pathModifier.optional(),
  port: gatewayPortField.optional(),
  statusCode: z.literal([301, 302, 303, 307, 308]).default(302),
})

function aloneOrListed<Item extends z.ZodType<string>>(item: Item, max: number) {
  return z
    .array(item)
    .max(max)
    .superRefine(
      unique(
        text => text as string,
        text => `${text} is there twice`,
      ),
    )
    .refine(all => all.length < 2 || !all.some(text => text === '*'), '"*" is for all the others too')
}

const cors = z.strictObject({
  allowOrigins: aloneOrListed(
    z
      .string()
      .max(253)
      .regex(
        /^\*$|^https?:\/\/((\*\.)?([a-zA-Z0-9-]+\.)*[a-zA-Z0-9-]+|\*)(:[0-9]{1,5})?$/,
        'must be "*", or http:// or https://, a host, and a port if it is not the usual one',
      ),
    64,
  ).optional(),
  allowCredentials: z.boolean().optional(),
  allowMethods: aloneOrListed(z.enum([...METHODS, '*']), 9).optional(),
  allowHeaders: aloneOrListed(tokenField, 64).optional(),
  exposeHeaders: z.array(tokenField).max(64).optional(),
  maxAge: z.int().min(1, 'must be 1 second or more').default(5),
})

const allowedHeaders = z.array(z.string()).max(64).optional()

const externalAuth = z
  .strictObject({
    protocol: z.enum(['HTTP', 'GRPC']),
    backendRef: z.strictObject({
      group: groupField.default(''),
      kind: kindField.default('Service'),
      name: objectNameField,
      namespace: namespaceField.optional(),
      port: gatewayPortField.optional(),
    }),
    grpc: z.strictObject({ allowedHeaders }).optional(),
    http: z
      .strictObject({
        path: z.string().max(1024).optional(),
        allowedHeaders,
        allowedResponseHeaders: allowedHeaders,
      })
      .optional(),
    forwardBody: z.strictObject({ maxSize: z.int().min(0).optional() }).optional(),
  })
  .superRefine((auth, context) => {
    const own = auth.protocol === 'HTTP' ? 'http' : 'grpc'
    const other = auth.protocol === 'HTTP' ? 'grpc' : 'http'
    if (!auth[own])
      context.addIssue({ code: 'custom', path: [own], message: `is needed for ${auth.protocol}` })
    if (auth[other])
      context.addIssue({ code: 'custom', path: [other], message: `does not go with ${auth.protocol}` })
  })

const filter = z
  .strictObject({
    type: z.enum([
      'RequestHeaderModifier',
      'ResponseHeaderModifier',
      'RequestMirror',
      'RequestRedirect',
      'URLRewrite',
      'ExtensionRef',
      'CORS',
      'ExternalAuth',
    ]),
    ...commonFilters,
    requestRedirect: requestRedirect.optional(),
    urlRewrite: z
      .strictObject({ hostname: preciseHostField.optional(), path: pathModifier.optional() })
      .optional(),
    cors: cors.optional(),
    externalAuth: externalAuth.optional(),
  })
  .superRefine(checkFilterType)

export type HttpRouteFilter = z.infer<typeof filter>

const filters = z
  .array(filter)
  .max(16)
  .superRefine(
    onceOf(['CORS', 'RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestRedirect', 'URLRewrite']),
  )
  .superRefine((all, context) => {
    const rewrite = all.findIndex(({ type }) => type === 'URLRewrite')
    if (rewrite >= 0 && all.some(({ type }) => type === 'RequestRedirect'))
      context.addIssue({
        code: 'custom',
        path: [rewrite],
        message: 'nothing is sent on with a redirect: only one of RequestRedirect, URLRewrite can be there',
      })
  })

const EVERY_PATH = { path: { type: 'PathPrefix', value: '/' } } as const

const rule = z
  .strictObject({
    name: sectionNameField.optional(),
    matches: z.array(httpMatch).max(64).default([EVERY_PATH]),
    filters: filters.optional(),
    backendRefs: z.array(filteredBackendRef(filters)).max(16).optional(),
    timeouts: z
      .strictObject({
        request: gatewayDurationField.optional(),
        backendRequest: gatewayDurationField.optional(),
      })
      .refine(
        ({ request = '0s', backendRequest = '0s' }) =>
          durationMs(request) === 0 || durationMs(backendRequest) <= durationMs(request),
        { path: ['backendRequest'], message: 'must not be longer than the timeout of the whole request' },
      )
      .optional(),
    retry: z
      .strictObject({
        attempts: z.int().min(1, 'must be 1 or more').optional(),
        backoff: gatewayDurationField.optional(),
        codes: z
          .array(z.int().min(400, 'a status is 400 to 599').max(599, 'a status is 400 to 599'))
          .optional(),
      })
      .optional(),
    sessionPersistence: sessionPersistenceField.optional(),
  })
  .superRefine((one, context) => {
    const redirect = (one.filters ?? []).findIndex(({ type }) => type === 'RequestRedirect')
    if (redirect >= 0 && one.backendRefs?.length)
      context.addIssue({
        code: 'custom',
        path: ['backendRefs'],
        message: 'nothing is sent on with a redirect: leave backendRefs out',
      })
    const [match] = one.matches
    if (one.matches.length === 1 && match?.path.type === 'PathPrefix') return
    const modifiers = [
      ...(one.filters ?? []).map((each, index) => ({ each, path: ['filters', index] })),
      ...(one.backendRefs ?? []).flatMap((backend, at) =>
        (backend.filters ?? []).map((each, index) => ({ each, path: ['backendRefs', at, 'filters', index] })),
      ),
    ]
    for (const { each, path } of modifiers)
      for (const field of ['requestRedirect', 'urlRewrite'] as const)
        if (each[field]?.path?.type === 'ReplacePrefixMatch')
          context.addIssue({
            code: 'custom',
            path: [...path, field, 'path'],
            message: 'replaces a prefix: the rule needs exactly one match, by PathPrefix',
          })
  })

/** Gateway API `HTTPRoute`: where HTTP requests go. */
export const httpRouteSpec = z
  .strictObject({
    ...routeFields,
    hostnames: routeHostnamesField,
    rules: z
      .array(rule)
      .min(1, 'needs at least one rule')
      .max(16)
      .superRefine(
        unique(
          ({ name }) => name,
          ({ name }) => `there is already a rule named ${name}`,
          ['name'],
        ),
      )
      .default([{ matches: [EVERY_PATH] }]),
  })
  .refine(({ rules }) => rules.reduce((sum, { matches }) => sum + matches.length, 0) <= MOST_MATCHES, {
    path: ['rules'],
    message: `the rules have at most ${MOST_MATCHES} matches together`,
  })

export type KubernetesHttpRouteSpec = z.infer<typeof httpRouteSpec>
/** The Gateway API's route of HTTP requests. */
export type KubernetesHttpRoute = Resource<'HTTPRoute', KubernetesHttpRouteSpec>
