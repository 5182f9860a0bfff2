import { z } from 'zod'
import { hostField, ipField, labelsField, portField } from '../fields.ts'
import type { Resource } from '../resource.ts'

const servicePort = z.looseObject({
  name: z.string().optional(),
  port: portField,
  targetPort: z.union([portField, z.string().min(1)], 'must be a port or the name of one').optional(),
  protocol: z.string().optional(),
  appProtocol: z.string().optional(),
})

const clusterIp = z.union([ipField, z.literal(['None', ''])], 'must be an IP address or None')

/** Kubernetes `Service`: what the mesh reads of it. */
export const serviceSpec = z
  .looseObject({
    type: z.string().optional(),
    clusterIP: clusterIp.optional(),
    clusterIPs: z.array(clusterIp).optional(),
    externalName: hostField.optional(),
    ports: z.array(servicePort).optional(),
    selector: labelsField.optional(),
    publishNotReadyAddresses: z.boolean().optional(),
  })
  .superRefine(({ type, externalName, ports }, context) => {
    const issue = (path: (string | number)[], message: string) =>
      context.addIssue({ code: 'custom', path, message })
    if (type === 'ExternalName' && !externalName) issue(['externalName'], 'is needed with type ExternalName')
    const seen = new Set<string>()
    for (const [index, { port, name = '', protocol = 'TCP' }] of (ports ?? []).entries()) {
      if (seen.has(`${protocol} ${port}`)) issue(['ports', index, 'port'], `there is already a port ${port}`)
      if (seen.has(name)) issue(['ports', index, 'name'], `there is already a port named "${name}"`)
      seen.add(`${protocol} ${port}`).add(name)
    }
  })

/** Kubernetes `EndpointSlice`: its body, which has no `spec`. */
export const endpointSliceSpec = z.looseObject({
  addressType: z.string(),
  endpoints: z
    .array(
      z.looseObject({
        addresses: z.array(z.string()),
        conditions: z.looseObject({ ready: z.boolean().nullish() }).nullish(),
        targetRef: z
          .looseObject({
            kind: z.string().optional(),
            name: z.string().optional(),
            namespace: z.string().optional(),
          })
          .nullish(),
        nodeName: z.string().nullish(),
        zone: z.string().nullish(),
      }),
    )
    .nullish(),
  ports: z
    .array(
      z.looseObject({
        name: z.string().nullish(),
        port: portField.nullish(),
        protocol: z.string().nullish(),
        appProtocol: z.string().nullish(),
      }),
    )
    .nullish(),
})

export type ServiceSpec = z.infer<typeof serviceSpec>
export type Service = Resource<'Service', ServiceSpec>
export type EndpointSlice = Resource<'EndpointSlice', z.infer<typeof endpointSliceSpec>>
