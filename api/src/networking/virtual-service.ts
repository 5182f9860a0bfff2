import { z } from 'zod'
import {
  durationField,
  exportToField,
  headerNameField,
  headerTextField,
  hostField,
  labelsField,
  oneOf,
  pathMatchField,
  percentField,
  portField,
  positiveDuration,
  regexField,
  requiredStringMatchField,
  stringMatchField,
} from '../fields.ts'
import type { Resource } from '../resource.ts'

/** Envoy's limit for the body of an answer that it gives by itself, as the route tables have it. */
const MAX_BODY_BYTES = 1 << 20

const isHost = (name: string) => /^(host|:authority)$/i.test(name)

/** A header's value: text with Envoy's operators, `%REQ(x-user)%`; a percent sign by itself is `%%`. */
const headerValue = z
  .string()
  .regex(/^[^\u0000-\u0008\u000a-\u001f\u007f]*$/, 'must not hold control characters')
  .regex(
    /^([^%]|%%|%[A-Z][A-Z0-9_]*(\([^)]*\))?(:\d+)?%)*$/,
    'a percent sign begins an operator such as %REQ(x-user)%; write %% for the sign itself',
  )

const plainHeader = headerNameField.refine(
  name => !isHost(name),
  'the host is no header here: set it for requests, or use rewrite.authority',
)

const headerOperations = z.strictObject({
  set: z.record(plainHeader, headerValue).optional(),
  add: z.record(plainHeader, headerValue).optional(),
  remove: z.array(plainHeader).optional(),
})

const requestHeaderOperations = headerOperations.extend({
  set: z.record(z.union([headerNameField, z.literal(':authority')]), headerValue).optional(),
})

const headers = z.strictObject({
  request: requestHeaderOperations.optional(),
  response: headerOperations.optional(),
})

const destination = z.strictObject({
  host: hostField.describe(
    'The service, by its name in the registry; a short name is completed with the namespace of this resource',
  ),
  subset: z.string().min(1).optional().describe('A subset that a DestinationRule for the host defines'),
  port: z
    .strictObject({ number: portField })
    .optional()
    .describe('Needed where the service has more than one port'),
})

/** Envoy adds weights up in 32 bits. */
const MAX_WEIGHT = 0xffffffff

const weight = z.int().min(0, 'a weight is 0 or more').max(MAX_WEIGHT, `a weight is at most ${MAX_WEIGHT}`)

const httpRouteDestination = z.strictObject({
  destination,
  weight: weight.optional(),
  headers: headers.optional(),
})

const l4RouteDestination = z.strictObject({ destination, weight: weight.optional() })

/** Headers, and the parts of a request that HTTP/2 sends as such. */
const matchedHeader = z.union([
  headerNameField,
  z.enum([':method', ':scheme', ':authority', ':path'], 'must be the name of a header'),
])

const httpMatch = z.strictObject({
  name: z.string().optional(),
  uri: pathMatchField.optional(),
  scheme: requiredStringMatchField.optional(),
  method: requiredStringMatchField.optional(),
  authority: requiredStringMatchField.optional(),
  headers: z.record(matchedHeader, stringMatchField).optional(),
  withoutHeaders: z.record(matchedHeader, stringMatchField).optional(),
  queryParams: z.record(z.string().min(1, 'must be the name of a parameter'), stringMatchField).optional(),
  ignoreUriCase: z.boolean().optional(),
  port: portField.optional(),
  sourceLabels: labelsField.optional(),
  sourceNamespace: z.string().optional(),
  gateways: z.array(z.string()).optional(),
  statPrefix: z.string().optional(),
})

const redirect = z
  .strictObject({
    uri: headerTextField.optional(),
    authority: headerTextField.optional(),
    port: portField.optional(),
    derivePort: z.enum(['FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT']).optional(),
    scheme: z.enum(['http', 'https']).optional(),
    redirectCode: z
      .int()
      .refine(code => [301, 302, 303, 307, 308].includes(code), 'must be 301, 302, 303, 307 or 308')
      .optional(),
  })
  .superRefine(oneOf(['port', 'derivePort']))

const directResponse = z.strictObject({
  status: z.int().min(200, 'a status is 200 to 599').max(599, 'a status is 200 to 599'),
  body: z
    .strictObject({ string: z.string().optional(), bytes: z.base64().optional() })
    .superRefine(oneOf(['string', 'bytes'], true))
    .refine(
      ({ string = '', bytes = '' }) =>
        new TextEncoder().encode(string).length <= MAX_BODY_BYTES && bytes.length * 0.75 <= MAX_BODY_BYTES,
      'must be at most 1 MiB long',
    )
    .optional(),
})

const uriRegexRewrite = z.strictObject({ match: regexField, rewrite: z.string() }).refine(
  // RE2 refuses a substitution that names a group which the expression does not have.
  ({ match, rewrite }) => {
    const groups = match.replace(/\\.|\[[^\]]*\]/g, '').match(/\((?!\?)|\(\?P?</g)?.length ?? 0
    return (rewrite.match(/\\./g) ?? []).every(use => use === '\\\\' || Number(use.slice(1)) <= groups)
  },
  {
    path: ['rewrite'],
    message: 'a backslash is followed by the number of a group of match, or by another one',
  },
)

const rewrite = z
  .strictObject({
    uri: headerTextField.optional(),
    authority: headerTextField.optional(),
    uriRegexRewrite: uriRegexRewrite.optional(),
  })
  .superRefine(oneOf(['uri', 'uriRegexRewrite']))

const delay = z
  .strictObject({
    fixedDelay: positiveDuration.optional(),
    percentage: percentField.optional(),
    percent: z.int().min(0).max(100).optional(),
  })
  .superRefine(oneOf(['fixedDelay'], true))

/** The names of gRPC's status codes, in the order of their numbers. */
export const GRPC_STATUS_NAMES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const

const isGrpcStatus = (text: string) =>
  GRPC_STATUS_NAMES.some((name, code) => name === text.toUpperCase() || String(code) === text)

const abort = z
  .strictObject({
    httpStatus: z.int().min(200).max(599).optional(),
    grpcStatus: z
      .string()
      .refine(isGrpcStatus, 'must be a gRPC status such as NOT_FOUND, or its number')
      .optional(),
    percentage: percentField.optional(),
  })
  .superRefine(oneOf(['httpStatus', 'grpcStatus'], true))

/** The conditions Envoy retries on, and the ones of gRPC. */
const RETRY_ON = new Set([
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'envoy-ratelimited',
  'retriable-4xx',
  'refused-stream',
  'retriable-status-codes',
  'retriable-headers',
  'http3-post-connect-failure',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
])

const isRetryOn = (value: string) =>
  value.split(',').every(word => RETRY_ON.has(word.trim()) || /^[1-5]\d\d$/.test(word.trim()))

const retries = z
  .strictObject({
    attempts: z.int().min(0, 'attempts is 0 or more').max(100).optional(),
    perTryTimeout: positiveDuration.optional(),
    retryOn: z
      .string()
      .refine(isRetryOn, `must be a comma-separated list of status codes and of ${[...RETRY_ON].join(', ')}`)
      .optional(),
    retryRemoteLocalities: z.boolean().optional(),
    retryIgnorePreviousHosts: z.boolean().optional(),
    backoff: positiveDuration.optional(),
  })
  .refine(({ attempts, ...rest }) => attempts !== 0 || Object.keys(rest).length === 0, {
    path: ['attempts'],
    message: '0 turns retrying off: leave the other fields out',
  })

const corsPolicy = z.strictObject({
  allowOrigin: z.array(z.string()).optional(),
  allowOrigins: z.array(requiredStringMatchField).optional(),
  allowMethods: z.array(z.string()).optional(),
  allowHeaders: z.array(z.string()).optional(),
  exposeHeaders: z.array(z.string()).optional(),
  maxAge: durationField.optional(),
  allowCredentials: z.boolean().optional(),
  unmatchedPreflights: z.enum(['UNSPECIFIED', 'FORWARD', 'IGNORE']).optional(),
})

const httpRoute = z
  .strictObject({
    name: z.string().optional(),
    match: z.array(httpMatch).optional(),
    route: z.array(httpRouteDestination).optional(),
    redirect: redirect.optional(),
    directResponse: directResponse.optional(),
    delegate: z.strictObject({ name: z.string(), namespace: z.string().optional() }).optional(),
    rewrite: rewrite.optional(),
    timeout: durationField.optional(),
    retries: retries.optional(),
    fault: z
      .strictObject({ delay: delay.optional(), abort: abort.optional() })
      .refine(({ delay, abort }) => delay ?? abort, 'one of delay, abort must be set')
      .optional(),
    mirror: destination.optional(),
    mirrorPercentage: percentField.optional(),
    mirror_percent: z.int().min(0).max(100).optional(),
    mirrorPercent: z.int().min(0).max(100).optional(),
    mirrors: z.array(z.strictObject({ destination, percentage: percentField.optional() })).optional(),
    corsPolicy: corsPolicy.optional(),
    headers: headers.optional(),
  })
  .superRefine(oneOf(['route', 'redirect', 'directResponse', 'delegate'], true))
  .superRefine(oneOf(['mirror', 'mirrors']))
  .superRefine(oneOf(['mirrorPercentage', 'mirrorPercent', 'mirror_percent']))
  .superRefine((route, context) => {
    checkWeights(route.route, context)
    if (!route.route) checkUnrouted(route, context)
    if (!route.mirror) checkMirrorShare(route, context)
  })

const l4Match = {
  destinationSubnets: z.array(z.string()).optional(),
  port: portField.optional(),
  sourceLabels: labelsField.optional(),
  sourceNamespace: z.string().optional(),
  gateways: z.array(z.string()).optional(),
}

const tlsRoute = z.strictObject({
  match: z.array(z.strictObject({ sniHosts: z.array(hostField).min(1), ...l4Match })).min(1),
  route: z.array(l4RouteDestination).min(1),
})

const tcpRoute = z
  .strictObject({
    match: z.array(z.strictObject({ ...l4Match, sourceSubnet: z.string().optional() })).optional(),
    route: z.array(l4RouteDestination),
  })
  .superRefine(({ route }, context) => checkWeights(route, context))

/** Istio `VirtualService`: how requests to its hosts are routed. */
export const virtualServiceSpec = z
  .strictObject({
    hosts: z.array(hostField).min(1, 'needs at least one host'),
    gateways: z.array(z.string()).optional(),
    http: z.array(httpRoute).optional(),
    tls: z.array(tlsRoute).optional(),
    tcp: z.array(tcpRoute).optional(),
    exportTo: exportToField,
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
export type Destination = z.infer<typeof destination>
export type TcpRoute = z.infer<typeof tcpRoute>
export type TlsRoute = z.infer<typeof tlsRoute>
export type L4RouteDestination = z.infer<typeof l4RouteDestination>
