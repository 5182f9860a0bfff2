// What an HTTP route does with requests beside sending them on.

import { z } from 'zod'
import {
  durationMs,
  headerNameField,
  headerTextField,
  oneOf,
  percentField,
  portField,
  positiveDuration,
  regexField,
  requiredStringMatchField,
} from '../fields.ts'

/** Envoy's limit for the body of an answer that it gives by itself, as the route tables have it. */
const MAX_BODY_BYTES = 1 << 20

export const redirect = z
  .strictObject({
    uri: headerTextField.optional().describe('The path to go to'),
    prefixRewrite: headerTextField
      .optional()
      .describe('What takes the place of the prefix that was matched, the rest of the path stays'),
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
  .superRefine(oneOf(['uri', 'prefixRewrite']))
  .refine(
    ({ redirectCode: _code, ...target }) => Object.values(target).some(value => value !== undefined),
    'one of uri, prefixRewrite, authority, port, derivePort, scheme must be set',
  )

export const directResponse = z.strictObject({
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

export const rewrite = z
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
  .refine(
    rewritten => Object.values(rewritten).some(value => value !== undefined),
    'one of uri, uriRegexRewrite, authority must be set',
  )

/** A share of the requests. One that is not 0 is at least one in a million, which is as fine as Envoy counts. */
const share = percentField.refine(({ value }) => value === 0 || value >= 0.0001, {
  path: ['value'],
  message: 'must be 0, or at least 0.0001',
})

export const delay = z
  .strictObject({
    fixedDelay: positiveDuration.optional().describe('How long'),
    exponentialDelay: positiveDuration.optional().describe('Was never implemented by Istio either'),
    percentage: share.optional().describe('Share of the requests; all unless it is said'),
    percent: z.int().min(0).max(100).optional().describe('The older form of `percentage`'),
  })
  .superRefine(oneOf(['fixedDelay', 'exponentialDelay'], true))
  .refine(({ exponentialDelay }) => exponentialDelay === undefined, {
    path: ['exponentialDelay'],
    message: 'was never implemented: use fixedDelay',
  })

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

export const abort = z
  .strictObject({
    httpStatus: z.int().min(200).max(599).optional().describe('The status to answer with'),
    grpcStatus: z
      .string()
      .refine(isGrpcStatus, 'must be a gRPC status such as NOT_FOUND, or its number')
      .optional()
      .describe('The gRPC status to answer with, by name or number'),
    http2Error: z.string().optional().describe('Was never implemented by Istio either'),
    percentage: share.optional().describe('Share of the requests; all unless it is said'),
  })
  .superRefine(oneOf(['httpStatus', 'grpcStatus', 'http2Error'], true))
  .refine(({ http2Error }) => http2Error === undefined, {
    path: ['http2Error'],
    message: 'was never implemented: use httpStatus or grpcStatus',
  })

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

export const retries = z
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

const CORS_METHODS = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'CONNECT',
  'OPTIONS',
  'TRACE',
  '*',
] as const

export const corsPolicy = z.strictObject({
  allowOrigin: z.array(z.string()).optional().describe('The older form of `allowOrigins`, exact or `*`'),
  allowOrigins: z.array(requiredStringMatchField).optional().describe('Origins that may read answers'),
  allowMethods: z.array(z.enum(CORS_METHODS)).optional().describe('For `Access-Control-Allow-Methods`'),
  allowHeaders: z.array(headerNameField).optional().describe('For `Access-Control-Allow-Headers`'),
  exposeHeaders: z.array(headerNameField).optional().describe('For `Access-Control-Expose-Headers`'),
  maxAge: positiveDuration
    .refine(age => durationMs(age) % 1000 === 0, 'browsers count whole seconds')
    .optional()
    .describe('How long a preflight may be remembered'),
  allowCredentials: z.boolean().optional().describe('Whether cookies may be sent'),
  unmatchedPreflights: z
    .enum(['UNSPECIFIED', 'FORWARD', 'IGNORE'])
    .optional()
    .describe('What becomes of preflights of other origins: they go to the service unless `IGNORE`'),
})
