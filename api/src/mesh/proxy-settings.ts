import { err, ok, type Result } from '@seine/kit'
import { z } from 'zod'
import { countField } from '../fields.ts'
import { imageTypeProblem } from '../networking/proxy-config.ts'
import { formatPath } from '../parse/field-path.ts'
import { describeIssue } from '../parse/issues.ts'
import { startSettings } from './start-settings.ts'

/** How a proxy passes on who called it, in Istio's words for Envoy's. `UNDEFINED` is the default. */
export const CLIENT_CERTIFICATE_DETAILS = [
  'UNDEFINED',
  'SANITIZE',
  'FORWARD_ONLY',
  'APPEND_FORWARD',
  'SANITIZE_SET',
  'ALWAYS_FORWARD_ONLY',
] as const

const off = (what: string) => z.strictObject({ disabled: z.boolean().optional() }).optional().describe(what)
const on = (what: string) => z.strictObject({ enabled: z.boolean().optional() }).optional().describe(what)

const customTag = z
  .strictObject({
    literal: z
      .strictObject({ value: z.string().min(1) })
      .optional()
      .describe('The same for all'),
    environment: z
      .strictObject({ name: z.string().min(1), defaultValue: z.string().optional() })
      .optional()
      .describe("A variable of the proxy's environment"),
    header: z
      .strictObject({ name: z.string().min(1), defaultValue: z.string().optional() })
      .optional()
      .describe('A header of the request'),
  })
  .refine(tag => Object.keys(tag).length === 1, 'must be one of literal, environment, header')

/** What is traced, and what spans hold. */
const tracing = {
  sampling: z.number().min(0).max(100).default(100).describe('Percentage of requests that are traced'),
  customTags: z.record(z.string(), customTag).optional().describe('More tags of spans'),
  maxPathTagLength: countField
    .min(1)
    .optional()
    .describe('How much of the path spans hold; 256 unless it is said'),
  enableIstioTags: z.boolean().default(true).describe('Spans hold `istio.canonical_service` and the like'),
} as const

/** What running proxies take up at once. */
const liveSettings = {
  gatewayTopology: z
    .strictObject({
      numTrustedProxies: countField
        .max(1000)
        .optional()
        .describe(
          'So many proxies before a gateway are trusted to have written the end of `x-forwarded-for`',
        ),
      forwardClientCertDetails: z
        .enum(CLIENT_CERTIFICATE_DETAILS)
        .optional()
        .describe('What gateways do with `x-forwarded-client-cert`; `SANITIZE_SET` unless it is said'),
      proxyProtocol: z
        .strictObject({})
        .optional()
        .describe('Connections to gateways begin with the header of the PROXY protocol'),
    })
    .optional()
    .describe('What stands before gateways'),
  proxyHeaders: z
    .strictObject({
      forwardedClientCert: z
        .enum(CLIENT_CERTIFICATE_DETAILS)
        .optional()
        .describe(
          'What the called side does with `x-forwarded-client-cert`; `SANITIZE_SET` unless it is said. For gateways `gatewayTopology` comes first',
        ),
      setCurrentClientCertDetails: z
        .strictObject({
          subject: z.boolean().default(true),
          cert: z.boolean().default(false),
          chain: z.boolean().default(false),
          dns: z.boolean().default(true),
          uri: z.boolean().default(true),
        })
        .optional()
        .describe('What of the certificate is written there; subject, names and URI unless it is said'),
      requestId: off('`x-request-id` is made where there is none'),
      server: z
        .strictObject({
          disabled: z.boolean().optional().describe("The application's own is passed on"),
          value: z.string().optional().describe('`istio-envoy` unless it is said'),
        })
        .optional()
        .describe('The header `server` of answers'),
      attemptCount: off('`x-envoy-attempt-count` tells which try a request is'),
      envoyDebugHeaders: off('`x-envoy-upstream-service-time` and the like'),
      preserveHttp1HeaderCase: z
        .boolean()
        .optional()
        .describe(
          'Names of headers keep the letters that they were written with, over HTTP/1.1: sidecars then go on in HTTP/2 only where something says UPGRADE',
        ),
      xForwardedHost: on('`x-forwarded-host` holds what the host was before it was rewritten'),
      xForwardedPort: on('`x-forwarded-port` holds the port that was called'),
    })
    .optional()
    .describe('Headers that proxies write'),
  meshId: z
    .string()
    .min(1)
    .optional()
    .describe(
      'What the mesh is called in spans and in what nodes say of themselves; the trust domain unless it is said',
    ),
  tracingServiceName: z
    .enum(['APP_LABEL_AND_NAMESPACE', 'CANONICAL_NAME_ONLY', 'CANONICAL_NAME_AND_NAMESPACE'])
    .optional()
    .describe(
      'Whose spans they are: the label `app` or the canonical name, with the namespace or without; `CANONICAL_NAME_AND_NAMESPACE` unless it is said',
    ),
} as const

/** Istio `ProxyConfig` as `defaultConfig` of the mesh: what holds for all proxies. */
export const proxySettings = z.strictObject({
  tracing: z
    .strictObject({
      ...tracing,
      zipkin: z
        .strictObject({ address: z.string() })
        .optional()
        .describe('Only a warning comes of it: spans go over OTLP'),
    })
    .prefault({})
    .describe('What is traced, and what spans hold'),
  ...liveSettings,
  ...startSettings,
})

/** What a pod can say of its own proxy: the same, and nothing that it leaves out. */
export const ownProxySettings = z
  .strictObject({
    tracing: z.strictObject(tracing).optional(),
    ...liveSettings,
    ...startSettings,
  })
  .superRefine(({ image }, context) => {
    const message = imageTypeProblem(image?.imageType)
    if (message) context.addIssue({ code: 'custom', path: ['image', 'imageType'], message })
  })

export type ProxySettings = z.infer<typeof proxySettings>
export type OwnProxySettings = z.infer<typeof ownProxySettings>

/** What of a proxy's own settings pilot has to know. */
export type OwnLiveSettings = Pick<OwnProxySettings, 'tracing' | keyof typeof liveSettings>

const OWN_LIVE = Object.keys({ tracing, ...liveSettings }).filter(
  (name): name is keyof OwnLiveSettings => name in ownProxySettings.shape,
)

/**
 * Reads what a node says of its own settings (`PROXY_CONFIG` in its metadata, as Istio's agents say it too). What a proxy
 * takes at its start is of no interest to who reads this.
 *
 * @returns the settings, or what is wrong with them.
 */
export function readOwnLiveSettings(value: unknown): Result<OwnLiveSettings, string> {
  if (value === undefined) return ok({})
  if (typeof value !== 'object' || value === null) return err('must be an object')
  const given = OWN_LIVE.filter(name => name in value).map(name => [name, value[name as never]] as const)
  const read = ownProxySettings.safeParse(Object.fromEntries(given))
  if (read.success) return ok(read.data)
  const [issue] = read.error.issues
  return err(issue ? `${formatPath(issue.path)}: ${describeIssue(issue)}` : 'can not be read')
}

/**
 * What holds for a proxy, as Istio merges it: each setting that it has of its own takes the place of the mesh's as a
 * whole, those of headers one by one.
 */
export function mergedSettings(
  ofMesh: ProxySettings,
  { tracing: spans, ...own }: OwnLiveSettings,
): ProxySettings {
  const proxyHeaders = { ...ofMesh.proxyHeaders, ...own.proxyHeaders }
  return { ...ofMesh, ...own, ...(spans ? { tracing: spans } : {}), proxyHeaders }
}
