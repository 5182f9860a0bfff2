import { z } from 'zod'
import { clientTlsField } from '../networking/traffic-policy.ts'

/** What happens to calls that no service of the mesh is there for. */
export const outboundTrafficPolicy = z
  .strictObject({
    mode: z
      .enum(['ALLOW_ANY', 'REGISTRY_ONLY', 'ALLOW_ANY_DYNAMIC_DNS'])
      .default('ALLOW_ANY')
      .describe(
        'They pass, or end, or pass and the sidecar looks up the host of each plaintext request by itself, whatever address it was sent to. The last has connections on ports that the mesh does not know wait for their first bytes, for `protocolDetectionTimeout` at most',
      ),
    tls: clientTlsField
      .optional()
      .describe('TLS for requests that are looked up: with the mode ALLOW_ANY_DYNAMIC_DNS'),
  })
  .superRefine(({ mode, tls }, context) => {
    const issue = (path: readonly string[], message: string) =>
      context.addIssue({ code: 'custom', path: [...path], message })
    if (!tls) return
    if (mode !== 'ALLOW_ANY_DYNAMIC_DNS') issue(['tls'], 'goes with mode ALLOW_ANY_DYNAMIC_DNS')
    if (tls.mode === 'ISTIO_MUTUAL')
      issue(['tls', 'mode'], 'what is not of the mesh does not know its identities: use SIMPLE or MUTUAL')
    if (tls.credentialName)
      issue(['tls', 'credentialName'], 'is for rules of a namespace: name files in the pods')
  })
