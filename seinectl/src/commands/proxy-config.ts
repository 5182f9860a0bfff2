import { ask, serverUrl } from '../hub/client.ts'
import { listProxies, matchProxies, readResources } from '../hub/proxies.ts'
import { printData } from '../output/data.ts'
import { printError } from '../output/message.ts'
import { table } from '../output/table.ts'
import { ExitCode, type Terminal } from '../terminal.ts'
import { type Filter, type SectionName, sections } from './proxy-config-tables.ts'

/** The flags of `proxy-config`. */
export interface ProxyConfigFlags {
  readonly server?: string
  readonly output: 'table' | 'json' | 'yaml'
  readonly name?: string
  readonly port?: number
  readonly fqdn?: string
}

const WORDS: Readonly<Record<string, SectionName>> = {
  listeners: 'listeners',
  listener: 'listeners',
  l: 'listeners',
  routes: 'routes',
  route: 'routes',
  r: 'routes',
  clusters: 'clusters',
  cluster: 'clusters',
  c: 'clusters',
  endpoints: 'endpoints',
  endpoint: 'endpoints',
  ep: 'endpoints',
  ecds: 'extensions',
  extensions: 'extensions',
  extension: 'extensions',
  secrets: 'secrets',
  secret: 'secrets',
  s: 'secrets',
}

/** Prints one part of the configuration that seined serves to a workload's proxy. */
export async function proxyConfig(
  terminal: Terminal,
  word: string,
  workload: string,
  flags: ProxyConfigFlags,
): Promise<ExitCode> {
  const section = WORDS[word]
  if (!section) {
    const { suggest } = await import('@seine/api')
    const near = suggest(
      word,
      Object.keys(WORDS).filter(one => one.length > 2),
    )
    printError(
      terminal,
      `there is no "${word}" to show${near ? `: did you mean "${near}"?` : ''} (listeners, routes, clusters, endpoints, ecds, secrets)`,
    )
    return ExitCode.usage
  }
  const server = serverUrl(flags.server, terminal)
  const id = await proxyOf(terminal, server, workload)
  if (id === undefined) return ExitCode.failed
  const answer = await ask(server, `/api/v1/proxies/${encodeURIComponent(id)}/config`)
  if (!answer.ok) {
    printError(terminal, answer.error)
    return ExitCode.failed
  }
  const filter: Filter = { name: flags.name, port: flags.port, fqdn: flags.fqdn }
  const { head, keeps, rows } = sections[section]
  const found = readResources(answer.value, section).filter(resource => keeps(resource, filter))
  if (flags.output !== 'table')
    await printData(
      terminal,
      found.map(resource => resource.config),
      flags.output,
    )
  else if (found.length === 0) terminal.err(`no ${section} match\n`)
  else
    terminal.out(
      table(
        head,
        found.flatMap(resource => rows(resource, filter)),
        terminal.colour.out,
      ),
    )
  return ExitCode.ok
}

/** All pods of a workload get the same but for what is their own; the first stands for them. */
async function proxyOf(terminal: Terminal, server: string, workload: string): Promise<string | undefined> {
  const listed = await listProxies(server)
  if (!listed.ok) {
    printError(terminal, listed.error)
    return undefined
  }
  const [first, ...others] = matchProxies(listed.value, workload)
  if (!first) {
    const known = listed.value.map(proxy => `${proxy.workload}.${proxy.namespace}`)
    const { suggest } = await import('@seine/api')
    const near = suggest(workload, [...known, ...listed.value.map(proxy => proxy.workload)])
    printError(
      terminal,
      `no proxy of "${workload}" is connected to ${server}${near ? `: did you mean "${near}"?` : ''}`,
    )
    return undefined
  }
  if (others.length > 0)
    terminal.err(`${others.length + 1} proxies match; showing ${first.name}.${first.namespace}\n`)
  return first.id
}
