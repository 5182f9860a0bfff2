import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Answer } from './answer.ts'
import { endOnSignal, type Settings, workloadOf } from './settings.ts'

/** Serves one path pattern. */
export interface Route {
  readonly method?: string
  readonly path: RegExp
  readonly handle: (
    request: IncomingMessage,
    match: RegExpExecArray,
    response: ServerResponse,
  ) => Promise<void> | void
}

/** Answers with JSON. A part that failed makes the answer 502, so that a fault is seen where it surfaces. */
export function sendAnswer(response: ServerResponse, answer: Answer<unknown>): void {
  sendJson(response, answer.ok ? 200 : 502, answer)
}

/** Answers with JSON. */
export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(`${JSON.stringify(body)}\n`)
}

/** Listens on the service's port on all addresses, with `/healthz` beside the given routes. */
export function serveHttp(of: Settings, routes: readonly Route[]): Server {
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://self').pathname
    response.setHeader('x-served-by', `${workloadOf(of)}/${of.pod}`)
    if (path === '/healthz') return sendJson(response, 200, { status: 'ok' })
    for (const route of routes) {
      const match = route.path.exec(path)
      if (match === null || (route.method ?? 'GET') !== request.method) continue
      void respond(route, request, match, response)
      return
    }
    sendJson(response, 404, { error: `${of.service} has no ${request.method} ${path}` })
  })
  // Longer than any proxy keeps an idle connection: the server must not be the one to close it.
  server.keepAliveTimeout = 3_700_000
  server.listen(of.port, '0.0.0.0', () => console.log(JSON.stringify({ message: 'listening', ...of })))
  endOnSignal(() => server.close())
  return server
}

async function respond(
  route: Route,
  request: IncomingMessage,
  match: RegExpExecArray,
  response: ServerResponse,
): Promise<void> {
  try {
    await route.handle(request, match, response)
  } catch (failure) {
    console.error(JSON.stringify({ message: 'request failed', url: request.url, error: String(failure) }))
    if (response.headersSent) response.destroy()
    else sendJson(response, 500, { error: String(failure) })
  }
}
