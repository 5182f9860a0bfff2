import { z } from 'zod'
import { workloadSelectorField } from '../fields.ts'
import type { Resource } from '../resource.ts'

const mtls = z.strictObject({ mode: z.enum(['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT']).optional() })

/** Istio `PeerAuthentication`: whether a workload takes plaintext. */
export const peerAuthenticationSpec = z
  .strictObject({
    selector: workloadSelectorField.optional(),
    mtls: mtls.optional(),
    portLevelMtls: z.record(z.string().regex(/^\d+$/, 'must be a port number'), mtls).optional(),
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
