import { z } from 'zod'
import {
  isDnsLabel,
  isHttpProtocol,
  isProtocol,
  isTlsProtocol,
  UNIX_PREFIX,
  unixPathProblem,
  wildcardHostProblem,
} from '../fields/names.ts'
import { isIpAddress } from '../ip.ts'
import type { Resource } from '../resource.ts'
import type { FieldPath, Findings, Rules } from '../rules.ts'
import { checkServerTls, serverTlsField } from './server-tls.ts'

const server = z.strictObject({
  name: z.string().optional(),
  port: z.strictObject({
    // 0 goes with a Unix domain socket, see `gatewayRules`.
    number: z.int().min(0, 'a port is 1 to 65535').max(65535, 'a port is 1 to 65535').default(0),
    protocol: z
      .string()
      .refine(isProtocol, 'must be HTTP, HTTPS, GRPC, GRPC-WEB, HTTP2, MONGO, MYSQL, REDIS, TCP or TLS'),
    name: z.string().min(1, 'a name is needed'),
    targetPort: z.int().min(0).max(65535).optional(),
  }),
  bind: z.string().optional(),
  hosts: z.array(z.string()).min(1, 'needs at least one host'),
  tls: serverTlsField.optional(),
  defaultEndpoint: z.string().optional(),
})

/** Istio `Gateway`: the ports at which workloads at the mesh's edge take connections. */
export const gatewaySpec = z.strictObject({
  servers: z.array(server).default([]),
  selector: z.record(z.string(), z.string()).optional(),
})

export type GatewaySpec = z.infer<typeof gatewaySpec>
export interface Gateway extends Resource<'Gateway', GatewaySpec> {
  readonly apiVersion: `networking.istio.io/${string}`
}
export type GatewayServer = z.infer<typeof server>

/** What Istio's validation requires of a Gateway, beyond its fields. */
export const gatewayRules: Rules<GatewaySpec> = (spec, findings, { name }) => {
  if (spec.servers.length === 0) findings.error(['servers'], 'needs at least one server')
  if (!isDnsLabel(name)) findings.error([], `a Gateway's name has no dots: "${name}"`)
  for (const [index, one] of spec.servers.entries()) {
    const path = ['servers', index]
    if (spec.servers.findIndex(({ port }) => port.name === one.port.name) < index)
      findings.error([...path, 'port', 'name'], `there is already a port named ${one.port.name}`)
    for (const [at, host] of one.hosts.entries()) {
      const problem = gatewayHostProblem(host)
      if (problem) findings.error([...path, 'hosts', at], problem)
    }
    checkPort(one, path, findings)
    checkServerTls(one.tls, [...path, 'tls'], findings)
    checkTlsOfPort(one, path, findings)
  }
}

function checkPort({ port, bind = '' }: GatewayServer, path: FieldPath, findings: Findings): void {
  if (port.targetPort)
    findings.error([...path, 'port', 'targetPort'], 'has no effect at a gateway: leave it out')
  if (bind.startsWith(UNIX_PREFIX)) {
    const problem = unixPathProblem(bind.slice(UNIX_PREFIX.length))
    if (problem) findings.error([...path, 'bind'], problem)
    if (port.number !== 0) findings.error([...path, 'port', 'number'], 'must be 0 for a Unix domain socket')
    return
  }
  if (bind !== '' && !isIpAddress(bind)) findings.error([...path, 'bind'], 'must be an IP address')
  if (port.number === 0) findings.error([...path, 'port', 'number'], 'a port is 1 to 65535')
}

function checkTlsOfPort({ port, tls }: GatewayServer, path: FieldPath, findings: Findings): void {
  const at = [...path, 'tls']
  if (isTlsProtocol(port.protocol)) {
    if (!tls) findings.error(at, `is needed for protocol ${port.protocol}`)
  } else if (tls && !isHttpProtocol(port.protocol)) {
    findings.error(at, `protocol ${port.protocol} has no TLS: use TLS or HTTPS`)
  } else if (tls?.mode === 'AUTO_PASSTHROUGH') {
    findings.error([...at, 'mode'], `protocol ${port.protocol} has no TLS to pass on: use TLS`)
  } else if (tls) {
    const endsTls = !['PASSTHROUGH', 'AUTO_PASSTHROUGH'].includes(tls.mode ?? 'PASSTHROUGH')
    if (endsTls || tls.caCertificates || tls.privateKey || tls.serverCertificate)
      findings.error(at, `protocol ${port.protocol} has no TLS but httpsRedirect: use HTTPS`)
  }
  if (tls?.httpsRedirect && !isHttpProtocol(port.protocol))
    findings.warn([...at, 'httpsRedirect'], 'redirects nothing: it is for HTTP ports')
}

/** What is wrong with `host` or `namespace/host` at a gateway; undefined when nothing is. */
function gatewayHostProblem(text: string): string | undefined {
  const slash = text.indexOf('/')
  const [namespace, host] = slash < 0 ? ['*', text] : [text.slice(0, slash), text.slice(slash + 1)]
  if (!['*', '.'].includes(namespace) && !isDnsLabel(namespace))
    return 'what stands before "/" must be a namespace, "*" or "."'
  return scopedHostProblem(host) ?? (isIpAddress(host) ? undefined : wildcardHostProblem(host))
}

/** What is wrong with a host where short names and wildcards for parts of a name are not taken. */
export function scopedHostProblem(host: string): string | undefined {
  if (host !== '*' && !host.includes('.') && !host.includes(':'))
    return 'must be a whole host name: short names are not taken here'
  if (host.startsWith('*') && host.length > 1 && !host.startsWith('*.'))
    return 'a wildcard stands for whole parts of a name: "*." at its start'
  return undefined
}
