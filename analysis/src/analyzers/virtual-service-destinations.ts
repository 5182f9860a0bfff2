import type { Destination, VirtualService } from '@seine/api'
import { resolveHost } from '@seine/model'
import type { Analyzer } from '../analyzer.ts'
import type { AnalysisContext } from '../context.ts'
import type { Path, Report } from '../finding.ts'

/** A destination, and where it stands. */
export interface PlacedDestination {
  readonly destination: Destination
  readonly path: Path
  /** Requests are copied there, their answers dropped. */
  readonly mirror: boolean
}

/** Everything that a VirtualService sends to. */
export function destinationsOf({ spec }: VirtualService): PlacedDestination[] {
  const found: PlacedDestination[] = []
  for (const [index, { route, mirror, mirrors }] of (spec.http ?? []).entries()) {
    const at = ['spec', 'http', index]
    for (const [which, { destination }] of (route ?? []).entries())
      found.push({ destination, path: [...at, 'route', which, 'destination'], mirror: false })
    if (mirror) found.push({ destination: mirror, path: [...at, 'mirror'], mirror: true })
    for (const [which, { destination }] of (mirrors ?? []).entries())
      found.push({ destination, path: [...at, 'mirrors', which, 'destination'], mirror: true })
  }
  for (const kind of ['tcp', 'tls'] as const)
    for (const [index, { route }] of (spec[kind] ?? []).entries())
      for (const [which, { destination }] of route.entries())
        found.push({ destination, path: ['spec', kind, index, 'route', which, 'destination'], mirror: false })
  return found
}

/** Destinations that no service has: hosts (IST0101) and ports (IST0101); ports that must be named (IST0112). */
export const virtualServiceDestinations: Analyzer = {
  name: 'virtual-service-destinations',
  inputs: ['VirtualService', 'Service', 'ServiceEntry'],
  analyze(context, report) {
    for (const service of context.all('VirtualService'))
      for (const placed of destinationsOf(service)) checkHost(context, service, placed, report)
  },
}

function checkHost(
  context: AnalysisContext,
  service: VirtualService,
  { destination, path, mirror }: PlacedDestination,
  report: Report,
): void {
  const { namespace } = service.metadata
  const known = context.hosts.find(destination.host, namespace, service.spec.exportTo)
  if (!known) {
    if (!context.hosts.isBroken(destination.host, namespace))
      report(service, 'IST0101', [...path, 'host'], {
        what: mirror ? 'mirror host' : 'host',
        name: destination.host,
      })
    return
  }
  const port = destination.port?.number
  if (port === undefined) {
    if (known.ports.length > 1)
      report(service, 'IST0112', [...path, 'host'], { host: destination.host, ports: known.ports.join(', ') })
  } else if (!known.ports.includes(port))
    report(service, 'IST0101', [...path, 'port', 'number'], {
      what: 'host:port',
      name: `${destination.host}:${port}`,
    })
}

/** Subsets that no DestinationRule defines (IST0101). */
export const virtualServiceSubsets: Analyzer = {
  name: 'virtual-service-subsets',
  inputs: ['VirtualService', 'DestinationRule'],
  analyze(context, report) {
    const subsets = new Set<string>()
    for (const { metadata, spec } of context.all('DestinationRule'))
      for (const { name } of spec.subsets ?? [])
        subsets.add(`${resolveHost(spec.host, metadata.namespace)} ${name}`)
    for (const service of context.all('VirtualService'))
      for (const { destination, path } of destinationsOf(service)) {
        const { host, subset } = destination
        if (subset && !subsets.has(`${resolveHost(host, service.metadata.namespace)} ${subset}`))
          report(service, 'IST0101', [...path, 'subset'], {
            what: 'DestinationRule with the subset',
            name: `${subset} for ${host}`,
          })
      }
  },
}

/** Routes at a gateway to a host whose subsets only sidecars route to (IST0140). */
export const gatewaySubsetRoutes: Analyzer = {
  name: 'gateway-subset-routes',
  inputs: ['VirtualService'],
  analyze(context, report) {
    const subsetRoutes = context.all('VirtualService').flatMap(service =>
      (service.spec.http ?? [])
        .flatMap(({ route }) => route ?? [])
        .filter(({ destination }) => destination.subset && service.spec.hosts?.includes(destination.host))
        .map(({ destination }) => ({ host: destination.host, service })),
    )
    for (const service of context.all('VirtualService')) {
      if (!service.spec.gateways?.length) continue
      for (const [index, { route }] of (service.spec.http ?? []).entries())
        for (const [which, { destination }] of (route ?? []).entries()) {
          const other = subsetRoutes.find(({ host }) => host === destination.host)?.service
          if (destination.subset || !other) continue
          const { namespace, name } = other.metadata
          report(service, 'IST0140', ['spec', 'http', index, 'route', which, 'destination', 'host'], {
            name: `${namespace}/${name}`,
          })
        }
    }
  },
}

/** Routes handed to a VirtualService that is not there (IST0101). */
export const virtualServiceDelegates: Analyzer = {
  name: 'virtual-service-delegates',
  inputs: ['VirtualService'],
  analyze(context, report) {
    for (const service of context.all('VirtualService'))
      for (const [index, { delegate }] of (service.spec.http ?? []).entries()) {
        if (!delegate) continue
        const namespace = delegate.namespace || service.metadata.namespace
        if (!context.exists('VirtualService', namespace, delegate.name))
          report(service, 'IST0101', ['spec', 'http', index, 'delegate', 'name'], {
            what: 'VirtualService',
            name: `${namespace}/${delegate.name}`,
          })
      }
  },
}
