import { type DestinationRule, refOf, type VirtualService } from '@seine/api'
import type { Problem } from '@seine/kit'
import { destinationsOf } from './destinations.ts'
import { findService, hostCovers, resolveHost } from './host.ts'
import type { MeshService } from './service.ts'

/** What references are checked against. */
export interface ReferenceTargets {
  readonly services: ReadonlyMap<string, MeshService>
  readonly destinationRules: ReadonlyMap<string, DestinationRule>
}

/**
 * The destinations of a virtual service that lead nowhere: hosts that no service has (IST0101, as Istio's
 * analysis names it), subsets that no DestinationRule defines, ports that the service does not have.
 */
export function brokenReferences(
  resource: VirtualService,
  { services, destinationRules }: ReferenceTargets,
): Problem[] {
  const problems: Problem[] = []
  for (const { host, subset, port, path } of destinationsOf(resource)) {
    const service = findService(services, host)
    const fail = (field: string, message: string) => {
      const at = `${path}.${field}`
      const position = resource.origin ? { position: resource.origin.locate(at) } : {}
      problems.push({
        severity: 'error',
        code: 'IST0101',
        message,
        resource: refOf(resource),
        path: at,
        ...position,
      })
    }
    if (!service)
      fail('host', `no service has the host ${host}; the last good version of this resource stays in force`)
    else if (subset !== undefined && !hasSubset(destinationRules, host, subset)) {
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
    }
  }
  return problems
}

/** Whether a rule that covers the host defines the subset. */
export function hasSubset(
  rules: ReadonlyMap<string, DestinationRule>,
  host: string,
  subset: string,
): boolean {
  for (const rule of rules.values()) {
    if (!hostCovers(resolveHost(rule.spec.host, rule.metadata.namespace), host)) continue
    if (rule.spec.subsets?.some(({ name }) => name === subset)) return true
  }
  return false
}
