import { Readable } from 'node:stream'
import { run } from './run.ts'
import type { ExitCode, Terminal } from './terminal.ts'

/** What a command line said and answered. */
export interface Ran {
  readonly code: ExitCode
  readonly out: string
  readonly err: string
}

/** An address where nothing listens: port 1 is reserved. */
export const NO_SERVER = 'http://127.0.0.1:1'

/** Runs a command line as `main.ts` does, with its output kept. For tests. */
export async function runCaptured(
  args: readonly string[],
  input: {
    env?: Record<string, string>
    stdin?: string
    colour?: boolean
    /** Given what interrupts the command, once it can be. */
    interruptible?: (interrupt: () => void) => void
  } = {},
): Promise<Ran> {
  let out = ''
  let err = ''
  const terminal: Terminal = {
    out: text => {
      out += text
    },
    err: text => {
      err += text
    },
    onInterrupt: act => {
      input.interruptible?.(act)
      return () => {}
    },
    stdin: Readable.from([input.stdin ?? '']),
    env: { SEINE_SERVER: NO_SERVER, ...input.env },
    colour: { out: input.colour === true, err: input.colour === true },
  }
  const code = await run(args, terminal)
  return { code, out, err }
}
