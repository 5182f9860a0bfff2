import { z } from 'zod'
import { labelsField } from '../fields/selectors.ts'
import { hostField, ipField, portField } from '../fields.ts'
import { canonicalIp } from '../ip.ts'
import type { Resource } from '../resource.ts'

const servicePort = z.looseObject({
  name: z.string().optional().describe('Its prefix tells the protocol: `http-…`, `grpc-…`, `tcp-…`'),
  port: portField.describe('The port that clients call'),
  targetPort: z
    .union([portField, z.string().min(1)], 'must be a port or the name of one')
    .optional()
    .describe("The pod's port, by number or name; the same unless it is said"),
  protocol: z.string().optional().describe('Other than `TCP` is left out'),
  appProtocol: z.string().optional().describe("The protocol; counts before the name's prefix"),
})

const clusterIp = z
  .string()
  .refine(text => ['None', ''].includes(text) || canonicalIp(text), 'must be an IP address or None')

/** Kubernetes `Service`: what the mesh reads of it. */
export const serviceSpec = z
  .looseObject({
    type: z
      .string()
      .optional()
      .describe('`ExternalName` makes a service outside of the mesh that DNS resolves; others are alike'),
    clusterIP: clusterIp.optional().describe('Its address; `None` for a headless service'),
    clusterIPs: z.array(clusterIp).optional().describe('Its addresses, at most one of each family'),
    ipFamilies: z
      .array(z.enum(['IPv4', 'IPv6']))
      .optional()
      .describe(
        "Of its pods' addresses, only those of these families count; else only those of the families of `clusterIPs`",
      ),
    externalName: hostField.optional().describe('With type `ExternalName`'),
    ports: z.array(servicePort).optional().describe('Its ports'),
    selector: labelsField.optional().describe('Labels of its pods'),
    trafficDistribution: z
      .enum(['PreferClose', 'PreferSameZone', 'PreferSameNode'])
      .optional()
      .describe(
        "`PreferSameZone`, also called `PreferClose`: clients go to endpoints of their zone, while there are some, then of their region, then to all. `PreferSameNode`: of their node first, then of their subzone. A DestinationRule's `localityLbSetting` comes before it, and the annotation `networking.istio.io/traffic-distribution` says the same, also of a ServiceEntry",
      ),
    externalIPs: z
      .array(ipField)
      .optional()
      .describe('Addresses by which other networks reach it, where it is the gateway of a network'),
    loadBalancerIP: z
      .string()
      .refine(text => text === '' || canonicalIp(text) !== undefined, 'must be an IP address')
      .optional()
      .describe(
        'The same with type `LoadBalancer`, where its `status.loadBalancer.ingress` names no address yet',
      ),
    publishNotReadyAddresses: z.boolean().optional().describe('Whether pods count that are not ready'),
  })
  .superRefine(({ type, externalName, ports }, context) => {
    const issue = (path: (string | number)[], message: string) =>
      context.addIssue({ code: 'custom', path, message })
    if (type === 'ExternalName' && !externalName) issue(['externalName'], 'is needed with type ExternalName')
    const seen = new Set<string>()
    for (const [index, { port, name = '', protocol = 'TCP' }] of (ports ?? []).entries()) {
      if (seen.has(`${protocol} ${port}`)) issue(['ports', index, 'port'], `there is already a port ${port}`)
      if (name === '' && (ports?.length ?? 0) > 1)
        issue(['ports', index, 'name'], 'is needed where there are several ports')
      else if (seen.has(name)) issue(['ports', index, 'name'], `there is already a port named ${name}`)
      seen.add(`${protocol} ${port}`).add(name)
    }
  })

/** A Kubernetes `Service`'s `status`: what the mesh reads of it. */
export const serviceStatus = z.looseObject({
  loadBalancer: z
    .looseObject({
      ingress: z.array(z.looseObject({ ip: ipField.optional(), hostname: z.string().optional() })).optional(),
    })
    .optional(),
})

/** Kubernetes `EndpointSlice`: its body, which has no `spec`. */
export const endpointSliceSpec = z.looseObject({
  addressType: z.string().describe('`IPv4` or `IPv6`'),
  endpoints: z
    .array(
      z.looseObject({
        addresses: z.array(z.string()).describe('Addresses'),
        conditions: z
          .looseObject({
            ready: z.boolean().nullish().describe('Whether it takes requests; true unless it is said'),
          })
          .nullish(),
      }),
    )
    .nullish()
    .describe('Where the service is'),
  ports: z
    .array(
      z.looseObject({
        name: z.string().nullish().describe("The name of the Service's port"),
        port: portField.nullish().describe('The port of the addresses'),
      }),
    )
    .nullish()
    .describe('Where each port of the Service is'),
})

export type ServiceSpec = z.infer<typeof serviceSpec>
export interface Service extends Resource<'Service', ServiceSpec> {
  readonly status?: z.infer<typeof serviceStatus>
}
export type EndpointSlice = Resource<'EndpointSlice', z.infer<typeof endpointSliceSpec>>
