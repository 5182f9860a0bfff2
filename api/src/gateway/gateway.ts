import { z } from 'zod'
import { labelKeyProblem, labelValueProblem } from '../fields/selectors.ts'
import { isIpAddress } from '../ip.ts'
import type { Resource } from '../resource.ts'
import {
  DOMAIN_PREFIXED,
  gatewayPortField,
  groupField,
  hostnameField,
  kindField,
  labelSelectorField,
  namespaceField,
  objectNameField,
  secretRefField,
  unique,
} from './common.ts'
import { listenersField } from './listener.ts'

const address = z
  .strictObject({
    type: z
      .string()
      .min(1)
      .max(253)
      .refine(
        type => ['IPAddress', 'Hostname', 'NamedAddress'].includes(type) || DOMAIN_PREFIXED.test(type),
        'must be IPAddress, Hostname, NamedAddress, or a domain, "/" and a name',
      )
      .default('IPAddress'),
    value: z.string().max(253).optional(),
  })
  .superRefine(({ type, value }, context) => {
    if (!value) return
    if (type === 'IPAddress' && !isIpAddress(value))
      context.addIssue({ code: 'custom', path: ['value'], message: 'must be an IP address' })
    if (type === 'Hostname' && !hostnameField.safeParse(value).success)
      context.addIssue({ code: 'custom', path: ['value'], message: 'must be a host name' })
  })

const clientValidation = z.strictObject({
  caCertificateRefs: z
    .array(
      z.strictObject({
        group: groupField,
        kind: kindField,
        name: objectNameField,
        namespace: namespaceField.optional(),
      }),
    )
    .min(1, 'needs at least one certificate authority')
    .max(16),
  mode: z.enum(['AllowValidOnly', 'AllowInsecureFallback']).default('AllowValidOnly'),
})

const gatewayTls = z.strictObject({
  backend: z.strictObject({ clientCertificateRef: secretRefField.optional() }).optional(),
  frontend: z
    .strictObject({
      default: z.strictObject({ validation: clientValidation.optional() }),
      perPort: z
        .array(
          z.strictObject({
            port: gatewayPortField,
            tls: z.strictObject({ validation: clientValidation.optional() }),
          }),
        )
        .max(64)
        .superRefine(
          unique(
            ({ port }) => String(port),
            ({ port }) => `port ${port} is there twice`,
            ['port'],
          ),
        )
        .optional(),
    })
    .optional(),
})

function checkedMap(max: number, problem: (key: string, value: string) => string | undefined) {
  return z
    .record(z.string(), z.string())
    .refine(map => Object.keys(map).length <= max, `has at most ${max} entries`)
    .superRefine((map, context) => {
      for (const [key, value] of Object.entries(map)) {
        const message = problem(key, value)
        if (message) context.addIssue({ code: 'custom', path: [key], message })
      }
    })
}

/** Gateway API `Gateway`: the ports at which connections are taken. */
export const kubernetesGatewaySpec = z.strictObject({
  gatewayClassName: objectNameField,
  listeners: listenersField,
  addresses: z
    .array(address)
    .max(16)
    .superRefine(
      unique(
        ({ type, value }) => (value ? `${type} ${value}` : undefined),
        ({ value }) => `${value} is there twice`,
        ['value'],
      ),
    )
    .optional(),
  infrastructure: z
    .strictObject({
      labels: checkedMap(8, (key, value) => labelKeyProblem(key) ?? labelValueProblem(value)).optional(),
      annotations: checkedMap(16, (key, value) =>
        value.length > 4096 ? 'has more than 4096 characters' : labelKeyProblem(key),
      ).optional(),
      parametersRef: z.strictObject({ group: groupField, kind: kindField, name: objectNameField }).optional(),
    })
    .optional(),
  allowedListeners: z
    .strictObject({
      namespaces: z
        .strictObject({
          from: z.enum(['All', 'Selector', 'Same', 'None']).default('None'),
          selector: labelSelectorField.optional(),
        })
        .prefault({}),
    })
    .optional(),
  tls: gatewayTls.optional(),
  defaultScope: z.enum(['All', 'None']).optional(),
})

export type KubernetesGatewaySpec = z.infer<typeof kubernetesGatewaySpec>
/** The Gateway API's `Gateway`, which shares its kind's name with Istio's. */
export interface KubernetesGateway extends Resource<'Gateway', KubernetesGatewaySpec> {
  readonly apiVersion: `gateway.networking.k8s.io/${string}`
}
