import { formatProblem } from '@seine/envoy'
import { z } from 'zod'
import { HEADER_NAME, isClaimRoute } from '../fields/headers.ts'
import { dnsLabelField } from '../fields/names.ts'
import { labelsField } from '../fields/selectors.ts'
import {
  addressRangeField,
  checkedBy,
  durationField,
  headerNameField,
  hostField,
  NO_HEADER_NAME,
  oneOf,
  pathMatchField,
  percentField,
  portField,
  regexProblem,
  requiredStringMatchField,
  stringMatchField,
} from '../fields.ts'
import type { Resource } from '../resource.ts'
import { abort, corsPolicy, delay, directResponse, redirect, retries, rewrite } from './http-actions.ts'

const isHost = (name: string) => /^(host|:authority)$/i.test(name)

/** A header's value: text with Envoy's operators, `%REQ(x-user)%`; a percent sign by itself is `%%`. */
const headerValue = z
  .string()
  .regex(/^[^\u0000-\u0008\u000a-\u001f\u007f]*$/, 'must not hold control characters')
  .superRefine((text, context) => {
    const message = formatProblem(text)
    if (message) context.addIssue({ code: 'custom', message })
  })

const plainHeader = headerNameField.refine(
  name => !isHost(name),
  'the host is no header here: set it for requests, or use rewrite.authority',
)

const headerOperations = z.strictObject({
  set: z.record(plainHeader, headerValue).optional().describe('Headers to set, over what is there'),
  add: z.record(plainHeader, headerValue).optional().describe('Headers to add to what is there'),
  remove: z.array(plainHeader).optional().describe('Headers to take off'),
})

const requestHeaderOperations = headerOperations.extend({
  set: z
    .record(
      z.string().refine(name => name === ':authority' || HEADER_NAME.test(name), NO_HEADER_NAME),
      headerValue,
    )
    .optional()
    .describe('Headers to set, over what is there; `host` and `:authority` rewrite the host'),
})

const headers = z.strictObject({
  request: requestHeaderOperations.optional().describe('What is changed on the way to the service'),
  response: headerOperations.optional().describe('What is changed on the way back'),
})

/** Where requests or connections go. */
export const destinationField = z.strictObject({
  host: hostField
    .refine(host => host !== '*', '"*" is no destination: name one')
    .describe(
      'The service, by its name in the registry; a short name is completed with the namespace of this resource',
    ),
  subset: dnsLabelField.optional().describe('A subset that a DestinationRule for the host defines'),
  port: z
    .strictObject({ number: portField })
    .optional()
    .describe('Needed where the service has more than one port'),
})

/** Envoy adds weights up in 32 bits. */
const MAX_WEIGHT = 0xffffffff

const weight = z.int().min(0, 'a weight is 0 or more').max(MAX_WEIGHT, `a weight is at most ${MAX_WEIGHT}`)

const httpRouteDestination = z.strictObject({
  destination: destinationField,
  weight: weight.optional().describe('Its share of the requests, in proportion to the sum of all'),
  headers: headers.optional().describe('Changes for this destination only'),
})

const l4RouteDestination = z.strictObject({
  destination: destinationField,
  weight: weight.optional().describe('Its share of the connections, in proportion to the sum of all'),
})

/** Headers, the parts of a request that HTTP/2 sends as such, and claims of the request's JWT. */
const matchedHeader = z
  .string()
  .refine(
    name => HEADER_NAME.test(name) || /^:(method|scheme|authority|path)$/.test(name) || isClaimRoute(name),
    NO_HEADER_NAME,
  )

/** A match of which `regex: "*"` stands for a header that is there at all. */
const absentMatch = z
  .strictObject({
    exact: z.string().optional(),
    prefix: z.string().min(1, 'must not be empty: leave it out instead').optional(),
    regex: z
      .string()
      .superRefine(checkedBy(pattern => (pattern === '*' ? undefined : regexProblem(pattern))))
      .optional(),
  })
  .superRefine(oneOf(['exact', 'prefix', 'regex']))

const httpMatch = z.strictObject({
  name: z.string().optional().describe("Part of the route's name in Envoy and in access logs"),
  uri: pathMatchField.optional().describe('The path, without the query for `exact` and `regex`'),
  scheme: requiredStringMatchField.optional().describe('`http` or `https`'),
  method: requiredStringMatchField.optional().describe('The HTTP method'),
  authority: requiredStringMatchField.optional().describe('The host that the request names'),
  headers: z
    .record(matchedHeader, stringMatchField)
    .optional()
    .describe('Headers that must match; a match without any form asks for presence'),
  withoutHeaders: z
    .record(matchedHeader, absentMatch)
    .optional()
    .describe('Headers that must not match; `regex: "*"` asks for absence'),
  queryParams: z
    .record(z.string().min(1, 'must be the name of a parameter'), stringMatchField)
    .optional()
    .describe('Query parameters that must match'),
  ignoreUriCase: z.boolean().optional().describe('Compare the path without regard to case'),
  port: portField.optional().describe('The port of the service that was called'),
  sourceLabels: labelsField.optional().describe('Labels that the caller must have'),
  sourceNamespace: dnsLabelField.optional().describe("The caller's namespace"),
  gateways: z.array(z.string()).optional().describe('Holds for these; `mesh` stands for the sidecars'),
  statPrefix: z.string().optional().describe("Prefix of Envoy's own statistics of the route"),
})

const httpRoute = z
  .strictObject({
    name: z.string().optional().describe('Its name in Envoy and in access logs'),
    match: z.array(httpMatch).optional().describe('Any of these; without any, everything'),
    route: z.array(httpRouteDestination).optional().describe('Where requests go'),
    redirect: redirect.optional().describe('Answer with a redirect'),
    directResponse: directResponse.optional().describe('Answer without asking anybody'),
    delegate: z
      .strictObject({ name: z.string().min(1, 'a name is needed'), namespace: z.string().optional() })
      .optional()
      .describe('Routes of another VirtualService'),
    rewrite: rewrite.optional().describe('Change path or host before the service sees them'),
    timeout: durationField
      .optional()
      .describe('How long the answer may take, all tries together; no limit unless it is said'),
    retries: retries.optional().describe('When to try again'),
    fault: z
      .strictObject({ delay: delay.optional(), abort: abort.optional() })
      .refine(({ delay, abort }) => delay ?? abort, 'one of delay, abort must be set')
      .optional()
      .describe('Fail or delay requests on purpose'),
    mirror: destinationField.optional().describe('Send a copy of each request here, and drop the answer'),
    mirrorPercentage: percentField
      .optional()
      .describe('Share of the requests that are copied; all unless it is said'),
    mirror_percent: z.int().min(0).max(100).optional().describe('The oldest form of `mirrorPercentage`'),
    mirrorPercent: z.int().min(0).max(100).optional().describe('An older form of `mirrorPercentage`'),
    mirrors: z
      .array(z.strictObject({ destination: destinationField, percentage: percentField.optional() }))
      .optional()
      .describe('Several mirrors, each with a share of its own'),
    corsPolicy: corsPolicy.optional().describe('Which pages of other sites may read answers'),
    headers: headers.optional().describe('Changes to headers'),
  })
  .superRefine(oneOf(['route', 'redirect', 'directResponse', 'delegate'], true))
  .superRefine(oneOf(['mirror', 'mirrors']))
  .superRefine(oneOf(['mirrorPercentage', 'mirrorPercent', 'mirror_percent']))
  .superRefine((route, context) => {
    checkWeights(route.route, context)
    if (!route.route && !route.delegate) checkUnrouted(route, context)
    if (!route.mirror) checkMirrorShare(route, context)
  })

const l4Match = {
  destinationSubnets: z.array(addressRangeField).optional().describe('Addresses that connections go to'),
  port: portField.optional().describe('The port of the service that was called'),
  sourceLabels: labelsField.optional().describe('Labels that the caller must have'),
  sourceNamespace: dnsLabelField.optional().describe("The caller's namespace"),
  gateways: z.array(z.string()).optional().describe('Holds for these; `mesh` stands for the sidecars'),
}

const tlsRoute = z
  .strictObject({
    match: z
      .array(
        z.strictObject({
          sniHosts: z
            .array(z.string())
            .min(1, 'needs at least one host')
            .describe('Server names that the client asks for'),
          ...l4Match,
        }),
      )
      .min(1, 'needs at least one match')
      .describe('Any of these'),
    route: z.array(l4RouteDestination).describe('Where connections go'),
  })
  .superRefine(({ route }, context) => checkWeights(route, context))

const tcpRoute = z
  .strictObject({
    match: z
      .array(z.strictObject({ ...l4Match, sourceSubnet: addressRangeField.optional() }))
      .optional()
      .describe('Any of these; without any, everything'),
    route: z.array(l4RouteDestination).describe('Where connections go'),
  })
  .superRefine(({ route }, context) => checkWeights(route, context))

/** Istio `VirtualService`: how requests to its hosts are routed. */
export const virtualServiceSpec = z
  .strictObject({
    hosts: z
      .array(z.string())
      .optional()
      .describe(
        'The hosts it decides for: names of services, or names with a wildcard such as `*.example.com`. Without any, others delegate to it',
      ),
    gateways: z
      .array(z.string())
      .optional()
      .describe('`mesh`, which is also what holds without it: the sidecars'),
    http: z.array(httpRoute).optional().describe('Routes of requests, in the order in which they are tried'),
    tls: z.array(tlsRoute).optional().describe('Routes of TLS that passes through'),
    tcp: z.array(tcpRoute).optional().describe('Routes of connections'),
    exportTo: z
      .array(z.string())
      .optional()
      .describe('Namespaces whose clients it holds for; all unless it is said. `.` is its own'),
  })
  .superRefine((spec, context) => {
    if (!spec.http?.length && !spec.tls?.length && !spec.tcp?.length) {
      context.addIssue({
        code: 'custom',
        path: [],
        message: 'at least one of http, tls and tcp must hold a route',
      })
    }
  })

function checkWeights(
  route: readonly { weight?: number | undefined }[] | undefined,
  context: z.RefinementCtx,
): void {
  if (!route) return
  if (route.length === 0)
    context.addIssue({ code: 'custom', path: ['route'], message: 'needs at least one destination' })
  const total = route.reduce((sum, one) => sum + (one.weight ?? 0), 0)
  if (route.length > 1 && total === 0) {
    context.addIssue({
      code: 'custom',
      path: ['route'],
      message: 'the weights of the destinations are all 0: give at least one a weight',
    })
  }
  if (total > MAX_WEIGHT)
    context.addIssue({
      code: 'custom',
      path: ['route'],
      message: `the weights add up to more than ${MAX_WEIGHT}`,
    })
}

/** What happens to a request on its way to a destination means nothing where there is none. */
function checkUnrouted(route: Readonly<Record<string, unknown>>, context: z.RefinementCtx): void {
  for (const field of ['rewrite', 'timeout', 'retries', 'mirror', 'mirrors', 'fault']) {
    if (route[field] === undefined) continue
    const message = 'goes with route: a redirect or direct response reaches no destination'
    context.addIssue({ code: 'custom', path: [field], message })
  }
}

function checkMirrorShare(route: Readonly<Record<string, unknown>>, context: z.RefinementCtx): void {
  for (const field of ['mirrorPercentage', 'mirrorPercent', 'mirror_percent'])
    if (route[field] !== undefined)
      context.addIssue({ code: 'custom', path: [field], message: 'goes with mirror' })
}

export type VirtualServiceSpec = z.infer<typeof virtualServiceSpec>
export type VirtualService = Resource<'VirtualService', VirtualServiceSpec>
export type HttpRoute = z.infer<typeof httpRoute>
export type HttpMatchRequest = z.infer<typeof httpMatch>
export type HttpRouteDestination = z.infer<typeof httpRouteDestination>
export type HttpRedirect = z.infer<typeof redirect>
export type HttpDirectResponse = z.infer<typeof directResponse>
export type HttpRetry = z.infer<typeof retries>
export type HttpFault = NonNullable<HttpRoute['fault']>
export type HttpHeaders = z.infer<typeof headers>
export type CorsPolicy = z.infer<typeof corsPolicy>
export type Destination = z.infer<typeof destinationField>
export type TcpRoute = z.infer<typeof tcpRoute>
export type TlsRoute = z.infer<typeof tlsRoute>
export type L4RouteDestination = z.infer<typeof l4RouteDestination>
