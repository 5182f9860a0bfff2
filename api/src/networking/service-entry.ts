import { z } from 'zod'
import { addressRangeField, exportToField, hostField, labelsField, portField } from '../fields.ts'
import { canonicalIp } from '../ip.ts'
import type { Resource } from '../resource.ts'

const UNIX_SOCKET = 'unix://'

/** Istio `WorkloadEntry`: one workload that Kubernetes does not know. */
export const workloadEntrySpec = z.strictObject({
  address: z
    .string()
    .refine(text => !text.startsWith(UNIX_SOCKET), 'Unix sockets are not supported yet')
    .pipe(hostField)
    .describe('An IP address, or a host name where the ServiceEntry resolves by DNS'),
  ports: z
    .record(z.string(), portField)
    .optional()
    .describe("The workload's port for each port of the service, by name"),
  labels: labelsField.optional().describe('Labels, by which services and policies select it'),
  network: z.string().optional().describe('The network it is in'),
  locality: z.string().optional().describe('Where it is'),
  weight: z.int().min(0).max(1_000_000).optional().describe('Its share of the requests; 1 unless it is said'),
  serviceAccount: z.string().optional().describe('Its identity'),
})

const servicePort = z.strictObject({
  number: portField.describe('The port that clients call'),
  protocol: z
    .string()
    .regex(
      /^(HTTP|HTTPS|GRPC|GRPC-WEB|HTTP2|MONGO|TCP|TLS|REDIS|MYSQL|UDP)$/i,
      'must be HTTP, HTTPS, GRPC, HTTP2, MONGO, TCP, TLS, REDIS or MYSQL',
    )
    .optional()
    .describe(
      "What is spoken; found out from the port's name: name.describe('Its name'), else from the first bytes, unless it is said",
    ),
  name: z.string().min(1),
  targetPort: portField.optional().describe('The port of the endpoints; the same unless it is said'),
})

/** Istio `ServiceEntry`: a service that is in no platform's registry. */
export const serviceEntrySpec = z
  .strictObject({
    hosts: z.array(hostField).min(1, 'needs at least one host').describe('Its names'),
    addresses: z
      .array(addressRangeField)
      .optional()
      .describe("Addresses that clients call it by; one of the mesh's own unless it is said"),
    ports: z.array(servicePort).optional().describe('Its ports'),
    location: z
      .enum(['MESH_EXTERNAL', 'MESH_INTERNAL'])
      .optional()
      .describe('Whether it is part of the mesh; `MESH_EXTERNAL` unless it is said'),
    resolution: z
      .enum(['NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS'])
      .optional()
      .describe('How endpoints are found: where the client went (`NONE`), as listed (`STATIC`), or by DNS'),
    endpoints: z.array(workloadEntrySpec).optional().describe('Where it is to be reached'),
    workloadSelector: z
      .strictObject({ labels: labelsField.optional().describe('Labels that they must have, all of them') })
      .optional()
      .describe('Pods and WorkloadEntries that are its endpoints, by labels'),
    exportTo: exportToField.describe('Namespaces it is visible in; all unless it is said. `.` is its own'),
    subjectAltNames: z
      .array(z.string().min(1))
      .optional()
      .describe('Names that its certificate may have, where mutual TLS is used'),
  })
  .superRefine((spec, context) => {
    checkResolution(spec, context)
    checkEndpoints(spec, context)
    checkPorts(spec.ports ?? [], context)
  })

type Spec = z.infer<typeof serviceEntrySpec>

function issue(context: z.RefinementCtx, path: (string | number)[], message: string): void {
  context.addIssue({ code: 'custom', path, message })
}

/** What the ways to find a service's addresses need, and what they do not take. */
function checkResolution(
  { resolution = 'NONE', endpoints = [], workloadSelector, hosts }: Spec,
  context: z.RefinementCtx,
): void {
  if (resolution === 'NONE' && endpoints.length > 0)
    issue(context, ['endpoints'], 'resolution NONE takes no endpoints: set resolution to STATIC or DNS')
  if (resolution === 'NONE' && workloadSelector)
    issue(
      context,
      ['workloadSelector'],
      'resolution NONE goes where the client went: set resolution to STATIC',
    )
  if (resolution === 'STATIC' && endpoints.length === 0 && !workloadSelector)
    issue(context, ['endpoints'], 'resolution STATIC needs endpoints or a workloadSelector')
  if (endpoints.length > 0 && workloadSelector)
    issue(context, ['workloadSelector'], 'only one of endpoints and workloadSelector can be set')
  if (resolution === 'DNS_ROUND_ROBIN' && (endpoints.length > 1 || workloadSelector))
    issue(context, ['resolution'], 'DNS_ROUND_ROBIN takes at most one endpoint, and no workloadSelector')
  const named = endpoints.length > 0 || workloadSelector
  if (resolution.startsWith('DNS') && !named && hosts.some(host => host.startsWith('*')))
    issue(context, ['hosts'], 'a wildcard host with resolution DNS needs endpoints')
}

function checkEndpoints({ resolution, endpoints, ports = [] }: Spec, context: z.RefinementCtx): void {
  const names = ports.map(({ name }) => name)
  for (const [index, endpoint] of (endpoints ?? []).entries()) {
    if (resolution === 'STATIC' && canonicalIp(endpoint.address) === undefined)
      issue(context, ['endpoints', index, 'address'], 'must be an IP address: resolution is STATIC')
    if (endpoint.address.startsWith('*'))
      issue(context, ['endpoints', index, 'address'], 'must not be a wildcard')
    for (const port of Object.keys(endpoint.ports ?? {})) {
      if (!names.includes(port))
        issue(
          context,
          ['endpoints', index, 'ports', port],
          `there is no port ${port} among the entry's ports`,
        )
    }
  }
}

function checkPorts(ports: NonNullable<Spec['ports']>, context: z.RefinementCtx): void {
  const names = new Set<string>()
  const numbers = new Set<number>()
  for (const [index, { name, number }] of ports.entries()) {
    if (names.has(name)) issue(context, ['ports', index, 'name'], `there is already a port named ${name}`)
    if (numbers.has(number)) issue(context, ['ports', index, 'number'], `there is already a port ${number}`)
    names.add(name)
    numbers.add(number)
  }
}

export type WorkloadEntrySpec = z.infer<typeof workloadEntrySpec>
export type WorkloadEntry = Resource<'WorkloadEntry', WorkloadEntrySpec>
export type ServiceEntrySpec = z.infer<typeof serviceEntrySpec>
export type ServiceEntry = Resource<'ServiceEntry', ServiceEntrySpec>
