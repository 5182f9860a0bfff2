import { z } from 'zod'
import {
  durationField,
  exportToField,
  headerNameField,
  headerTextField,
  hostField,
  isHeaderName,
  labelsField,
  NO_HEADER_NAME,
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
  set: z.record(plainHeader, headerValue).optional().describe('Headers to set, over what is there'),
  add: z.record(plainHeader, headerValue).optional().describe('Headers to add to what is there'),
  remove: z.array(plainHeader).optional().describe('Headers to take off'),
})

const requestHeaderOperations = headerOperations.extend({
  set: z
    .record(
      z.string().refine(name => name === ':authority' || isHeaderName(name), NO_HEADER_NAME),
      headerValue,
    )
    .optional()
    .describe('Headers to set, over what is there; `host` and `:authority` rewrite the host'),
})

const headers = z.strictObject({
  request: requestHeaderOperations.optional().describe('What is changed on the way to the service'),
  response: headerOperations.optional().describe('What is changed on the way back'),
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
  weight: weight.optional().describe('Its share of the requests, in proportion to the sum of all'),
  headers: headers.optional().describe('Changes for this destination only'),
})

const l4RouteDestination = z.strictObject({
  destination,
  weight: weight.optional().describe('Its share of the connections, in proportion to the sum of all'),
})

/** Headers, and the parts of a request that HTTP/2 sends as such. */
const matchedHeader = z
  .string()
  .refine(
    name => [':method', ':scheme', ':authority', ':path'].includes(name) || isHeaderName(name),
    NO_HEADER_NAME,
  )

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
    .record(matchedHeader, stringMatchField)
    .optional()
    .describe('Headers that must not match'),
  queryParams: z
    .record(z.string().min(1, 'must be the name of a parameter'), stringMatchField)
    .optional()
    .describe('Query parameters that must match'),
  ignoreUriCase: z.boolean().optional().describe('Compare the path without regard to case'),
  port: portField.optional().describe('The port of the service that was called'),
  sourceLabels: labelsField.optional().describe('Labels that the caller must have'),
  sourceNamespace: z.string().optional().describe("The caller's namespace"),
  gateways: z.array(z.string()).optional().describe('Holds for these; `mesh` stands for the sidecars'),
  statPrefix: z.string().optional().describe("Prefix of Envoy's own statistics of the route"),
})

const redirect = z
  .strictObject({
    uri: headerTextField.optional().describe('The path to go to'),
    authority: headerTextField.optional().describe('The host to go to'),
    port: portField.optional().describe('The port to go to'),
    derivePort: z
      .enum(['FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT'])
      .optional()
      .describe('The port to go to: the default of the scheme, or the one of the request'),
    scheme: z.enum(['http', 'https']).optional().describe('The scheme to go to'),
    redirectCode: z
      .int()
      .refine(code => [301, 302, 303, 307, 308].includes(code), 'must be 301, 302, 303, 307 or 308')
      .optional()
      .describe('301 unless it is said'),
  })
  .superRefine(oneOf(['port', 'derivePort']))

const directResponse = z.strictObject({
  status: z
    .int()
    .min(200, 'a status is 200 to 599')
    .max(599, 'a status is 200 to 599')
    .describe('The HTTP status'),
  body: z
    .strictObject({
      string: z.string().optional().describe('As text'),
      bytes: z.base64().optional().describe('In Base64'),
    })
    .superRefine(oneOf(['string', 'bytes'], true))
    .refine(
      ({ string = '', bytes = '' }) =>
        new TextEncoder().encode(string).length <= MAX_BODY_BYTES && bytes.length * 0.75 <= MAX_BODY_BYTES,
      'must be at most 1 MiB long',
    )
    .optional()
    .describe('What the answer holds, at most 1 MiB'),
})

const uriRegexRewrite = z
  .strictObject({
    match: regexField.describe('What is replaced in the path'),
    rewrite: z.string().describe('What takes its place; `\\1` stands for the first group'),
  })
  .refine(
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
    uri: headerTextField
      .optional()
      .describe(
        'Takes the place of the prefix that was matched, or of the whole path where that was matched',
      ),
    authority: headerTextField.optional().describe('The host that the service sees'),
    uriRegexRewrite: uriRegexRewrite.optional().describe('Rewrites the path by a regular expression'),
  })
  .superRefine(oneOf(['uri', 'uriRegexRewrite']))

const delay = z
  .strictObject({
    fixedDelay: positiveDuration.optional().describe('How long'),
    percentage: percentField.optional().describe('Share of the requests; all unless it is said'),
    percent: z.int().min(0).max(100).optional().describe('The older form of `percentage`'),
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
    httpStatus: z.int().min(200).max(599).optional().describe('The status to answer with'),
    grpcStatus: z
      .string()
      .refine(isGrpcStatus, 'must be a gRPC status such as NOT_FOUND, or its number')
      .optional()
      .describe('The gRPC status to answer with, by name or number'),
    percentage: percentField.optional().describe('Share of the requests; all unless it is said'),
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
    attempts: z
      .int()
      .min(0, 'attempts is 0 or more')
      .max(100)
      .optional()
      .describe('How many more tries; 2 unless it is said, 0 for none'),
    perTryTimeout: positiveDuration.optional().describe('How long each try may take'),
    retryOn: z
      .string()
      .refine(isRetryOn, `must be a comma-separated list of status codes and of ${[...RETRY_ON].join(', ')}`)
      .optional()
      .describe(
        "Envoy's conditions and status codes, separated by commas; `connect-failure,refused-stream,unavailable,cancelled` unless it is said",
      ),
    retryRemoteLocalities: z.boolean().optional().describe('Try endpoints of other places too'),
    retryIgnorePreviousHosts: z
      .boolean()
      .optional()
      .describe('Prefer endpoints that were not tried yet; true unless it is said'),
    backoff: positiveDuration.optional().describe('The shortest pause between tries'),
  })
  .refine(({ attempts, ...rest }) => attempts !== 0 || Object.keys(rest).length === 0, {
    path: ['attempts'],
    message: '0 turns retrying off: leave the other fields out',
  })

const corsPolicy = z.strictObject({
  allowOrigin: z.array(z.string()).optional().describe('The older form of `allowOrigins`, exact or `*`'),
  allowOrigins: z.array(requiredStringMatchField).optional().describe('Origins that may read answers'),
  allowMethods: z.array(z.string()).optional().describe('For `Access-Control-Allow-Methods`'),
  allowHeaders: z.array(z.string()).optional().describe('For `Access-Control-Allow-Headers`'),
  exposeHeaders: z.array(z.string()).optional().describe('For `Access-Control-Expose-Headers`'),
  maxAge: durationField.optional().describe('How long a preflight may be remembered'),
  allowCredentials: z.boolean().optional().describe('Whether cookies may be sent'),
  unmatchedPreflights: z
    .enum(['UNSPECIFIED', 'FORWARD', 'IGNORE'])
    .optional()
    .describe('What becomes of preflights of other origins: they go to the service unless `IGNORE`'),
})

const httpRoute = z
  .strictObject({
    name: z.string().optional().describe('Its name in Envoy and in access logs'),
    match: z.array(httpMatch).optional().describe('Any of these; without any, everything'),
    route: z.array(httpRouteDestination).optional().describe('Where requests go'),
    redirect: redirect.optional().describe('Answer with a redirect'),
    directResponse: directResponse.optional().describe('Answer without asking anybody'),
    delegate: z
      .strictObject({ name: z.string(), namespace: z.string().optional() })
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
    mirror: destination.optional().describe('Send a copy of each request here, and drop the answer'),
    mirrorPercentage: percentField
      .optional()
      .describe('Share of the requests that are copied; all unless it is said'),
    mirror_percent: z.int().min(0).max(100).optional().describe('The oldest form of `mirrorPercentage`'),
    mirrorPercent: z.int().min(0).max(100).optional().describe('An older form of `mirrorPercentage`'),
    mirrors: z
      .array(z.strictObject({ destination, percentage: percentField.optional() }))
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
    if (!route.route) checkUnrouted(route, context)
    if (!route.mirror) checkMirrorShare(route, context)
  })

const l4Match = {
  destinationSubnets: z.array(z.string()).optional().describe('Addresses that connections go to'),
  port: portField.optional().describe('The port of the service that was called'),
  sourceLabels: labelsField.optional().describe('Labels that the caller must have'),
  sourceNamespace: z.string().optional().describe("The caller's namespace"),
  gateways: z.array(z.string()).optional().describe('Holds for these; `mesh` stands for the sidecars'),
}

const tlsRoute = z.strictObject({
  match: z
    .array(
      z.strictObject({
        sniHosts: z.array(hostField).min(1).describe('Server names that the client asks for'),
        ...l4Match,
      }),
    )
    .min(1)
    .describe('Any of these'),
  route: z.array(l4RouteDestination).min(1),
})

const tcpRoute = z
  .strictObject({
    match: z
      .array(z.strictObject({ ...l4Match, sourceSubnet: z.string().optional() }))
      .optional()
      .describe('Any of these; without any, everything'),
    route: z.array(l4RouteDestination).describe('Where connections go'),
  })
  .superRefine(({ route }, context) => checkWeights(route, context))

/** Istio `VirtualService`: how requests to its hosts are routed. */
export const virtualServiceSpec = z
  .strictObject({
    hosts: z
      .array(hostField)
      .min(1, 'needs at least one host')
      .describe(
        'The hosts it decides for: names of services, or names with a wildcard such as `*.example.com`',
      ),
    gateways: z
      .array(z.string())
      .optional()
      .describe('`mesh`, which is also what holds without it: the sidecars'),
    http: z.array(httpRoute).optional().describe('Routes of requests, in the order in which they are tried'),
    tls: z.array(tlsRoute).optional().describe('Routes of TLS that passes through'),
    tcp: z.array(tcpRoute).optional().describe('Routes of connections'),
    exportTo: exportToField.describe(
      'Namespaces whose clients it holds for; all unless it is said. `.` is its own',
    ),
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
