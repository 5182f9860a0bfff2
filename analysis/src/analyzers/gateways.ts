import type { Gateway, GatewayServer, ServerTlsSettings } from '@seine/api'
import { byAge, type ServerKind, serverConflict, serverKind } from '@seine/model'
import { type Analyzer, WORKLOAD_KINDS } from '../analyzer.ts'
import type { AnalysisContext } from '../context.ts'
import { holds, labelText } from '../labels.ts'
import { STANDARD_GATEWAY_PORTS, type WorkloadLike } from '../workloads.ts'

/** The workloads that a Gateway is for. */
export function gatewayWorkloads(context: AnalysisContext, { spec }: Gateway): WorkloadLike[] {
  return context.workloads.filter(({ spec: pod, labels }) => pod && holds(spec.selector, labels))
}

function nameOf({ metadata }: Gateway): string {
  return `${metadata.namespace}/${metadata.name}`
}

/** Gateways of no workload (IST0101), and ports that no Service leads to (IST0162). */
export const gatewayPorts: Analyzer = {
  name: 'gateway-ports',
  inputs: ['Gateway', 'Service', ...WORKLOAD_KINDS],
  analyze(context, report) {
    for (const gateway of context.gateways) {
      const selector = gateway.spec.selector ?? {}
      const workloads = gatewayWorkloads(context, gateway)
      if (workloads.length === 0) {
        report(gateway, 'IST0101', ['spec', 'selector'], {
          what: 'workload with the labels',
          name: labelText(selector) || '(any)',
        })
        continue
      }
      const ports = reachablePorts(context, workloads)
      for (const [index, { port }] of gateway.spec.servers.entries())
        if (port.number !== 0 && !ports.has(port.number))
          report(gateway, 'IST0162', ['spec', 'servers', index, 'port', 'number'], {
            port: port.number,
            selector: labelText(selector),
          })
    }
  },
}

/** The ports of Services that lead to workloads: theirs, and those at the workloads. */
function reachablePorts(context: AnalysisContext, workloads: readonly WorkloadLike[]): Set<number> {
  const ports = new Set<number>(workloads.some(({ assumed }) => assumed) ? STANDARD_GATEWAY_PORTS : [])
  for (const { metadata, spec } of context.all('Service')) {
    const leadsThere = workloads.some(
      ({ namespace, labels }) =>
        namespace === metadata.namespace && spec.selector !== undefined && holds(spec.selector, labels),
    )
    if (!leadsThere) continue
    for (const { port, targetPort, protocol } of spec.ports ?? []) {
      if (protocol !== undefined && protocol !== 'TCP') continue
      ports.add(port)
      if (typeof targetPort === 'number') ports.add(targetPort)
      if (typeof targetPort === 'string')
        for (const number of namedPorts(targetPort, workloads)) ports.add(number)
    }
  }
  return ports
}

function namedPorts(name: string, workloads: readonly WorkloadLike[]): number[] {
  return workloads
    .flatMap(({ spec }) => spec?.containers ?? [])
    .flatMap(({ ports }) => ports ?? [])
    .filter(port => port.name === name)
    .map(({ containerPort }) => containerPort)
}

/** Servers that a gateway leaves out: for a port of the proxy's own, or for other servers that speak in another way. */
export const gatewaySockets: Analyzer = {
  name: 'gateway-sockets',
  inputs: ['Gateway', 'Service', ...WORKLOAD_KINDS],
  analyze(context, report) {
    const gateways = [...context.gateways].sort(byAge)
    for (const workload of context.workloads) {
      const sockets = new Map<string, { kinds: ServerKind[]; gateway: Gateway }>()
      for (const gateway of gateways) {
        if (!workload.spec || !holds(gateway.spec.selector, workload.labels)) continue
        for (const [index, server] of gateway.spec.servers.entries()) {
          for (const port of targetsOf(context, workload, server.port.number)) {
            const key = `${server.bind ?? ''} ${port}`
            const socket = sockets.get(key) ?? { kinds: [], gateway }
            const kind = serverKind(server)
            const conflict = serverConflict(kind, port, socket.kinds)
            const path = ['spec', 'servers', index, 'port']
            if (conflict === 'own-port') report(gateway, 'gateway-own-port', [...path, 'number'], { port })
            else if (conflict === 'protocol')
              report(gateway, 'gateway-protocols', [...path, 'protocol'], {
                port: server.port.number,
                other: KINDS[socket.kinds[0] ?? kind],
                gateway: nameOf(socket.gateway),
              })
            else sockets.set(key, { ...socket, kinds: [...socket.kinds, kind] })
          }
        }
      }
    }
  },
}

const KINDS = {
  http: 'HTTP',
  https: 'HTTPS',
  tcp: 'TCP without TLS',
  tls: 'TLS that ends there',
  passthrough: 'TLS that passes',
  'auto-passthrough': 'TLS of other networks that passes',
} as const satisfies Record<ServerKind, string>

/** The ports of a workload that a port of its Services leads to; the port itself where there is none. */
function targetsOf(context: AnalysisContext, workload: WorkloadLike, wanted: number): Set<number> {
  const found = new Set<number>()
  for (const { metadata, spec } of context.all('Service')) {
    if (metadata.namespace !== workload.namespace || !spec.selector || !holds(spec.selector, workload.labels))
      continue
    for (const { port, targetPort, protocol = 'TCP' } of spec.ports ?? []) {
      if (port !== wanted || protocol !== 'TCP') continue
      if (typeof targetPort === 'string') for (const one of namedPorts(targetPort, [workload])) found.add(one)
      else found.add(targetPort ?? port)
    }
  }
  return found.size > 0 ? found : new Set([wanted])
}

/** Gateways with servers for the same hosts and port of the same workloads (IST0145). */
export const conflictingGateways: Analyzer = {
  name: 'conflicting-gateways',
  inputs: ['Gateway', ...WORKLOAD_KINDS],
  analyze(context, report) {
    const { gateways } = context
    for (const gateway of gateways) {
      const others = gateways.filter(other => other !== gateway && shareWorkloads(context, gateway, other))
      for (const [index, server] of gateway.spec.servers.entries()) {
        const rivals = others.filter(({ spec }) => spec.servers.some(other => isSameServer(server, other)))
        if (rivals.length > 0)
          report(gateway, 'IST0145', ['spec', 'servers', index], {
            gateways: rivals.map(nameOf).sort().join(', '),
            port: server.port.number,
            hosts: server.hosts.join(', '),
          })
      }
    }
  },
}

function shareWorkloads(context: AnalysisContext, a: Gateway, b: Gateway): boolean {
  if (labelText(a.spec.selector) === labelText(b.spec.selector)) return true
  return gatewayWorkloads(context, a).some(({ labels }) => holds(b.spec.selector, labels))
}

function isSameServer(a: GatewayServer, b: GatewayServer): boolean {
  return (
    a.port.number === b.port.number &&
    (a.bind ?? '') === (b.bind ?? '') &&
    a.hosts.some(host => b.hosts.includes(host))
  )
}

/** Gateways with the same certificate, over which browsers share connections (IST0138). */
export const duplicateCertificates: Analyzer = {
  name: 'duplicate-certificates',
  inputs: ['Gateway'],
  analyze(context, report) {
    for (const gateway of context.gateways) {
      const others = context.gateways.filter(
        other => other !== gateway && holds(gateway.spec.selector, other.spec.selector ?? {}),
      )
      for (const [index, { tls }] of gateway.spec.servers.entries()) {
        const same = others.filter(({ spec }) =>
          spec.servers.some(server => isSameCertificate(tls, server.tls)),
        )
        if (same.length > 0)
          report(gateway, 'IST0138', ['spec', 'servers', index, 'tls'], {
            gateways: [gateway, ...same].map(nameOf).sort().join(', '),
          })
      }
    }
  },
}

function isSameCertificate(a: ServerTlsSettings | undefined, b: ServerTlsSettings | undefined): boolean {
  if (!a || !b) return false
  if (a.credentialName || b.credentialName) return a.credentialName === b.credentialName
  return (
    !!a.serverCertificate &&
    a.serverCertificate === b.serverCertificate &&
    !!a.privateKey &&
    a.privateKey === b.privateKey
  )
}
