import { z } from 'zod'
import { workloadSelectorField } from '../fields.ts'
import type { Resource } from '../resource.ts'

const mtls = z.strictObject({
  mode: z
    .enum(['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT'])
    .optional()
    .describe('What is taken; `UNSET` is what the wider policy says'),
})

/** Istio `PeerAuthentication`: whether a workload takes plaintext. */
export const peerAuthenticationSpec = z
  .strictObject({
    selector: workloadSelectorField
      .optional()
      .describe(
        'Workloads it holds for; without it, all of its namespace, or of the mesh in the root namespace',
      ),
    mtls: mtls.optional().describe('For all ports'),
    portLevelMtls: z
      .record(z.string().regex(/^\d+$/, 'must be a port number'), mtls)
      .optional()
      .describe('For single ports of the workload, by number'),
  })
  .superRefine((spec, context) => {
    if (spec.portLevelMtls && Object.keys(spec.selector?.matchLabels ?? {}).length === 0) {
      context.addIssue({
        code: 'custom',
        path: ['portLevelMtls'],
        message: 'needs a selector: ports differ between workloads',
      })
    }
  })

export type PeerAuthenticationSpec = z.infer<typeof peerAuthenticationSpec>
export type PeerAuthentication = Resource<'PeerAuthentication', PeerAuthenticationSpec>
export type MtlsMode = 'DISABLE' | 'PERMISSIVE' | 'STRICT'
