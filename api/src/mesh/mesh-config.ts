import { z } from 'zod'
import { durationField, namespaceField, positiveDuration } from '../fields.ts'
import { localityLbSetting } from '../networking/locality.ts'

/** What applies to the mesh as a whole: the `mesh` entry of the ConfigMap `istio` (or `seine`) in the root namespace. */
export const meshConfigSchema = z.strictObject({
  trustDomain: z
    .string()
    .regex(/^[a-z0-9._-]+$/, 'a trust domain is lower-case letters, digits, ".", "-" and "_"')
    .default('cluster.local')
    .describe('The first part of every SPIFFE ID: the same as `seined --trust-domain`'),
  rootNamespace: namespaceField.default('istio-system').describe('Resources here apply to the whole mesh'),
  outboundTrafficPolicy: z
    .strictObject({ mode: z.enum(['ALLOW_ANY', 'REGISTRY_ONLY']) })
    .default({ mode: 'ALLOW_ANY' })
    .describe('What happens to a call to a host that no service has'),
  enableAutoMtls: z
    .boolean()
    .default(true)
    .describe('Sidecars use mTLS to each other where no DestinationRule says otherwise'),
  enableTracing: z.boolean().default(true).describe('Sidecars send spans'),
  accessLogFile: z
    .string()
    .default('/dev/stdout')
    .describe('Where sidecars write access logs; empty for nowhere'),
  accessLogEncoding: z.enum(['TEXT', 'JSON']).default('JSON').describe('How they are written'),
  connectTimeout: positiveDuration.default('10s').describe('For a TCP connection to an endpoint'),
  protocolDetectionTimeout: durationField
    .default('5s')
    .describe('How long a listener waits for the first bytes to tell the protocol'),
  localityLbSetting: localityLbSetting
    .default({ enabled: true })
    .describe('How place counts where no DestinationRule says otherwise'),
  defaultConfig: z
    .strictObject({
      tracing: z
        .strictObject({
          sampling: z
            .number()
            .min(0)
            .max(100)
            .default(100)
            .describe('Percentage of requests that are traced'),
        })
        .prefault({}),
    })
    .prefault({}),
})

/** The mesh-wide settings, complete. */
export type MeshConfig = z.infer<typeof meshConfigSchema>

/** The settings of a mesh that has none written down. */
export const defaultMeshConfig: MeshConfig = meshConfigSchema.parse({})
