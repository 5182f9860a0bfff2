import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { errorMessage, type Registry } from '@seine/kit'
import { adminCall } from './envoy-process.ts'
import { istioMetrics } from './istio-metrics.ts'

/** What the agent's HTTP ports answer from. */
export interface StatusOptions {
  readonly metricsPort: number
  readonly healthPort: number
  readonly adminPort: number
  readonly metrics: Registry
  /** Why the sidecar is not ready, or undefined when it is. */
  notReady(): Promise<string | undefined>
}

/** Serves readiness on 15021 and, on 15020, readiness and Envoy's and the agent's metrics in one. */
export class StatusServer {
  readonly #options: StatusOptions
  readonly #servers: Server[] = []

  constructor(options: StatusOptions) {
    this.#options = options
  }

  async start(): Promise<void> {
    const { metricsPort, healthPort } = this.#options
    await Promise.all([this.#listen(metricsPort, true), this.#listen(healthPort, false)])
  }

  async close(): Promise<void> {
    await Promise.all(this.#servers.map(server => new Promise(resolve => server.close(resolve))))
  }

  async #listen(port: number, withMetrics: boolean): Promise<void> {
    const server = createServer((request, response) => {
      this.#answer(request, response, withMetrics).catch(failure =>
        reply(response, 500, errorMessage(failure)),
      )
    })
    server.keepAliveTimeout = 1000
    this.#servers.push(server)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, '0.0.0.0', resolve)
    })
  }

  async #answer(request: IncomingMessage, response: ServerResponse, withMetrics: boolean): Promise<void> {
    const path = request.url?.split('?')[0]
    if (request.method !== 'GET') return reply(response, 405, 'only GET')
    if (path === '/healthz/ready') {
      const reason = await this.#options.notReady()
      return reply(response, reason === undefined ? 200 : 503, reason ?? 'ready')
    }
    if (withMetrics && (path === '/stats/prometheus' || path === '/metrics'))
      return reply(response, 200, await this.#metrics(), 'text/plain; version=0.0.4')
    return reply(response, 404, 'not found')
  }

  /** Envoy's metrics under Istio's names, and the agent's. Without Envoy, the agent's alone. */
  async #metrics(): Promise<string> {
    const envoy = await adminCall(this.#options.adminPort, 'GET', '/stats/prometheus').catch(() => undefined)
    return `${envoy?.status === 200 ? istioMetrics(envoy.body) : ''}${await this.#options.metrics.metrics()}`
  }
}

function reply(response: ServerResponse, status: number, body: string, type = 'text/plain'): void {
  response.writeHead(status, { 'content-type': type }).end(body)
}
