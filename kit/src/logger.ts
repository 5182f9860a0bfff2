import { type Logger, pino } from 'pino'
import pretty from 'pino-pretty'

export type { Logger } from 'pino'

/** How a process logs. */
export interface LogOptions {
  /** `trace`, `debug`, `info`, `warn`, `error`, `fatal` or `silent`; default `info`. */
  readonly level?: string
  /** JSON lines for machines (the default when stderr is no terminal) or coloured text for people. */
  readonly format?: 'json' | 'text'
}

/**
 * A structured logger on stderr: stdout stays free for a program's answer. Messages are constant,
 * what varies goes into fields.
 */
export function createLogger(name: string, options: LogOptions = {}): Logger {
  const format = options.format ?? (process.stderr.isTTY ? 'text' : 'json')
  const level = options.level ?? process.env['SEINE_LOG_LEVEL'] ?? 'info'
  if (format === 'json') return pino({ name, level, base: {} }, pino.destination({ fd: 2, sync: true }))
  return pino(
    { name, level, base: {} },
    pretty({ destination: 2, sync: true, ignore: 'pid,hostname', translateTime: 'HH:MM:ss.l' }),
  )
}

/** A logger that drops everything, for tests and pure callers. */
export const silentLogger: Logger = pino({ level: 'silent' })
