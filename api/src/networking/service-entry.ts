import { z } from 'zod'
import { exportToField, hostField, labelsField, portField } from '../fields.ts'
import type { Resource } from '../resource.ts'

/** Istio `WorkloadEntry`: one workload that Kubernetes does not know. */
export const workloadEntrySpec = z.strictObject({
  address: z.string().optional(),
  ports: z.record(z.string(), portField).optional(),
  labels: labelsField.optional(),
  network: z.string().optional(),
  locality: z.string().optional(),
  weight: z.int().min(0).optional(),
  serviceAccount: z.string().optional(),
})

const servicePort = z.strictObject({
  number: portField,
  protocol: z
    .string()
    .regex(
      /^(HTTP|HTTPS|GRPC|GRPC-WEB|HTTP2|MONGO|TCP|TLS|REDIS|MYSQL|UDP)$/i,
      'must be HTTP, HTTPS, GRPC, HTTP2, MONGO, TCP, TLS, REDIS or MYSQL',
    )
    .optional(),
  name: z.string().min(1),
  targetPort: portField.optional(),
})

/** Istio `ServiceEntry`: a service that is in no platform's registry. */
export const serviceEntrySpec = z
  .strictObject({
    hosts: z.array(hostField).min(1, 'needs at least one host'),
    addresses: z.array(z.string()).optional(),
    ports: z.array(servicePort).optional(),
    location: z.enum(['MESH_EXTERNAL', 'MESH_INTERNAL']).optional(),
    resolution: z.enum(['NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS']).optional(),
    endpoints: z.array(workloadEntrySpec).optional(),
    workloadSelector: z.strictObject({ labels: labelsField.optional() }).optional(),
    exportTo: exportToField,
    subjectAltNames: z.array(z.string()).optional(),
  })
  .superRefine((spec, context) => {
    const issue = (path: (string | number)[], message: string) =>
      context.addIssue({ code: 'custom', path, message })
    const resolution = spec.resolution ?? 'NONE'
    if (resolution === 'NONE' && spec.endpoints?.length)
      issue(['endpoints'], 'resolution NONE takes no endpoints: set resolution to STATIC or DNS')
    if (resolution === 'STATIC' && !spec.endpoints?.length && !spec.workloadSelector)
      issue(['endpoints'], 'resolution STATIC needs endpoints or a workloadSelector')
    if (spec.endpoints?.length && spec.workloadSelector)
      issue(['workloadSelector'], 'only one of endpoints and workloadSelector can be set')
    if (
      resolution.startsWith('DNS') &&
      !spec.endpoints?.length &&
      spec.hosts.some(host => host.startsWith('*'))
    ) {
      issue(['hosts'], 'a wildcard host with resolution DNS needs endpoints')
    }
    const names = new Set<string>()
    const numbers = new Set<number>()
    for (const [index, port] of (spec.ports ?? []).entries()) {
      if (names.has(port.name)) issue(['ports', index, 'name'], `there is already a port named ${port.name}`)
      if (numbers.has(port.number))
        issue(['ports', index, 'number'], `there is already a port ${port.number}`)
      names.add(port.name)
      numbers.add(port.number)
    }
  })

export type WorkloadEntrySpec = z.infer<typeof workloadEntrySpec>
export type WorkloadEntry = Resource<'WorkloadEntry', WorkloadEntrySpec>
export type ServiceEntrySpec = z.infer<typeof serviceEntrySpec>
export type ServiceEntry = Resource<'ServiceEntry', ServiceEntrySpec>
