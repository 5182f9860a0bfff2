import { serverUrl } from '../hub/client.ts'
import { listProxies, matchProxies, type ProxyListing, type TypeState } from '../hub/proxies.ts'
import { printData } from '../output/data.ts'
import { printError } from '../output/message.ts'
import type { Style } from '../output/style.ts'
import { type Cell, table } from '../output/table.ts'
import { ExitCode, type Terminal } from '../terminal.ts'

/** The flags of `proxy-status`. */
export interface ProxyStatusFlags {
  readonly server?: string
  readonly output: 'table' | 'json' | 'yaml'
}

const TYPES = ['CDS', 'EDS', 'LDS', 'RDS', 'VHDS', 'SDS']
const STYLES: Readonly<Record<string, Style>> = {
  SYNCED: 'green',
  STALE: 'yellow',
  NACKED: 'red',
  'NOT SENT': 'dim',
}

/** Prints how far each connected proxy has come, and why one rejected what it was sent. */
export async function proxyStatus(
  terminal: Terminal,
  word: string | undefined,
  flags: ProxyStatusFlags,
): Promise<ExitCode> {
  const server = serverUrl(flags.server, terminal)
  const listed = await listProxies(server)
  if (!listed.ok) return fail(terminal, listed.error)
  const proxies = word === undefined ? listed.value : matchProxies(listed.value, word)
  if (word !== undefined && proxies.length === 0)
    return fail(terminal, `no proxy of "${word}" is connected to ${server}`)
  if (flags.output !== 'table')
    await printData(
      terminal,
      proxies.map(({ raw }) => raw),
      flags.output,
    )
  else if (proxies.length === 0) terminal.err(`no proxies are connected to ${server}\n`)
  else printTable(terminal, proxies)
  return ExitCode.ok
}

function printTable(terminal: Terminal, proxies: readonly ProxyListing[]): void {
  const shown = TYPES.filter(type => proxies.some(proxy => proxy.types.some(one => one.type === type)))
  const rows = proxies.map(proxy => [
    `${proxy.name}.${proxy.namespace}`,
    proxy.ip,
    ...shown.map(type => stateCell(proxy.types.find(one => one.type === type))),
  ])
  terminal.out(table(['NAME', 'IP', ...shown], rows, terminal.colour.out))
  const nacks = proxies.flatMap(proxy =>
    proxy.types
      .filter(type => type.nack)
      .map(type => `${proxy.name}.${proxy.namespace} rejected ${type.type}: ${type.nack}`),
  )
  if (nacks.length > 0) terminal.out(`\n${nacks.join('\n')}\n`)
}

function stateCell(state: TypeState | undefined): Cell {
  if (!state) return '-'
  const text = state.resources === undefined ? state.state : `${state.state} (${state.resources})`
  const style = STYLES[state.state]
  return style ? { text, style } : text
}

function fail(terminal: Terminal, message: string): ExitCode {
  printError(terminal, message)
  return ExitCode.failed
}
