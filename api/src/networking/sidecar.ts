import { z } from 'zod'
import {
  dnsLabelField,
  hostProblem,
  isDnsLabel,
  isHttpProtocol,
  isTlsProtocol,
  protocolField,
  UNIX_PREFIX,
  unixPathProblem,
  wildcardHostProblem,
} from '../fields/names.ts'
import { labelsSelectorField } from '../fields/selectors.ts'
import { isIpAddress } from '../ip.ts'
import type { Resource } from '../resource.ts'
import { type FieldPath, type Findings, type Rules, warnEmptySelector } from '../rules.ts'
import { scopedHostProblem } from './gateway.ts'
import { checkServerTls, serverTlsField } from './server-tls.ts'
import { connectionPoolField } from './traffic-policy.ts'
import { destinationField } from './virtual-service.ts'

const sidecarPort = z.strictObject({
  number: z.int().min(0, 'a port is 1 to 65535').max(65535, 'a port is 1 to 65535').default(0),
  protocol: protocolField.optional(),
  name: dnsLabelField.optional(),
  targetPort: z.int().min(0).max(65535).optional(),
})

const captureMode = z.enum(['DEFAULT', 'IPTABLES', 'NONE']).optional()

const ingressListener = z.strictObject({
  port: sidecarPort,
  bind: z.string().optional(),
  captureMode,
  defaultEndpoint: z.string().optional(),
  tls: serverTlsField.optional(),
  connectionPool: connectionPoolField.optional(),
})

const egressListener = z.strictObject({
  port: sidecarPort.optional(),
  bind: z.string().optional(),
  captureMode,
  hosts: z.array(z.string()).min(1, 'needs at least one host'),
})

/** Istio `Sidecar`: what the proxies of a namespace, or some of them, are told. */
export const sidecarSpec = z
  .strictObject({
    workloadSelector: labelsSelectorField.optional(),
    ingress: z.array(ingressListener).optional(),
    egress: z.array(egressListener).optional(),
    inboundConnectionPool: connectionPoolField.optional(),
    outboundTrafficPolicy: z
      .strictObject({
        mode: z.enum(['REGISTRY_ONLY', 'ALLOW_ANY']).optional(),
        egressProxy: destinationField.optional(),
      })
      .optional(),
  })
  .refine(
    ({ ingress, egress, inboundConnectionPool, outboundTrafficPolicy }) =>
      ingress?.length || egress?.length || inboundConnectionPool || outboundTrafficPolicy,
    'one of ingress, egress, inboundConnectionPool, outboundTrafficPolicy must be set',
  )

export type SidecarSpec = z.infer<typeof sidecarSpec>
export type Sidecar = Resource<'Sidecar', SidecarSpec>
export type IstioIngressListener = z.infer<typeof ingressListener>
export type IstioEgressListener = z.infer<typeof egressListener>

/** What Istio's validation requires of a Sidecar, beyond its fields. */
export const sidecarRules: Rules<SidecarSpec> = (spec, findings, { namespace }) => {
  if (spec.workloadSelector) warnEmptySelector(spec.workloadSelector.labels, ['workloadSelector'], findings)
  for (const [index, listener] of (spec.ingress ?? []).entries()) {
    const path = ['ingress', index]
    checkIngress(listener, path, findings)
    if ((spec.ingress ?? []).findIndex(({ port }) => port.number === listener.port.number) < index)
      findings.error(
        [...path, 'port', 'number'],
        `there is already a listener at port ${listener.port.number}`,
      )
  }
  checkEgress(spec.egress ?? [], namespace, findings)
  checkSockets(spec, findings)
  checkOutbound(spec, findings)
}

function checkIngress(listener: IstioIngressListener, path: FieldPath, findings: Findings): void {
  const { port, bind = '', tls, connectionPool } = listener
  checkNoTargetPort(port, path, findings)
  if (port.number === 0) findings.error([...path, 'port', 'number'], 'a port is 1 to 65535')
  if (bind !== '' && !isIpAddress(bind)) findings.error([...path, 'bind'], 'must be an IP address')
  const problem = listener.defaultEndpoint && endpointProblem(listener.defaultEndpoint)
  if (problem) findings.error([...path, 'defaultEndpoint'], problem)
  if (tls) {
    const at = [...path, 'tls']
    for (const field of [
      'subjectAltNames',
      'credentialNames',
      'tlsCertificates',
      'credentialName',
      'httpsRedirect',
    ] as const) {
      const value = tls[field]
      if (value === true || (typeof value === 'object' ? value.length > 0 : value))
        findings.error([...at, field], 'is for gateways only: leave it out')
    }
    if (tls.mode === 'ISTIO_MUTUAL' || tls.mode === 'AUTO_PASSTHROUGH')
      findings.error([...at, 'mode'], `${tls.mode} is for gateways only`)
    if (!isTlsProtocol(port.protocol))
      findings.error(at, `protocol ${port.protocol ?? ''} has no TLS: use TLS or HTTPS`)
    checkServerTls(tls, at, findings)
  }
  if (connectionPool?.http && !isHttpProtocol(port.protocol))
    findings.warn([...path, 'connectionPool', 'http'], 'has no effect: the protocol of this port is not HTTP')
}

/** What is wrong with `127.0.0.1:8080`, `[::1]:8080`, `0.0.0.0:8080`, `:8080` or `unix:///path`. */
function endpointProblem(endpoint: string): string | undefined {
  if (endpoint.startsWith(UNIX_PREFIX)) return unixPathProblem(endpoint.slice(UNIX_PREFIX.length))
  const [, host, port] = /^(127\.0\.0\.1|0\.0\.0\.0|\[::1?\]|):(\d+)$/.exec(endpoint) ?? []
  if (host === undefined) return 'must be 127.0.0.1:PORT, 0.0.0.0:PORT, [::1]:PORT, [::]:PORT or unix:///PATH'
  return Number(port) >= 1 && Number(port) <= 65535 ? undefined : 'a port is 1 to 65535'
}

function checkEgress(listeners: readonly IstioEgressListener[], namespace: string, findings: Findings): void {
  for (const [index, listener] of listeners.entries()) {
    const path = ['egress', index]
    if (!listener.port && index < listeners.length - 1)
      findings.error(path, 'a listener without a port takes all the rest: it must be the last one')
    checkEgressPlace(listener, path, findings)
    if (listener.port) {
      const key = socketOf(listener)
      if (listeners.findIndex(other => socketOf(other) === key) < index)
        findings.error([...path, 'port'], `there is already a listener at ${key}`)
    }
    checkHosts(listener.hosts, [...path, 'hosts'], namespace, findings)
  }
}

/** A socket takes either what the workload sends or what it is sent. */
function checkSockets({ ingress, egress }: SidecarSpec, findings: Findings): void {
  const sockets = new Set(
    (ingress ?? [])
      .filter(({ captureMode }) => captureMode === 'NONE')
      .map(({ bind, port }) => `${bind} ${port.number}`),
  )
  for (const [index, { bind, port }] of (egress ?? []).entries())
    if (port && sockets.has(`${bind} ${port.number}`))
      findings.error(['egress', index, 'port'], `there is a listener of ingress at ${bind}:${port.number}`)
}

/** What must be unique among listeners. */
function socketOf({ port, bind }: IstioEgressListener): string {
  return port?.number ? `port ${port.number}` : (bind ?? '')
}

function checkEgressPlace(listener: IstioEgressListener, path: FieldPath, findings: Findings): void {
  const { port, bind = '', captureMode } = listener
  if (port) checkNoTargetPort(port, path, findings)
  if (port?.number !== 0) {
    if (bind !== '' && !isIpAddress(bind)) findings.error([...path, 'bind'], 'must be an IP address')
    return
  }
  const problem = bind.startsWith(UNIX_PREFIX)
    ? unixPathProblem(bind.slice(UNIX_PREFIX.length))
    : 'port 0 goes with a Unix domain socket: write unix:// and its path'
  if (problem) findings.error([...path, 'bind'], problem)
  if (captureMode === 'IPTABLES')
    findings.error([...path, 'captureMode'], 'no connections to a Unix domain socket are captured')
}

function checkNoTargetPort(
  { targetPort }: { targetPort?: number | undefined },
  path: FieldPath,
  findings: Findings,
): void {
  if (targetPort) findings.error([...path, 'port', 'targetPort'], 'has no effect in a Sidecar: leave it out')
}

function checkHosts(hosts: readonly string[], path: FieldPath, namespace: string, findings: Findings): void {
  const seen = new Map<string, Set<string>>()
  for (const [index, text] of hosts.entries()) {
    const problem = egressHostProblem(text)
    if (problem) findings.error([...path, index], problem)
    const slash = text.indexOf('/')
    if (problem || text.startsWith('~')) continue
    const scope = text.slice(0, slash) === '.' ? namespace : text.slice(0, slash)
    const host = text.slice(slash + 1)
    const others = seen.get(scope) ?? new Set()
    if (others.has('*') || others.has(host) || (host === '*' && others.size > 0))
      findings.warn([...path, index], `${text} is covered by another host of this listener, or covers it`)
    seen.set(scope, others.add(host))
  }
  if (seen.get('*')?.has('*') && seen.size > 1)
    findings.warn(path, '"*/*" is everything: leave the other hosts out')
}

/** What is wrong with `namespace/host`, where the namespace may be `*`, `.`, or begin with `~` to leave it out. */
function egressHostProblem(text: string): string | undefined {
  const slash = text.indexOf('/')
  if (slash <= 0 || slash === text.length - 1) return 'must be a namespace, "/" and a host, such as "./*"'
  const namespace = text.slice(0, slash).replace(/^~/, '')
  if (!['', '*', '.'].includes(namespace) && !isDnsLabel(namespace))
    return 'what stands before "/" must be a namespace, "*", "." or "~"'
  const host = text.slice(slash + 1)
  return scopedHostProblem(host) ?? wildcardHostProblem(host)
}

function checkOutbound({ outboundTrafficPolicy }: SidecarSpec, findings: Findings): void {
  const proxy = outboundTrafficPolicy?.egressProxy
  if (!proxy) return
  const path = ['outboundTrafficPolicy', 'egressProxy']
  if (outboundTrafficPolicy.mode !== 'ALLOW_ANY') findings.error(path, 'goes with mode ALLOW_ANY only')
  const problem = hostProblem(proxy.host)
  if (problem) findings.error([...path, 'host'], problem)
  if (!proxy.port) findings.error([...path, 'port'], 'is needed')
}
