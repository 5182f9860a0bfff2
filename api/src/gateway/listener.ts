import { z } from 'zod'
import {
  DOMAIN_PREFIXED,
  gatewayPortField,
  groupField,
  hostnameField,
  kindField,
  labelSelectorField,
  optionsField,
  secretRefField,
  sectionNameField,
  unique,
} from './common.ts'

/** The group of the Gateway API's kinds. */
export const GATEWAY_GROUP = 'gateway.networking.k8s.io'

const tls = z
  .strictObject({
    mode: z.enum(['Terminate', 'Passthrough']).default('Terminate'),
    certificateRefs: z.array(secretRefField).max(64).optional(),
    options: optionsField.optional(),
  })
  .refine(
    ({ mode, certificateRefs, options }) =>
      mode !== 'Terminate' || certificateRefs?.length || Object.keys(options ?? {}).length > 0,
    { path: ['certificateRefs'], message: 'a certificate is needed to end TLS, or options' },
  )

const listener = z
  .strictObject({
    name: sectionNameField,
    hostname: hostnameField.optional(),
    port: gatewayPortField,
    protocol: z
      .string()
      .min(1, 'is needed')
      .max(255)
      .refine(
        text => /^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$/.test(text) || DOMAIN_PREFIXED.test(text),
        'must be HTTP, HTTPS, TLS, TCP, UDP, or a domain, "/" and a name',
      ),
    tls: tls.optional(),
    allowedRoutes: z
      .strictObject({
        namespaces: z
          .strictObject({
            from: z.enum(['All', 'Selector', 'Same']).default('Same'),
            selector: labelSelectorField.optional(),
          })
          .prefault({}),
        kinds: z
          .array(z.strictObject({ group: groupField.default(GATEWAY_GROUP), kind: kindField }))
          .max(8)
          .optional(),
      })
      .prefault({}),
  })
  .superRefine(({ protocol, tls, hostname }, context) => {
    const issue = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message })
    if (tls && ['HTTP', 'TCP', 'UDP'].includes(protocol)) issue(['tls'], `protocol ${protocol} has no TLS`)
    if (protocol === 'HTTPS' && tls?.mode === 'Passthrough')
      issue(['tls', 'mode'], 'must be Terminate for protocol HTTPS; use protocol TLS to pass it through')
    if (protocol === 'TLS' && !tls) issue(['tls'], 'is needed for protocol TLS')
    if (hostname && (protocol === 'TCP' || protocol === 'UDP'))
      issue(['hostname'], `protocol ${protocol} tells no hosts apart: leave it out`)
  })

export type Listener = z.infer<typeof listener>

/** The listeners of a Gateway or a ListenerSet. */
export const listenersField = z
  .array(listener)
  .min(1, 'needs at least one listener')
  .max(64)
  .superRefine(
    unique(
      ({ name }) => name,
      ({ name }) => `there is already a listener named ${name}`,
      ['name'],
    ),
  )
  .superRefine(
    unique(
      ({ port, protocol, hostname }) => JSON.stringify([port, protocol, hostname]),
      ({ port, protocol, hostname }) =>
        `there is already a listener for ${protocol} at port ${port}${hostname ? ` with the host ${hostname}` : ''}`,
    ),
  )
