import { z } from 'zod'
import { countField, positiveDuration, secondsDuration } from '../fields.ts'
import { concurrencyField, environmentField, imageField } from '../networking/proxy-config.ts'
import { re2Problem } from '../re2.ts'
import { certificatesField } from './certificates-field.ts'
import { fixed } from './fixed-setting.ts'

/** `host:port`, with an IPv6 address in brackets. */
const HOST_PORT = /^(\[[\da-fA-F:.]+\]|[^:[\]\s/]+):([1-9]\d{0,4})$/

const expression = z.string().superRefine((text, context) => {
  const message = re2Problem(text)
  if (message) context.addIssue({ code: 'custom', message })
})

/** Where agents find the control plane. */
export const discoveryAddressField = z
  .string()
  .refine(
    text => Number(HOST_PORT.exec(text)?.[2] ?? 0) <= 65_535 && HOST_PORT.test(text),
    'must be <host>:<port>',
  )

/** What a proxy takes when it starts: a pod has what holds when it is injected until it is made anew. */
export const startSettings = {
  concurrency: concurrencyField.optional(),
  proxyMetadata: environmentField.optional(),
  image: imageField
    .optional()
    .describe(
      'Which image a proxy has: there is one. Of another type for the whole mesh only a warning comes',
    ),
  drainDuration: secondsDuration
    .optional()
    .describe('How long connections of replaced listeners may go on; 45 s unless it is said'),
  fileFlushInterval: positiveDuration
    .optional()
    .describe('How often access logs are written out; 1 s unless it is said'),
  fileFlushMinSizeKb: countField
    .min(1)
    .optional()
    .describe('How much of them is collected at most until then, in KiB; 64 unless it is said'),
  terminationDrainDuration: positiveDuration
    .optional()
    .describe('How long requests may take to end when a pod stops; 5 s unless it is said'),
  holdApplicationUntilProxyStarts: z
    .boolean()
    .optional()
    .describe('The containers of a pod start when its sidecar is ready'),
  proxyStatsMatcher: z
    .strictObject({
      inclusionPrefixes: z.array(z.string().min(1)).optional(),
      inclusionSuffixes: z.array(z.string().min(1)).optional(),
      inclusionRegexps: z.array(expression).optional(),
    })
    .optional()
    .describe(
      "Statistics of Envoy's that are kept beside those that always are, by the beginning, end or form of their names",
    ),
  runtimeValues: z
    .record(z.string().min(1), z.string())
    .optional()
    .describe("Values of Envoy's runtime, by their keys"),
  caCertificatesPem: z
    .array(certificatesField)
    .optional()
    .describe("Authorities that a proxy trusts beside the mesh's root, each in PEM"),
  discoveryAddress: discoveryAddressField
    .optional()
    .describe(
      'Where the agent of a pod finds the control plane. For the whole mesh only a warning comes of it: agents are told by the injector',
    ),
  proxyAdminPort: fixed(15000, 'the admin port is 15000'),
  statusPort: fixed(15020, 'the hub looks for metrics there'),
  controlPlaneAuthPolicy: fixed('MUTUAL_TLS', 'the control plane is reached by TLS always'),
  interceptionMode: fixed('REDIRECT', 'connections are captured by REDIRECT only'),
  sds: z
    .strictObject({ enabled: fixed(true, 'certificates always come by SDS') })
    .optional()
    .describe('Deprecated'),
  statsCompression: fixed(false, 'the agent serves metrics as they are'),
} as const
