import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Closable, errorMessage, type Registry } from '@seine/kit'
import { listenFailure } from './listen-failure.ts'
import type { Pilot } from './pilot.ts'

const BASE = 'http://localhost'

/** What the control plane's own HTTP port answers from. */
export interface HttpOptions {
  /** 0 for any. */
  readonly port: number
  readonly metrics: Registry
  readonly ready: () => boolean
  readonly pilot: Pilot | undefined
}

/** Serves /metrics, /readyz and, for a hub in another process, what pilot knows; on loopback only. Rejects when the port is taken. */
export async function listenHttp(options: HttpOptions): Promise<Closable & { readonly port: number }> {
  const server = createServer((request, response) => {
    answer(options, request, response).catch(failure =>
      send(response, 500, 'text/plain', errorMessage(failure)),
    )
  })
  const wanted = {
    host: '127.0.0.1',
    port: options.port,
    purpose: 'metrics and readiness',
    option: '--http-port',
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', failure => reject(listenFailure(wanted, failure)))
    server.listen(wanted.port, wanted.host, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    close: () => new Promise(resolve => void server.close(() => resolve())),
  }
}

/** What pilot knows, by path. */
const OF_PILOT: Readonly<Record<string, (pilot: Pilot) => unknown>> = {
  '/debug/syncz': pilot => pilot.proxies(),
  '/debug/problems': pilot => pilot.problems,
  '/debug/findings': pilot => pilot.findings,
  '/debug/registered': pilot => pilot.registered,
  '/debug/objects': pilot => pilot.objects(),
}

async function answer(
  { metrics, ready, pilot }: HttpOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  // What is no path, such as `//`, is nothing that is here.
  const path = request.url ?? '/'
  const url = URL.canParse(path, BASE) ? new URL(path, BASE) : undefined
  if (request.method !== 'GET') return send(response, 405, 'text/plain', 'only GET')
  const known = OF_PILOT[url?.pathname ?? '']
  if (known)
    return pilot
      ? sendJson(response, known(pilot))
      : send(response, 404, 'text/plain', 'pilot runs elsewhere')
  switch (url?.pathname) {
    case '/metrics':
      return send(response, 200, metrics.contentType, await metrics.metrics())
    case '/readyz':
      return send(response, ready() ? 200 : 503, 'text/plain', ready() ? 'ready' : 'starting')
    case '/debug/config': {
      const found = pilot?.configurationOf(url?.searchParams.get('proxyID') ?? '')
      return found
        ? sendJson(response, found)
        : send(response, 404, 'text/plain', 'no such proxy is connected')
    }
    default:
      return send(response, 404, 'text/plain', 'not found')
  }
}

function sendJson(response: ServerResponse, value: unknown): void {
  send(response, 200, 'application/json', JSON.stringify(value))
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type }).end(body)
}
