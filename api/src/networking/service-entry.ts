import { z } from 'zod'
import {
  dnsLabelField,
  hostProblem,
  isHttpProtocol,
  isTlsProtocol,
  protocolField,
  UNIX_PREFIX,
  unixPathProblem,
  wildcardHostProblem,
} from '../fields/names.ts'
import { labelsField, labelsSelectorField } from '../fields/selectors.ts'
import { addressRangeField, checkedBy, hostField, portField } from '../fields.ts'
import { isIpAddress } from '../ip.ts'
import type { Resource } from '../resource.ts'
import { checkExportTo, type FieldPath, type Findings, type Rules, warnEmptySelector } from '../rules.ts'

/** The fields of a `WorkloadEntry`, of an endpoint and of a `WorkloadGroup`'s template. */
export const workloadEntryFields = {
  address: z
    .string()
    .max(256)
    .superRefine(checkedBy(addressProblem))
    .optional()
    .describe(
      'An IP address, a host name where the ServiceEntry resolves by DNS, or, with resolution STATIC, `unix://` and the path of a socket on the machine of whoever calls, which its sidecar must be able to open',
    ),
  ports: z
    .record(dnsLabelField, portField)
    .optional()
    .describe("The workload's port for each port of the service, by name"),
  labels: labelsField.optional().describe('Labels, by which services and policies select it'),
  network: z
    .string()
    .max(2048)
    .optional()
    .describe(
      'The network it is in. Clients in other networks go by the gateways of this one, by mutual TLS only, and only they can reach a workload without an `address`. Unless it is said, by the label `topology.istio.io/network`, else as the settings of the mesh have it',
    ),
  locality: z.string().max(2048).optional().describe('Where it is: `region/zone/subzone`'),
  weight: z.int().min(0).max(1_000_000).optional().describe('Its share of the requests; 1 unless it is said'),
  serviceAccount: z
    .string()
    .max(253)
    .optional()
    .describe(
      'Its identity. A workload that has one is called over mutual TLS, unless its label `security.istio.io/tlsMode` says otherwise (`disabled`)',
    ),
}

function addressProblem(address: string): string | undefined {
  if (address.startsWith(UNIX_PREFIX)) return unixPathProblem(address.slice(UNIX_PREFIX.length))
  return isIpAddress(address) || !hostProblem(address)
    ? undefined
    : 'must be an IP address, a host name, or unix:// and the path of a socket'
}

/** A Unix domain socket has no ports. */
export function checkSocketPorts(
  { address, ports }: { address?: string | undefined; ports?: object | undefined },
  context: z.RefinementCtx,
): void {
  if (address?.startsWith(UNIX_PREFIX) && Object.keys(ports ?? {}).length > 0)
    context.addIssue({ code: 'custom', path: ['ports'], message: 'a Unix domain socket has no ports' })
}

/** Istio `WorkloadEntry`: one workload that Kubernetes does not know. */
export const workloadEntrySpec = z
  .strictObject(workloadEntryFields)
  .superRefine(checkSocketPorts)
  .refine(({ address, network }) => address || network, {
    path: ['address'],
    message: 'is needed, or a network whose gateway leads to the workload',
  })

/** What Istio's validation warns of in a WorkloadEntry. */
export const workloadEntryRules: Rules<WorkloadEntrySpec> = (spec, findings) =>
  warnNoAddress(spec, [], findings)

function warnNoAddress(entry: WorkloadEntrySpec, path: FieldPath, findings: Findings): void {
  if (!entry.address)
    findings.warn(
      [...path, 'address'],
      `without it the workload is reached by the gateway of ${entry.network}`,
    )
}

const servicePort = z.strictObject({
  number: portField.describe('The port that clients call'),
  protocol: protocolField
    .optional()
    .describe(
      "What is spoken; found out from the port's name, else from the first bytes, unless it is said. UDP goes past the sidecar: the host is looked up in the mesh where it has `addresses`, and where the machine looks up others where it has none",
    ),
  name: dnsLabelField.describe('Its name'),
  targetPort: portField.optional().describe('The port of the endpoints; the same unless it is said'),
})

/** Besides what any host may be, a wildcard may stand for a part of a name: `*-api.example.com`. */
function entryHostProblem(host: string): string | undefined {
  if (host === '*') return '"*" is every host: name some'
  return hostField.safeParse(host).success ? undefined : wildcardHostProblem(host)
}

/** Istio `ServiceEntry`: a service that is in no platform's registry. */
export const serviceEntrySpec = z
  .strictObject({
    hosts: z
      .array(z.string().superRefine(checkedBy(entryHostProblem)))
      .min(1, 'needs at least one host')
      .max(256)
      .describe('Its names'),
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
      .describe(
        'How endpoints are found: where the client went (`NONE`), as listed (`STATIC`), by DNS, or, for wildcard hosts, by DNS for the name that each request or connection asks for (`DYNAMIC_DNS`)',
      ),
    endpoints: z.array(workloadEntrySpec).optional().describe('Where it is to be reached'),
    workloadSelector: labelsSelectorField
      .optional()
      .describe('Pods and WorkloadEntries that are its endpoints, by labels'),
    exportTo: z
      .array(z.string())
      .optional()
      .describe('Namespaces it is visible in; all unless it is said. `.` is its own'),
    subjectAltNames: z
      .array(z.string().min(1))
      .optional()
      .describe('Names that its certificate may have, where mutual TLS is used'),
  })
  .superRefine((spec, context) => {
    const issue = (path: (string | number)[], message: string) =>
      context.addIssue({ code: 'custom', path, message })
    if (spec.endpoints && spec.workloadSelector)
      issue(['workloadSelector'], 'only one of endpoints and workloadSelector can be set')
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

/** What Istio's validation requires of a ServiceEntry, beyond its fields. */
export const serviceEntryRules: Rules<ServiceEntrySpec> = (spec, findings, { namespace }) => {
  const resolution = spec.resolution ?? 'NONE'
  if (spec.workloadSelector) warnEmptySelector(spec.workloadSelector.labels, ['workloadSelector'], findings)
  for (const [index, host] of spec.hosts.entries())
    if (host.startsWith('*') && !host.startsWith('*.') && resolution !== 'DYNAMIC_DNS')
      findings.warn(['hosts', index], 'a wildcard for a part of a name goes with resolution DYNAMIC_DNS only')
  for (const [index, address] of (spec.addresses ?? []).entries())
    if (address.includes('/') && resolution !== 'NONE' && resolution !== 'STATIC')
      findings.error(['addresses', index], 'a range of addresses goes with resolution NONE or STATIC only')
  const ports = new Set((spec.ports ?? []).map(({ name }) => name))
  for (const [index, endpoint] of (spec.endpoints ?? []).entries()) {
    for (const port of Object.keys(endpoint.ports ?? {}))
      if (!ports.has(port))
        findings.error(['endpoints', index, 'ports', port], `this ServiceEntry has no port named ${port}`)
    if (resolution === 'STATIC') warnNoAddress(endpoint, ['endpoints', index], findings)
  }
  CHECKS[resolution](spec, findings)
  checkHostsOfPorts(spec, resolution, findings)
  checkExportTo(spec.exportTo, namespace, findings, { allowNone: true })
}

type Check = (spec: ServiceEntrySpec, findings: Findings) => void

/** What each way of finding the addresses requires. */
const CHECKS: Readonly<Record<NonNullable<ServiceEntrySpec['resolution']>, Check>> = {
  NONE: checkNone,
  STATIC: checkStatic,
  DNS: checkDns,
  DNS_ROUND_ROBIN: (spec, findings) => {
    checkDns(spec, findings)
    if ((spec.endpoints ?? []).length > 1)
      findings.error(['endpoints', 1], 'resolution DNS_ROUND_ROBIN has one endpoint at most')
    if (spec.workloadSelector)
      findings.error(['workloadSelector'], 'resolution DNS_ROUND_ROBIN has one endpoint at most: name it')
  },
  DYNAMIC_DNS: checkDynamicDns,
}

function checkNone(spec: ServiceEntrySpec, findings: Findings): void {
  if (spec.endpoints)
    findings.error(['endpoints'], 'resolution NONE takes no endpoints: set resolution to STATIC or DNS')
  if (spec.workloadSelector)
    findings.warn(['workloadSelector'], 'selects nothing with resolution NONE: set resolution to STATIC')
}

function checkStatic(spec: ServiceEntrySpec, findings: Findings): void {
  if (!spec.endpoints?.length && !spec.workloadSelector)
    findings.warn(['resolution'], 'STATIC without endpoints and workloadSelector leads nowhere')
  for (const [index, { address = '' }] of (spec.endpoints ?? []).entries()) {
    const at = ['endpoints', index, 'address']
    if (address.startsWith(UNIX_PREFIX)) {
      if (spec.ports?.length !== 1) findings.error(at, 'a Unix domain socket goes with exactly one port')
    } else if (address !== '' && !isIpAddress(address))
      findings.error(at, 'must be an IP address: host names go with resolution DNS')
  }
}

function checkDns(spec: ServiceEntrySpec, findings: Findings): void {
  if (!spec.endpoints?.length) {
    const index = spec.hosts.findIndex(host => hostProblem(host))
    if (index >= 0) findings.error(['hosts', index], 'a wildcard host with resolution DNS needs endpoints')
  }
  for (const [index, { address = '' }] of (spec.endpoints ?? []).entries())
    if (address.startsWith(UNIX_PREFIX) || address === '')
      findings.error(['endpoints', index, 'address'], 'must be a host name or an IP address')
}

function checkDynamicDns(spec: ServiceEntrySpec, findings: Findings): void {
  for (const [index, host] of spec.hosts.entries())
    if (!host.startsWith('*'))
      findings.error(['hosts', index], 'resolution DYNAMIC_DNS is for wildcard hosts')
  for (const field of ['addresses', 'endpoints'] as const)
    if (spec[field]?.length)
      findings.error([field], 'resolution DYNAMIC_DNS goes by hosts only: leave it out')
  // Envoy tells TLS apart by whole labels.
  const partial = spec.hosts.find(host => host.startsWith('*') && !host.startsWith('*.'))
  for (const [index, { protocol }] of (spec.ports ?? []).entries())
    if (partial !== undefined && isTlsProtocol(protocol))
      findings.error(
        ['ports', index, 'protocol'],
        `${partial} stands for a part of a name, which TLS can't be told apart by: begin hosts with "*."`,
      )
    else if (!/^(http|http2|grpc|tls)$/i.test(protocol ?? ''))
      findings.error(['ports', index, 'protocol'], 'resolution DYNAMIC_DNS is for HTTP, HTTP2, GRPC and TLS')
}

/** By plain TCP alone, one host can't be told from another. */
function checkHostsOfPorts(spec: ServiceEntrySpec, resolution: string, findings: Findings): void {
  if (spec.hosts.length < 2 || resolution === 'NONE') return
  const index = (spec.ports ?? []).findIndex(
    ({ protocol }) => !isHttpProtocol(protocol) && !isTlsProtocol(protocol),
  )
  if (index >= 0)
    findings.error(
      ['ports', index, 'protocol'],
      'several hosts can be told apart by HTTP and TLS only: write a ServiceEntry for each',
    )
}
