/** All that a command touches of the process that runs it, so that tests run commands as they are. */
export interface Terminal {
  out(text: string): void
  err(text: string): void
  readonly stdin: AsyncIterable<Uint8Array | string>
  /** Calls `act` when the person wants it to end (Ctrl-C, or SIGTERM), in place of ending. @returns what undoes this. */
  onInterrupt(act: () => void): () => void
  readonly env: Readonly<Record<string, string | undefined>>
  /** Whether standard output and standard error may be coloured. */
  readonly colour: { readonly out: boolean; readonly err: boolean }
}

/** What a command answers to the shell. */
export const ExitCode = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const

/** One of {@link ExitCode}. */
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode]

/** The terminal of this process. Colour is for people: not for pipes, and not where NO_COLOR is set. */
export function processTerminal(): Terminal {
  const allowed = !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb'
  for (const stream of [process.stdout, process.stderr]) stream.on('error', endOnClosedPipe)
  return {
    out: text => void process.stdout.write(text),
    err: text => void process.stderr.write(text),
    stdin: process.stdin,
    onInterrupt: act => {
      const signals = ['SIGINT', 'SIGTERM'] as const
      for (const signal of signals) process.on(signal, act)
      return () => {
        for (const signal of signals) process.off(signal, act)
      }
    },
    env: process.env,
    colour: { out: allowed && process.stdout.isTTY === true, err: allowed && process.stderr.isTTY === true },
  }
}

/** `seinectl … | head` is no error. */
function endOnClosedPipe(failure: NodeJS.ErrnoException): void {
  if (failure.code === 'EPIPE') process.exit(0)
  throw failure
}
