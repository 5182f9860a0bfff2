import { z } from 'zod'
import { countField, durationField, portField } from '../fields.ts'

/** `[<namespace>/]<host>` of a service of the mesh. */
const service = z
  .string()
  .regex(
    /^([a-z0-9]([-a-z0-9]*[a-z0-9])?\/)?[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?)*$/,
    'must be a host, with "<namespace>/" before it where it would not be clear',
  )
const at = { service, port: portField } as const
const maxTagLength = countField.optional()
const texts = z.array(z.string()).optional()

const header = z
  .strictObject({ name: z.string().min(1), value: z.string().optional(), envName: z.string().optional() })
  .refine(one => (one.value === undefined) !== (one.envName === undefined), 'must have a value or an envName')
const http = z.strictObject({
  path: z.string().optional(),
  timeout: durationField.optional(),
  headers: z.array(header).optional(),
})

const checkedBody = z.strictObject({
  maxRequestBytes: countField.min(1, 'must be 1 or more'),
  allowPartialMessage: z.boolean().optional(),
  packAsBytes: z.boolean().optional(),
})
const authorizer = {
  ...at,
  timeout: durationField.optional(),
  failOpen: z.boolean().optional(),
  clearRouteCache: z.boolean().optional(),
  statusOnError: z
    .string()
    .regex(/^[1-5]\d\d$/, 'must be a status of HTTP')
    .optional(),
  includeRequestBodyInCheck: checkedBody.optional(),
} as const

/** What a provider is, by the name of its field: one of these. */
const kinds = {
  envoyExtAuthzHttp: z.strictObject({
    ...authorizer,
    pathPrefix: z.string().regex(/^\//, 'must begin with /').optional(),
    includeHeadersInCheck: texts,
    includeRequestHeadersInCheck: texts,
    includeAdditionalHeadersInCheck: z.record(z.string(), z.string()).optional(),
    headersToUpstreamOnAllow: texts,
    headersToDownstreamOnDeny: texts,
    headersToDownstreamOnAllow: texts,
  }),
  envoyExtAuthzGrpc: z.strictObject(authorizer),
  zipkin: z.strictObject({
    ...at,
    maxTagLength,
    enable64bitTraceId: z.boolean().optional(),
    path: z.string().optional(),
    traceContextOption: z.enum(['USE_B3', 'USE_B3_WITH_W3C_PROPAGATION']).optional(),
    timeout: durationField.optional(),
    headers: z.array(header).optional(),
  }),
  lightstep: z.strictObject({ ...at, accessToken: z.string().optional(), maxTagLength }),
  datadog: z.strictObject({ ...at, maxTagLength }),
  stackdriver: z.strictObject({
    debug: z.boolean().optional(),
    maxNumberOfAttributes: countField.optional(),
    maxNumberOfAnnotations: countField.optional(),
    maxNumberOfMessageEvents: countField.optional(),
    maxTagLength,
    logging: z.strictObject({ labels: z.record(z.string(), z.string()).optional() }).optional(),
  }),
  opencensus: z.strictObject({
    ...at,
    context: z
      .array(z.enum(['UNSPECIFIED', 'W3C_TRACE_CONTEXT', 'GRPC_BIN', 'CLOUD_TRACE_CONTEXT', 'B3']))
      .optional(),
    maxTagLength,
  }),
  skywalking: z.strictObject({ ...at, accessToken: z.string().optional() }),
  opentelemetry: z
    .strictObject({
      ...at,
      maxTagLength,
      http: http.optional(),
      grpc: z
        .strictObject({ timeout: durationField.optional(), initialMetadata: z.array(header).optional() })
        .optional(),
      resourceDetectors: z
        .strictObject({
          environment: z.strictObject({}).optional(),
          dynatrace: z.strictObject({}).optional(),
        })
        .optional(),
      serviceAttributeEnrichment: z.enum(['ISTIO_CANONICAL', 'OTEL_SEMANTIC_CONVENTIONS']).optional(),
      dynatraceSampler: z
        .strictObject({
          tenant: z.string().min(1),
          clusterId: z.int(),
          rootSpansPerMinute: countField.optional(),
          httpService: z.strictObject({ ...at, http }).optional(),
        })
        .optional(),
    })
    .refine(({ http, grpc }) => !http || !grpc, 'can not have both http and grpc'),
  prometheus: z.strictObject({}),
  envoyFileAccessLog: z.strictObject({
    path: z
      .string()
      .regex(/^(\/[^\p{Cc}]*)?$/u, 'must be the path of a file, from /')
      .optional()
      .describe('`/dev/stdout` unless it is said'),
    logFormat: z
      .strictObject({
        text: z.string().optional().describe("A line in Envoy's format"),
        labels: z
          .record(z.string(), z.unknown())
          .optional()
          .describe('A JSON object of such in place of a line'),
      })
      .refine(
        ({ text, labels }) => text === undefined || labels === undefined,
        'can not have both text and labels',
      )
      .optional()
      .describe("Istio's line unless it is said"),
    omitEmptyValues: z
      .boolean()
      .optional()
      .describe('Nothing stands where there is no value, in place of `-`'),
  }),
  envoyHttpAls: z.strictObject({
    ...at,
    logName: z.string().optional(),
    filterStateObjectsToLog: texts,
    additionalRequestHeadersToLog: texts,
    additionalResponseHeadersToLog: texts,
    additionalResponseTrailersToLog: texts,
  }),
  envoyTcpAls: z.strictObject({ ...at, logName: z.string().optional(), filterStateObjectsToLog: texts }),
  envoyOtelAls: z.strictObject({
    ...at,
    logName: z.string().optional().describe('What they are called; `otel_envoy_accesslog` unless it is said'),
    logFormat: z
      .strictObject({
        text: z.string().optional().describe("The body, in Envoy's format; Istio's line unless it is said"),
        labels: z.record(z.string(), z.string()).optional().describe('Attributes, in the same'),
      })
      .optional(),
  }),
  sds: z.strictObject({ name: z.string().min(1), ...at }),
} as const

const KINDS = Object.keys(kinds) as (keyof typeof kinds)[]

/** A definition that others refer to by its name: where access logs, spans or questions may go. */
const extensionProvider = z
  .strictObject({
    name: z.string().min(1).describe('By which it is referred to'),
    ...(Object.fromEntries(KINDS.map(kind => [kind, kinds[kind].optional()])) as {
      [K in keyof typeof kinds]: z.ZodOptional<(typeof kinds)[K]>
    }),
  })
  .superRefine((provider, context) => {
    const given = KINDS.filter(kind => provider[kind] !== undefined)
    if (given.length === 1) return
    const message = `must be one of ${KINDS.join(', ')}`
    context.addIssue({ code: 'custom', path: [], message })
  })

export type ExtensionProvider = z.infer<typeof extensionProvider>

/** The providers that people define. */
export const extensionProviders = z.array(extensionProvider).superRefine((providers, context) => {
  for (const [index, { name }] of providers.entries())
    if (providers.findIndex(one => one.name === name) < index)
      context.addIssue({ code: 'custom', path: [index, 'name'], message: 'is the name of another provider' })
})

/** Which providers are used where nothing says otherwise. */
export const defaultProviders = z.strictObject({
  metrics: z.array(z.string()).optional().describe('`prometheus`: proxies always have metrics for it'),
  accessLogging: z
    .array(z.string())
    .optional()
    .describe(
      'Providers with `envoyFileAccessLog` or `envoyOtelAls`, in place of `accessLogFile`; `envoy` is one that writes to standard output in the format of the mesh',
    ),
  tracing: z
    .array(z.string())
    .max(1, 'can name one provider')
    .optional()
    .describe('A provider with `opentelemetry`, which gets all spans in place of mixer'),
})

/** The providers that are there without being defined, as in Istio; a definition of the same name takes the place of one. */
const BUILT_IN: readonly ExtensionProvider[] = [
  { name: 'prometheus', prometheus: {} },
  { name: 'stackdriver', stackdriver: {} },
  { name: 'envoy', envoyFileAccessLog: {} },
]

/** The provider of a name. */
export function providerNamed(
  name: string,
  defined: readonly ExtensionProvider[],
): ExtensionProvider | undefined {
  return [...defined, ...BUILT_IN].find(one => one.name === name)
}

/** The kind of a provider, as the name of its field. */
export function providerKind(provider: ExtensionProvider): keyof typeof kinds | undefined {
  return KINDS.find(kind => provider[kind] !== undefined)
}

/** Why a provider can't be used for spans, though it is of the right kind. */
export function unsupportedIn({ name, opentelemetry }: ExtensionProvider): string | undefined {
  if (!opentelemetry) return undefined
  const { resourceDetectors, dynatraceSampler, serviceAttributeEnrichment, http, grpc } = opentelemetry
  const headers = [...(http?.headers ?? []), ...(grpc?.initialMetadata ?? [])]
  const field = Object.keys(resourceDetectors ?? {}).length
    ? 'resourceDetectors: spans hold what the proxy knows of its workload'
    : dynatraceSampler
      ? 'dynatraceSampler: use the sampling of defaultConfig.tracing'
      : serviceAttributeEnrichment === 'OTEL_SEMANTIC_CONVENTIONS'
        ? 'OTEL_SEMANTIC_CONVENTIONS: tracingServiceName says whose spans they are'
        : headers.some(({ envName }) => envName !== undefined)
          ? 'envName: write the value of headers'
          : undefined
  return field && `the provider ${name} can not be used with ${field}`
}
