import { z } from 'zod'
import type { Resource } from '../resource.ts'
import { DOMAIN_PREFIXED, groupField, kindField, namespaceField, objectNameField } from './common.ts'

/** Gateway API `GatewayClass`: who makes the gateways of a class. */
export const gatewayClassSpec = z.strictObject({
  controllerName: z
    .string()
    .min(1, 'is needed')
    .max(253)
    .regex(DOMAIN_PREFIXED, 'must be a domain, "/" and a path, such as istio.io/gateway-controller'),
  parametersRef: z
    .strictObject({
      group: groupField,
      kind: kindField,
      name: objectNameField,
      namespace: namespaceField.optional(),
    })
    .optional(),
  description: z.string().max(64).optional(),
})

export type GatewayClassSpec = z.infer<typeof gatewayClassSpec>
export type GatewayClass = Resource<'GatewayClass', GatewayClassSpec>
