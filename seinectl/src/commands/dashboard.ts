import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { ask, serverUrl } from '../hub/client.ts'
import { printError, printWarning } from '../output/message.ts'
import { ExitCode, type Terminal } from '../terminal.ts'

/** The flags of `dashboard`. */
export interface DashboardFlags {
  readonly server?: string
  readonly open?: boolean
}

/** Prints the dashboard's address, and opens it in the browser if asked to. */
export async function dashboard(terminal: Terminal, flags: DashboardFlags): Promise<ExitCode> {
  const server = serverUrl(flags.server, terminal)
  const answer = await ask(server, '/api/v1/version', 2000)
  if (!answer.ok) {
    printError(terminal, answer.error)
    return ExitCode.failed
  }
  terminal.out(`${server}/\n`)
  if (flags.open && !(await openBrowser(`${server}/`, terminal))) {
    printWarning(terminal, 'no browser could be started: open the address above yourself')
  }
  return ExitCode.ok
}

/** The system's own opener, or the program that BROWSER names. */
async function openBrowser(url: string, terminal: Terminal): Promise<boolean> {
  const opener = terminal.env['BROWSER'] || (process.platform === 'darwin' ? 'open' : 'xdg-open')
  const child = spawn(opener, [url], { stdio: 'ignore', detached: true })
  child.unref()
  try {
    await once(child, 'spawn')
    return true
  } catch {
    // The opener is not installed; the caller says so.
    return false
  }
}
