/** What keys do. */
export interface KeyActions {
  faster(): void
  slower(): void
}

/** The terminal's keys and the signals that stop the demo. */
export interface Keys {
  /** Resolves on Ctrl-C, SIGINT, SIGTERM or SIGHUP, or `q`. */
  readonly stopped: Promise<void>
  close(): void
}

/** Listens for `+`, `-`, `q` and Ctrl-C on a terminal, and for signals anywhere. */
export function readKeys(actions: KeyActions): Keys {
  let stop: () => void = () => undefined
  const stopped = new Promise<void>(resolve => {
    stop = resolve
  })
  // Asked again while it stops, it goes on stopping: half-removed namespaces help nobody.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop())
  process.on('SIGUSR1', () => actions.faster())
  process.on('SIGUSR2', () => actions.slower())
  const { stdin } = process
  const raw = stdin.isTTY === true
  if (raw) {
    stdin.setRawMode(true)
    stdin.setEncoding('utf8')
    stdin.on('data', (text: string) => {
      for (const key of text) {
        if (key === '+' || key === '=') actions.faster()
        else if (key === '-' || key === '_') actions.slower()
        else if (key === 'q' || key === '\u0003') stop()
      }
    })
  }
  return {
    stopped,
    close() {
      if (!raw) return
      stdin.setRawMode(false)
      stdin.pause()
    },
  }
}
