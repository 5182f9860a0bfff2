import type { VirtualService } from '@seine/api'
import { resolveHost } from '@seine/model'
import type { Analyzer } from '../analyzer.ts'
import { groupBy } from '../group-by.ts'
import { scopesOf } from '../hosts.ts'
import { MESH, overlaps } from './virtual-service-gateways.ts'

interface Claim {
  readonly service: VirtualService
  readonly host: string
  readonly scope: string
  readonly index: number
}

/** Several VirtualServices of sidecars for one host, where they are seen together (IST0109). */
export const conflictingMeshHosts: Analyzer = {
  name: 'conflicting-mesh-hosts',
  inputs: ['VirtualService'],
  analyze(context, report) {
    const claims = context.all('VirtualService').filter(isForSidecars).flatMap(claimsOf)
    const everywhere = claims.filter(({ scope }) => scope === '*')
    const byPlace = groupBy(claims, ({ scope, host }) => `${scope} ${host}`)
    for (const claim of claims) {
      const same = byPlace.get(`${claim.scope} ${claim.host}`) ?? []
      const global = claim.scope === '*' ? [] : everywhere.filter(({ host }) => overlaps(claim.host, host))
      const local =
        claim.scope === '*'
          ? claims.filter(other => other.scope !== '*' && overlaps(other.host, claim.host))
          : []
      const rivals = new Set([...same, ...global, ...local].map(({ service }) => service)).add(claim.service)
      if (rivals.size < 2) continue
      report(claim.service, 'IST0109', ['spec', 'hosts', claim.index], {
        names: [...rivals].map(nameOf).sort().join(', '),
        host: claim.host,
      })
    }
  },
}

function isForSidecars({ spec }: VirtualService): boolean {
  return !spec.gateways?.length || spec.gateways.includes(MESH)
}

function claimsOf(service: VirtualService): Claim[] {
  const { namespace } = service.metadata
  return scopesOf(service.spec.exportTo, namespace).flatMap(scope =>
    (service.spec.hosts ?? []).map((host, index) => ({
      service,
      host: resolveHost(host, namespace),
      scope,
      index,
    })),
  )
}

function nameOf({ metadata }: VirtualService): string {
  return `${metadata.namespace}/${metadata.name}`
}
