import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { request } from 'node:http'
import { createInterface } from 'node:readline'
import { type Clock, Counter, type Logger, type Registry } from '@seine/kit'

const FIRST_PAUSE_MS = 200
const LONGEST_PAUSE_MS = 10_000
/** A start that held this long was a good one. */
const STEADY_MS = 30_000
const KEPT_LINES = 5
const KILL_AFTER_MS = 3000
const IDLE_POLL_MS = 1000
const VALIDATION_MS = 30_000
/** How to start Envoy. */
export interface EnvoyOptions {
  readonly path: string
  readonly bootstrapFile: string
  /** Threads; 0 for one for each core, which is Envoy's own default. */
  readonly concurrency: number
  readonly adminPort: number
  readonly drainMs: number
  /** How long connections may go on at least when it stops, to be ended by themselves; undefined to end them after `drainMs`. */
  readonly idleAfterMs: number | undefined
  /** How long connections of replaced listeners may go on. */
  readonly listenerDrainS: number
  /** How often access logs are written out, and how much of them is collected at most until then. */
  readonly logFlushMs: number
  readonly logFlushKib: number
  /** In Envoy's words. */
  readonly logLevel: string
  readonly componentLogLevel: string | undefined
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Registry
}

/** Runs Envoy, starts it again when it crashes, and lets its requests end before it stops. */
export class EnvoyProcess {
  readonly #options: EnvoyOptions
  #child: ChildProcess | undefined
  #stopping = false
  #failures = 0
  #cancel: (() => void) | undefined
  readonly #restarts: Counter

  constructor(options: EnvoyOptions) {
    this.#options = options
    this.#restarts = new Counter({
      name: 'seine_agent_envoy_restarts_total',
      help: 'How often Envoy ended unexpectedly and was started again',
      labelNames: ['ending'],
      registers: [options.metrics],
    })
  }

  start(): void {
    const {
      path,
      bootstrapFile,
      concurrency,
      listenerDrainS,
      logFlushMs,
      logFlushKib,
      logLevel,
      componentLogLevel,
      clock,
      logger,
    } = this.#options
    const startedAt = clock.now()
    // Access logs are Envoy's stdout; its own log is stderr. Both pass through here: see the access log's note on pipes.
    const child = spawn(
      path,
      [
        '-c',
        bootstrapFile,
        ...(concurrency === 0 ? [] : ['--concurrency', String(concurrency)]),
        '--disable-hot-restart',
        '--drain-time-s',
        String(listenerDrainS),
        '--drain-strategy',
        'immediate',
        '--file-flush-interval-msec',
        String(logFlushMs),
        '--file-flush-min-size-kb',
        String(logFlushKib),
        '-l',
        logLevel,
        ...(componentLogLevel === undefined ? [] : ['--component-log-level', componentLogLevel]),
        '--log-format',
        '%v',
      ],
      { stdio: ['ignore', 'inherit', 'pipe'] },
    )
    this.#child = child
    const lastLines: string[] = []
    createInterface({ input: child.stderr }).on('line', line => {
      lastLines.push(line)
      if (lastLines.length > KEPT_LINES) lastLines.shift()
      logger.warn({ envoy: line }, 'envoy says')
    })
    child.once('error', failure => logger.error({ err: failure, path }, 'envoy does not start'))
    child.once('close', (code, signal) => {
      this.#child = undefined
      if (this.#stopping) return
      this.#failures = clock.now() - startedAt > STEADY_MS ? 0 : this.#failures + 1
      const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.#failures)
      this.#restarts.inc({ ending: signal ?? `exit code ${code}` })
      logger.error(
        { code, signal, lastLines, restartInMs: pause },
        'envoy ended unexpectedly: starting it again',
      )
      this.#cancel = clock.after(pause, () => this.start())
    })
  }

  /** Whether Envoy serves: its admin port says LIVE. */
  async live(): Promise<boolean> {
    const answer = await adminCall(this.#options.adminPort, 'GET', '/ready').catch(() => undefined)
    return answer?.status === 200
  }

  /** Whether there are connections. What can't be told is taken for none: nobody waits for an Envoy that does not answer. */
  async #isBusy(): Promise<boolean> {
    const query = '/stats?filter=%5Eserver%5C.total_connections%24'
    const answer = await adminCall(this.#options.adminPort, 'GET', query).catch(() => undefined)
    return Number(/total_connections: (\d+)/.exec(answer?.body ?? '')?.[1] ?? 0) > 0
  }

  /** Stops taking new connections, lets those there are go on for up to the drain time, or until there are none, then ends Envoy. */
  async stop(): Promise<void> {
    const { adminPort, drainMs, idleAfterMs, clock, logger } = this.#options
    this.#stopping = true
    this.#cancel?.()
    const child = this.#child
    if (!child || child.exitCode !== null) return
    const closed = new Promise<void>(resolve => child.once('close', () => resolve()))
    await adminCall(adminPort, 'POST', '/drain_listeners?graceful').catch(failure =>
      logger.warn({ err: failure }, 'envoy was not told to drain'),
    )
    const pause = (ms: number) =>
      Promise.race([closed, new Promise<void>(resolve => clock.after(ms, resolve))])
    await pause(idleAfterMs ?? drainMs)
    if (idleAfterMs !== undefined)
      while (child.exitCode === null && child.signalCode === null && (await this.#isBusy()))
        await pause(IDLE_POLL_MS)
    child.kill('SIGTERM')
    const cancel = clock.after(KILL_AFTER_MS, () => child.kill('SIGKILL'))
    await closed
    cancel()
  }
}

/** Why Envoy would not start with a bootstrap; undefined where it would. */
export function refusal(path: string, bootstrapFile: string): Promise<string | undefined> {
  const options = [
    '--mode',
    'validate',
    '--concurrency',
    '1',
    '-l',
    'error',
    '--log-format',
    '%v',
    '-c',
    bootstrapFile,
  ]
  return new Promise(resolve =>
    execFile(path, options, { timeout: VALIDATION_MS }, (failure, _, stderr) =>
      resolve(failure ? stderr.trim() || failure.message : undefined),
    ),
  )
}

/** Calls Envoy's admin interface on loopback. */
export function adminCall(
  port: number,
  method: 'GET' | 'POST',
  path: string,
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port, method, path, timeout: 5000 }, response => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
      )
      response.on('error', reject)
    })
    call.on('timeout', () => call.destroy(new Error('timed out')))
    call.on('error', reject)
    call.end()
  })
}
