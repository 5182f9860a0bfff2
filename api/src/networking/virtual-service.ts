import { z } from 'zod'
import {
  durationField,
  durationMs,
  exportToField,
  hostField,
  labelsField,
  oneOf,
  percentField,
  portField,
  positiveDuration,
  regexField,
  stringMatchField,
} from '../fields.ts'
import type { Resource } from '../resource.ts'

const headerOperations = z.strictObject({
  set: z.record(z.string(), z.string()).optional(),
  add: z.record(z.string(), z.string()).optional(),
  remove: z.array(z.string()).optional(),
})

const headers = z.strictObject({
  request: headerOperations.optional(),
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

const weight = z.int().min(0, 'a weight is 0 or more')

const httpRouteDestination = z.strictObject({
  destination,
  weight: weight.optional(),
  headers: headers.optional(),
})

const l4RouteDestination = z.strictObject({ destination, weight: weight.optional() })

const httpMatch = z.strictObject({
  name: z.string().optional(),
  uri: stringMatchField.optional(),
  scheme: stringMatchField.optional(),
  method: stringMatchField.optional(),
  authority: stringMatchField.optional(),
  headers: z.record(z.string(), stringMatchField).optional(),
  withoutHeaders: z.record(z.string(), stringMatchField).optional(),
  queryParams: z.record(z.string(), stringMatchField).optional(),
  ignoreUriCase: z.boolean().optional(),
  port: portField.optional(),
  sourceLabels: labelsField.optional(),
  sourceNamespace: z.string().optional(),
  gateways: z.array(z.string()).optional(),
  statPrefix: z.string().optional(),
})

const redirect = z
  .strictObject({
    uri: z.string().optional(),
    authority: z.string().optional(),
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
    .optional(),
})

const rewrite = z.strictObject({
  uri: z.string().optional(),
  authority: z.string().optional(),
  uriRegexRewrite: z.strictObject({ match: regexField, rewrite: z.string() }).optional(),
})

const delay = z
  .strictObject({
    fixedDelay: positiveDuration.optional(),
    percentage: percentField.optional(),
    percent: z.int().min(0).max(100).optional(),
  })
  .superRefine(oneOf(['fixedDelay'], true))

const abort = z
  .strictObject({
    httpStatus: z.int().min(200).max(599).optional(),
    grpcStatus: z.string().optional(),
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

const retries = z.strictObject({
  attempts: z.int().min(0, 'attempts is 0 or more').max(100).optional(),
  perTryTimeout: positiveDuration.optional(),
  retryOn: z
    .string()
    .refine(isRetryOn, `must be a comma-separated list of status codes and of ${[...RETRY_ON].join(', ')}`)
    .optional(),
  retryRemoteLocalities: z.boolean().optional(),
  retryIgnorePreviousHosts: z.boolean().optional(),
  backoff: durationField.refine(value => durationMs(value) >= 1, 'must be at least 1ms').optional(),
})

const corsPolicy = z.strictObject({
  allowOrigin: z.array(z.string()).optional(),
  allowOrigins: z.array(stringMatchField).optional(),
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
    fault: z.strictObject({ delay: delay.optional(), abort: abort.optional() }).optional(),
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
  .superRefine((route, context) => checkWeights(route.route, context))

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

const tcpRoute = z.strictObject({
  match: z.array(z.strictObject({ ...l4Match, sourceSubnet: z.string().optional() })).optional(),
  route: z.array(l4RouteDestination).min(1),
})

/** Istio `VirtualService`: how requests to its hosts are routed. */
export const virtualServiceSpec = z
  .strictObject({
    hosts: z.array(hostField).optional(),
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
  if (route.length > 1 && route.every(one => (one.weight ?? 0) === 0)) {
    context.addIssue({
      code: 'custom',
      path: ['route'],
      message: 'the weights of the destinations are all 0: give at least one a weight',
    })
  }
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
