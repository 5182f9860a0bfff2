import type { ServiceEntry } from '@seine/api'
import type { Analyzer } from '../analyzer.ts'
import { groupBy } from '../group-by.ts'
import { scopesOf } from '../hosts.ts'
import { at, listOf } from '../mesh-config.ts'

/** Plain TCP without addresses to tell it by (IST0134). */
export const serviceEntryAddresses: Analyzer = {
  name: 'service-entry-addresses',
  inputs: ['ServiceEntry', 'ConfigMap'],
  analyze(context, report) {
    if (context.meshConfig.allocatesAddresses) return
    for (const entry of context.all('ServiceEntry')) {
      const allocated = listOf(at(entry.status, 'addresses')).length > 0
      if (entry.spec.addresses?.length || allocated) continue
      for (const [index, { protocol, number }] of (entry.spec.ports ?? []).entries())
        if (!protocol || /^tcp$/i.test(protocol))
          report(entry, 'IST0134', ['spec', 'ports', index], { port: number })
    }
  },
}

interface EntryPort {
  readonly entry: ServiceEntry
  readonly host: string
  readonly port: number
  readonly index: number
  readonly protocol: string
  readonly scope: string
}

/** ServiceEntries that give one port of one host different protocols (IST0177). */
export const conflictingProtocols: Analyzer = {
  name: 'conflicting-protocols',
  inputs: ['ServiceEntry'],
  analyze(context, report) {
    const byHost = groupBy(
      context.all('ServiceEntry').flatMap(portsOf),
      ({ host, port }) => `${host}:${port}`,
    )
    for (const all of byHost.values())
      for (const one of all) {
        const rivals = all.filter(({ scope }) => scope === one.scope || scope === '*' || one.scope === '*')
        const protocols = new Set(rivals.map(({ protocol }) => protocol))
        if (protocols.size < 2) continue
        report(one.entry, 'IST0177', ['spec', 'ports', one.index, 'protocol'], {
          names: [...new Set(rivals.map(({ entry }) => nameOf(entry)))].sort().join(', '),
          host: one.host,
          port: one.port,
          protocols: [...protocols].sort().join(', '),
        })
      }
  },
}

function portsOf(entry: ServiceEntry): EntryPort[] {
  return scopesOf(entry.spec.exportTo, entry.metadata.namespace).flatMap(scope =>
    entry.spec.hosts.flatMap(host =>
      (entry.spec.ports ?? []).map(({ number, protocol = '' }, index) => ({
        entry,
        host,
        port: number,
        index,
        protocol: protocol.toUpperCase(),
        scope,
      })),
    ),
  )
}

function nameOf({ metadata }: ServiceEntry): string {
  return `${metadata.namespace}/${metadata.name}`
}
