import { createHash } from 'node:crypto'
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { Duplex } from 'node:stream'
import { plain } from './headers.ts'
import { callHttp } from './http-client.ts'
import { self } from './identity.ts'
import { listenOn } from './listen.ts'
import { Ask, type Echo, type Outcome } from './protocol.ts'
import type { PeerState } from './state.ts'

/** Copied from a request to the requests made for it, so that the sidecars' spans join into one trace. */
const TRACE_HEADERS = ['x-request-id', 'traceparent', 'tracestate']
/** RFC 6455, 1.3. */
const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** Answers every request with what it looked like, or as its headers ask. Echoes what comes on a WebSocket's connection. */
export function serveHttp(port: number, state: PeerState): void {
  listenOn(port, () => httpServer(state))
}

function httpServer(state: PeerState): Server {
  const server = createServer((request, response) => {
    answer(request, response, state).catch(failure => {
      if (response.headersSent) return response.destroy()
      return response.writeHead(500).end(String(failure))
    })
  })
  // Longer than any proxy keeps an idle connection: the server must not be the one to close it.
  server.keepAliveTimeout = 3_700_000
  server.on('upgrade', upgrade)
  return server
}

async function answer(request: IncomingMessage, response: ServerResponse, state: PeerState): Promise<void> {
  const asked = (name: string) => single(request.headers[name])
  const body = await text(request)
  const count = state.count(asked(Ask.id) ?? '')
  const delayMs = Number(asked(Ask.delay) ?? state.misbehaviour.delayMs ?? 0)
  if (delayMs > 0) await new Promise(resolve => setTimeout(resolve, delayMs))
  if (asked(Ask.close) === '1') return void request.socket.destroy()
  const failFirst = Number(asked(Ask.failFirst) ?? 0)
  const fails = failFirst > 0 ? count <= failFirst : asked(Ask.status) !== undefined
  const status = fails ? Number(asked(Ask.status) ?? 503) : (state.misbehaviour.status ?? 200)
  const echo = { ...echoOf(request, body), ...(await forwarded(request.headers)) }
  response.writeHead(status, { 'content-type': 'application/json', 'x-served-by': self.pod })
  response.end(JSON.stringify(echo))
}

function echoOf(request: IncomingMessage, body: string): Echo {
  return {
    ...self,
    method: request.method ?? '',
    path: request.url ?? '',
    headers: plain(request.headers),
    headerNames: request.rawHeaders.filter((_one, at) => at % 2 === 0),
    httpVersion: request.httpVersion,
    body,
    remoteAddress: request.socket.remoteAddress ?? '',
  }
}

async function forwarded(headers: IncomingHttpHeaders): Promise<Pick<Echo, 'next'>> {
  const [url, ...rest] = (single(headers[Ask.forward]) ?? '').split(' ').filter(Boolean)
  if (url === undefined) return {}
  const trace = TRACE_HEADERS.flatMap(name => {
    const value = single(headers[name])
    return value === undefined ? [] : [[name, value]]
  })
  const next = { ...Object.fromEntries(trace), ...(rest.length > 0 ? { [Ask.forward]: rest.join(' ') } : {}) }
  const [outcome] = await callHttp({ kind: 'http', url, headers: next })
  return { next: hop(outcome) }
}

function hop(outcome: Outcome | undefined): NonNullable<Echo['next']> {
  if (outcome?.status !== 200) return { status: outcome?.status ?? 0 }
  return { status: 200, echo: JSON.parse(outcome.body) as Echo }
}

function upgrade(request: IncomingMessage, socket: Duplex): void {
  const key = single(request.headers['sec-websocket-key']) ?? ''
  const accept = createHash('sha1').update(`${key}${WEBSOCKET_GUID}`).digest('base64')
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${accept}`,
  ]
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  // A caller that goes away is a caller that has what it wanted.
  socket.on('error', () => socket.destroy())
  socket.pipe(socket)
}

async function text(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(',') : value
}
