import type { Service } from '@seine/api'
import { type Analyzer, WORKLOAD_KINDS } from '../analyzer.ts'
import type { AnalysisContext } from '../context.ts'
import type { Report } from '../finding.ts'
import { holds } from '../labels.ts'
import type { WorkloadLike } from '../workloads.ts'

/** Whether an object is a part of the control plane, which is not the user's to mend. */
export function isControlPlane(labels: Readonly<Record<string, string>>): boolean {
  return 'istio' in labels || labels['release'] === 'istio'
}

/** Services that a controller makes for a Gateway. */
const MANAGED_BY: ReadonlySet<string> = new Set([
  'istio.io-gateway-controller',
  'istio.io-mesh-controller',
  'istio.io-eastwest-controller',
])

/** Ports whose names tell no protocol (IST0118), which no ExternalName Service can do without (IST0150). */
export const portNames: Analyzer = {
  name: 'port-names',
  inputs: ['Service'],
  analyze(context, report) {
    for (const service of context.all('Service')) {
      const { labels } = service.metadata
      if (isControlPlane(labels) || MANAGED_BY.has(labels['gateway.istio.io/managed'] ?? '')) continue
      const isExternal = service.spec.type === 'ExternalName'
      for (const [index, { name = '', port, protocol, appProtocol }] of (
        service.spec.ports ?? []
      ).entries()) {
        const path = ['spec', 'ports', index]
        if (protocol === 'UDP') continue
        const isUnknown = tellsNoProtocol(name, appProtocol, port)
        if (isExternal && (isUnknown || name === 'tcp')) report(service, 'IST0150', path, { port })
        else if (isUnknown) report(service, 'IST0118', path, { name, port, hint: name || 'web' })
      }
    }
  },
}

const PROTOCOLS: ReadonlySet<string> = new Set(
  'tcp udp grpc http http_proxy http2 https tls mongo redis mysql'.split(' '),
)
/** Values of `appProtocol` that Kubernetes defines. */
const KUBERNETES_PROTOCOLS: ReadonlySet<string> = new Set([
  'kubernetes.io/h2c',
  'kubernetes.io/ws',
  'kubernetes.io/wss',
])
/** SMTP, DNS, MySQL and MongoDB: nothing is detected at these ports. */
const WELL_KNOWN_PORTS: ReadonlySet<number> = new Set([25, 53, 3306, 27017])

function tellsNoProtocol(name: string, appProtocol: string | undefined, port: number): boolean {
  const text = (appProtocol ?? name).toLowerCase()
  if (KUBERNETES_PROTOCOLS.has(text) || text.startsWith('grpc-web')) return false
  return !PROTOCOLS.has(text.split('-')[0] ?? '') && !WELL_KNOWN_PORTS.has(port)
}

/** Services that disagree on a port of one workload: on its protocol (IST0116), or on theirs for it (IST0137). */
export const serviceAssociations: Analyzer = {
  name: 'service-associations',
  inputs: ['Service', ...WORKLOAD_KINDS],
  analyze(context, report) {
    for (const workload of context.workloads) {
      if (workload.resource.kind !== 'Deployment' || !workload.meshed) continue
      if (workload.resource.metadata.labels['gateway.istio.io/managed'] === 'istio.io-mesh-controller')
        continue
      const services = servicesOf(context, workload)
      if (services.length < 2) continue
      checkProtocols(workload, services, report)
      checkTargetPorts(workload, services, report)
    }
  },
}

function servicesOf(context: AnalysisContext, { namespace, labels }: WorkloadLike): Service[] {
  return context
    .all('Service')
    .filter(
      ({ metadata, spec }) =>
        metadata.namespace === namespace &&
        Object.keys(spec.selector ?? {}).length > 0 &&
        holds(spec.selector, labels),
    )
}

function checkProtocols({ resource }: WorkloadLike, services: readonly Service[], report: Report): void {
  const byPort = new Map<number, Map<string, string[]>>()
  for (const { metadata, spec } of services)
    for (const { port, protocol = 'TCP' } of spec.ports ?? []) {
      const byProtocol = byPort.get(port) ?? new Map<string, string[]>()
      byProtocol.set(protocol, [
        ...(byProtocol.get(protocol) ?? []),
        `${metadata.namespace}/${metadata.name}`,
      ])
      byPort.set(port, byProtocol)
    }
  for (const [port, byProtocol] of byPort)
    if (byProtocol.size > 1)
      report(resource, 'IST0116', ['metadata', 'name'], {
        port,
        services: [...byProtocol.values()].flat().sort().join(', '),
      })
}

function checkTargetPorts({ resource }: WorkloadLike, services: readonly Service[], report: Report): void {
  const byTarget = new Map<string, Map<number, string>>()
  for (const { metadata, spec } of services)
    for (const { port, targetPort } of spec.ports ?? []) {
      const target = String(targetPort || port)
      const ports = byTarget.get(target) ?? new Map<number, string>()
      byTarget.set(target, ports.set(port, `${metadata.namespace}/${metadata.name}`))
    }
  for (const [targetPort, ports] of byTarget)
    if (ports.size > 1)
      report(resource, 'IST0137', ['metadata', 'name'], {
        targetPort,
        services: [...ports.values()].sort().join(', '),
        ports: [...ports.keys()].sort((a, b) => a - b).join(', '),
      })
}
