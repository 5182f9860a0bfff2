import {
  type ClientHttp2Session,
  connect,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import { self, signature } from './identity.ts'
import { Ask, type GrpcCall, type Http2Call, type Outcome } from './protocol.ts'
import { repeat } from './repeat.ts'
import type { PeerState } from './state.ts'

const GRPC_PATH = '/seine.e2e.Echo/Say'
/** A gRPC message on the wire: one byte of flags, four of length, the message. */
const FRAME_HEAD = 5

/** HTTP/2 without TLS: gRPC's echo service, and anything else answered with the path. */
export function serveHttp2(port: number, state: PeerState): void {
  const server = createServer()
  server.on('stream', (stream, headers) => {
    // A reset stream has nobody left to answer.
    stream.on('error', () => stream.destroy())
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => answer(stream, headers, Buffer.concat(chunks), state))
  })
  server.listen(port, '0.0.0.0')
}

function answer(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  body: Buffer,
  state: PeerState,
): void {
  state.count(String(headers[Ask.id] ?? ''))
  if (headers['content-type'] !== 'application/grpc') {
    stream.respond({ ':status': 200, 'x-served-by': self.pod })
    return void stream.end(`${signature} ${headers[':path']}`)
  }
  const status = headers[':path'] === GRPC_PATH ? '0' : '12'
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status }))
  stream.end(status === '0' ? frame(`${signature} ${body.subarray(FRAME_HEAD).toString('utf8')}`) : undefined)
}

/** Requests on one HTTP/2 connection. */
export function callHttp2(call: Http2Call): Promise<readonly Outcome[]> {
  const { url, method = 'GET', headers = {}, body } = call
  const target = new URL(url)
  const pseudo = { ':method': method, ':path': `${target.pathname}${target.search}` }
  return onConnection(url, session =>
    repeat(call, signal =>
      request(session, { ...pseudo, ...headers }, body === undefined ? undefined : Buffer.from(body), signal),
    ),
  )
}

/** Unary gRPC calls on one HTTP/2 connection; the message that came back is the body. */
export function callGrpc(call: GrpcCall): Promise<readonly Outcome[]> {
  const headers = {
    ':method': 'POST',
    ':path': GRPC_PATH,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...call.headers,
  }
  return onConnection(call.url, session =>
    repeat(call, async signal => {
      const outcome = await request(session, headers, frame(call.message), signal)
      return { ...outcome, body: outcome.body.slice(FRAME_HEAD) }
    }),
  )
}

async function onConnection(
  url: string,
  act: (session: ClientHttp2Session) => Promise<readonly Outcome[]>,
): Promise<readonly Outcome[]> {
  const session = connect(new URL(url).origin)
  // Requests fail with the session's error: each reports it as its own.
  session.on('error', () => undefined)
  const outcomes = await act(session)
  session.destroy()
  return outcomes
}

function request(
  session: ClientHttp2Session,
  headers: Readonly<Record<string, string>>,
  body: Buffer | undefined,
  signal: AbortSignal,
): Promise<Omit<Outcome, 'ms'>> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ...headers }, { signal })
    const chunks: Buffer[] = []
    let head: IncomingHttpHeaders = {}
    let trailers: Record<string, string> = {}
    stream.on('response', received => {
      head = received
    })
    stream.on('trailers', received => {
      trailers = texts(received)
    })
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('error', reject)
    stream.on('end', () => {
      const status = Number(head[':status'] ?? 0)
      // A response of gRPC that is all headers has its status there.
      resolve({
        status,
        headers: texts(head),
        body: Buffer.concat(chunks).toString('utf8'),
        trailers: { ...texts(head), ...trailers },
      })
    })
    stream.end(body)
  })
}

function texts(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))
}

function frame(message: string): Buffer {
  const bytes = Buffer.from(message)
  const head = Buffer.alloc(FRAME_HEAD)
  head.writeUInt32BE(bytes.length, 1)
  return Buffer.concat([head, bytes])
}
