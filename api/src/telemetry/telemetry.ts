import { z } from 'zod'
import { attachmentFields, checkAttachment } from '../fields/selectors.ts'
import { oneOf, positiveDuration } from '../fields.ts'
import type { Resource } from '../resource.ts'
import { type Rules, warnEmptySelector } from '../rules.ts'

const text = z.string().min(1, 'must not be empty')
const providers = z.array(z.strictObject({ name: z.string().min(1, 'a name is needed') })).optional()
const mode = z.enum(['CLIENT_AND_SERVER', 'CLIENT', 'SERVER']).optional()

const customTag = z
  .strictObject({
    literal: z.strictObject({ value: text }).optional(),
    environment: z.strictObject({ name: text, defaultValue: z.string().optional() }).optional(),
    header: z.strictObject({ name: text, defaultValue: z.string().optional() }).optional(),
    formatter: z.strictObject({ value: text }).optional(),
  })
  .superRefine(oneOf(['literal', 'environment', 'header', 'formatter']))

const tracing = z.strictObject({
  match: z.strictObject({ mode }).optional(),
  providers,
  randomSamplingPercentage: z
    .number()
    .min(0, 'a percentage is 0 to 100')
    .max(100, 'a percentage is 0 to 100')
    .optional(),
  disableSpanReporting: z.boolean().optional(),
  customTags: z.record(z.string().min(1, 'a tag has a name'), customTag).optional(),
  useRequestIdForTraceSampling: z.boolean().optional(),
  enableIstioTags: z.boolean().optional(),
  disableContextPropagation: z.boolean().optional(),
})

const tagOverride = z
  .strictObject({ operation: z.enum(['UPSERT', 'REMOVE']).optional(), value: z.string().optional() })
  .superRefine(({ operation = 'UPSERT', value }, context) => {
    if (operation === 'UPSERT' && !value)
      context.addIssue({ code: 'custom', path: ['value'], message: 'is needed to set a tag' })
    if (operation === 'REMOVE' && value)
      context.addIssue({ code: 'custom', path: ['value'], message: 'a tag that is removed has no value' })
  })

const metricsOverride = z.strictObject({
  match: z
    .strictObject({
      metric: z
        .enum([
          'ALL_METRICS',
          'REQUEST_COUNT',
          'REQUEST_DURATION',
          'REQUEST_SIZE',
          'RESPONSE_SIZE',
          'TCP_OPENED_CONNECTIONS',
          'TCP_CLOSED_CONNECTIONS',
          'TCP_SENT_BYTES',
          'TCP_RECEIVED_BYTES',
          'GRPC_REQUEST_MESSAGES',
          'GRPC_RESPONSE_MESSAGES',
        ])
        .optional(),
      customMetric: text.optional(),
      mode,
    })
    .superRefine(oneOf(['metric', 'customMetric']))
    .optional(),
  disabled: z.boolean().optional(),
  tagOverrides: z.record(z.string(), tagOverride).optional(),
})

const metrics = z.strictObject({
  providers,
  overrides: z.array(metricsOverride).optional(),
  reportingInterval: positiveDuration.optional(),
})

const accessLogging = z.strictObject({
  match: z.strictObject({ mode }).optional(),
  providers,
  disabled: z.boolean().optional(),
  filter: z.strictObject({ expression: z.string().optional() }).optional(),
})

/** Istio `Telemetry`: which spans, metrics and access logs workloads give. */
export const telemetrySpec = z
  .strictObject({
    ...attachmentFields,
    tracing: z.array(tracing).optional(),
    metrics: z.array(metrics).optional(),
    accessLogging: z.array(accessLogging).optional(),
  })
  .superRefine(checkAttachment)

export type TelemetrySpec = z.infer<typeof telemetrySpec>
export type Telemetry = Resource<'Telemetry', TelemetrySpec>

/** What Istio's validation warns of in a Telemetry. */
export const telemetryRules: Rules<TelemetrySpec> = (spec, findings) => {
  if (spec.selector) warnEmptySelector(spec.selector.matchLabels, ['selector'], findings)
  if ((spec.tracing ?? []).length > 1)
    findings.warn(['tracing', 1], 'only the first entry of tracing is used')
  for (const [index, { providers }] of (spec.tracing ?? []).entries())
    if ((providers ?? []).length > 1)
      findings.warn(['tracing', index, 'providers', 1], 'spans go to the first provider only')
}
