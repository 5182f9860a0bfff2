import { z } from 'zod'
import { workloadSelectorField } from '../fields/selectors.ts'
import type { Resource } from '../resource.ts'
import { type Rules, warnEmptySelector } from '../rules.ts'

const mtls = z.strictObject({
  mode: z
    .enum(['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT'])
    .optional()
    .describe('What is taken; `UNSET` is what the wider policy says'),
})

const portNumber = z
  .string()
  .refine(text => /^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= 65535, 'must be a port number')

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
      .record(portNumber, mtls)
      .refine(ports => Object.keys(ports).length > 0, 'must not be empty: leave the field out instead')
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

/** What Istio's validation warns of in a PeerAuthentication. */
export const peerAuthenticationRules: Rules<PeerAuthenticationSpec> = (spec, findings) => {
  if (spec.selector) warnEmptySelector(spec.selector.matchLabels, ['selector'], findings)
}
