import { refOf, type VirtualService } from '@seine/api'
import type { Problem } from '@seine/kit'
import { destinationsOf } from './destinations.ts'
import { findService } from './host.ts'
import type { RulesByHost } from './rules-by-host.ts'
import type { MeshService } from './service.ts'

/** What references are checked against. */
export interface ReferenceTargets {
  readonly services: ReadonlyMap<string, MeshService>
  readonly destinationRules: Pick<RulesByHost, 'hasSubset'>
}

/**
 * The destinations of a virtual service that lead nowhere: hosts that no service has (IST0101, as Istio's
 * analysis names it), subsets that no DestinationRule defines, ports that the service does not have, and mirrors that no
 * request would reach.
 */
export function brokenReferences(
  resource: VirtualService,
  { services, destinationRules }: ReferenceTargets,
): Problem[] {
  const problems: Problem[] = []
  for (const { host, subset, port, path } of destinationsOf(resource)) {
    const service = findService(services, host)
    const fail = (field: string, message: string, { code } = { code: 'IST0101' }) => {
      const at = `${path}.${field}`
      const position = resource.origin ? { position: resource.origin.locate(at) } : {}
      problems.push({
        severity: 'error',
        code,
        message,
        resource: refOf(resource),
        path: at,
        ...position,
      })
    }
    if (!service)
      fail('host', `no service has the host ${host}; the last good version of this resource stays in force`)
    else if (subset !== undefined && !destinationRules.hasSubset(host, subset)) {
      fail(
        'subset',
        `no DestinationRule for ${host} defines the subset ${subset}; the last good version of this resource stays in force`,
      )
    } else if (port !== undefined && !service.ports.some(({ number }) => number === port)) {
      const known = service.ports.map(({ number }) => number).join(', ')
      fail(
        'port.number',
        `${host} has no port ${port}; it has ${known}; the last good version of this resource stays in force`,
      )
    } else if (service.resolution === 'dynamic-dns' && path.includes('.mirror')) {
      fail(
        'host',
        `requests can not be mirrored to ${host}, whose names are looked up by what requests ask for (DYNAMIC_DNS): write a ServiceEntry with resolution DNS for the one that gets the copies; the last good version of this resource stays in force`,
        { code: 'mirror-to-dynamic-dns' },
      )
    }
  }
  return problems
}
