import { z } from 'zod'
import { labelsField, portField } from '../fields.ts'
import type { Resource } from '../resource.ts'

const servicePort = z.looseObject({
  name: z.string().optional(),
  port: portField,
  targetPort: z.union([portField, z.string()]).optional(),
  protocol: z.string().optional(),
  appProtocol: z.string().optional(),
})

/** Kubernetes `Service`: what the mesh reads of it. */
export const serviceSpec = z.looseObject({
  type: z.string().optional(),
  clusterIP: z.string().optional(),
  clusterIPs: z.array(z.string()).optional(),
  externalName: z.string().optional(),
  ports: z.array(servicePort).optional(),
  selector: labelsField.optional(),
  publishNotReadyAddresses: z.boolean().optional(),
})

/** Kubernetes `EndpointSlice`: its body, which has no `spec`. */
export const endpointSliceSpec = z.looseObject({
  addressType: z.string(),
  endpoints: z
    .array(
      z.looseObject({
        addresses: z.array(z.string()),
        conditions: z.looseObject({ ready: z.boolean().optional() }).optional(),
        targetRef: z
          .looseObject({
            kind: z.string().optional(),
            name: z.string().optional(),
            namespace: z.string().optional(),
          })
          .optional(),
        nodeName: z.string().optional(),
        zone: z.string().optional(),
      }),
    )
    .nullish(),
  ports: z
    .array(
      z.looseObject({
        name: z.string().optional(),
        port: portField.optional(),
        protocol: z.string().optional(),
        appProtocol: z.string().optional(),
      }),
    )
    .nullish(),
})

export type ServiceSpec = z.infer<typeof serviceSpec>
export type Service = Resource<'Service', ServiceSpec>
export type EndpointSlice = Resource<'EndpointSlice', z.infer<typeof endpointSliceSpec>>
