import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Counter, errorMessage, type Logger, type Registry } from '@seine/kit'
import { adminCall } from './envoy-process.ts'
import { istioMetrics } from './istio-metrics.ts'
import { listenFailure } from './listen-failure.ts'

/** Well below the timeout of Prometheus, which is 10 s unless it is told otherwise. */
const SCRAPE_TIMEOUT_MS = 5000

/** What the agent's HTTP ports answer from. */
export interface StatusOptions {
  /** 0 for any, as the next. */
  /** Whether to listen on IPv6 as well. */
  readonly ipv6: boolean
  readonly metricsPort: number
  readonly healthPort: number
  /** Envoy's, undefined where there is none. */
  readonly adminPort: number | undefined
  readonly metrics: Registry
  /** Where the application serves metrics of its own, to be served along. */
  readonly application: URL | undefined
  /** What the application can be asked, by path. @returns undefined where there is nothing of that path, else what the answer was. */
  probe?(path: string): Promise<ProbeAnswer> | undefined
  readonly logger: Logger
  /** Why the sidecar is not ready, or undefined when it is. */
  notReady(): Promise<string | undefined>
}

/** What an application answered: why it is not well, or undefined when it is. */
export interface ProbeAnswer {
  readonly reason: string | undefined
}

/** Serves readiness on 15021 and, on 15020, readiness and Envoy's and the agent's metrics in one. */
export class StatusServer {
  readonly #options: StatusOptions
  readonly #servers: Server[] = []
  readonly #failures: Counter

  constructor(options: StatusOptions) {
    this.#options = options
    this.#failures = new Counter({
      name: 'seine_agent_scrape_failures_total',
      help: 'How often metrics of Envoy or of the application were not to be had',
      labelNames: ['of'],
      registers: [options.metrics],
    })
  }

  /** Resolves with the ports when both listen; rejects when one is taken. */
  async start(): Promise<{ readonly metrics: number; readonly health: number }> {
    const { metricsPort, healthPort } = this.#options
    const metrics = await this.#listen(metricsPort, true)
    return { metrics, health: await this.#listen(healthPort, false) }
  }

  async close(): Promise<void> {
    await Promise.all(this.#servers.map(server => new Promise(resolve => server.close(resolve))))
  }

  async #listen(port: number, withMetrics: boolean): Promise<number> {
    const server = createServer((request, response) => {
      this.#answer(request, response, withMetrics).catch(failure =>
        reply(response, 500, errorMessage(failure)),
      )
    })
    server.keepAliveTimeout = 1000
    this.#servers.push(server)
    await new Promise<void>((resolve, reject) => {
      server.once('error', failure => reject(listenFailure(port, failure)))
      // Connections by IPv4 come to the unspecified address of IPv6 too.
      server.listen(port, this.#options.ipv6 ? '::' : '0.0.0.0', resolve)
    })
    return (server.address() as AddressInfo).port
  }

  async #answer(request: IncomingMessage, response: ServerResponse, withMetrics: boolean): Promise<void> {
    const { pathname: path, searchParams } = new URL(`http://agent${request.url ?? '/'}`)
    if (request.method !== 'GET') return reply(response, 405, 'only GET')
    if (path === '/healthz/ready') {
      const reason = await this.#options.notReady()
      return reply(response, reason === undefined ? 200 : 503, reason ?? 'ready')
    }
    if (withMetrics && (path === '/stats/prometheus' || path === '/metrics'))
      return reply(
        response,
        200,
        await this.#metrics(searchParams.get('filter')),
        'text/plain; version=0.0.4',
      )
    const asked = withMetrics ? this.#options.probe?.(path) : undefined
    if (!asked) return reply(response, 404, 'not found')
    const { reason } = await asked
    return reply(response, reason === undefined ? 200 : 500, reason ?? 'ok')
  }

  /**
   * Envoy's metrics under Istio's names, the application's and the agent's, or those of them that are to be had.
   * With a filter, a regular expression for the names that Envoy has for its own, only those of Envoy and the agent's.
   */
  async #metrics(filter: string | null): Promise<string> {
    const { adminPort, application, metrics } = this.#options
    const query = filter === null ? '' : `?filter=${encodeURIComponent(filter)}`
    const [envoy, own] = await Promise.all([
      adminPort === undefined
        ? ''
        : this.#scraped('envoy', () => adminCall(adminPort, 'GET', `/stats/prometheus${query}`)),
      application && filter === null ? this.#scraped('application', () => get(application)) : '',
    ])
    return [istioMetrics(envoy), own, await metrics.metrics()].map(endedByNewline).join('')
  }

  async #scraped(of: string, get: () => Promise<{ status: number; body: string }>): Promise<string> {
    try {
      const { status, body } = await get()
      if (status === 200) return body
      throw new Error(`it answered ${status}`)
    } catch (failure) {
      this.#failures.inc({ of })
      this.#options.logger.debug({ of, reason: errorMessage(failure) }, 'no metrics')
      return ''
    }
  }
}

async function get(url: URL): Promise<{ status: number; body: string }> {
  const answer = await fetch(url, {
    headers: { accept: 'text/plain;version=0.0.4' },
    signal: AbortSignal.timeout(SCRAPE_TIMEOUT_MS),
  })
  return { status: answer.status, body: await answer.text() }
}

/** Texts that are put together must not run into each other. */
function endedByNewline(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`
}

function reply(response: ServerResponse, status: number, body: string, type = 'text/plain'): void {
  response.writeHead(status, { 'content-type': type }).end(body)
}
