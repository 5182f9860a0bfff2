import { request as httpRequest } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { connect, type Socket } from 'node:net'
import type { Duplex, Readable } from 'node:stream'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { type Place, proxyHeader } from './capture.ts'
import type { CaseRequest } from './conformance-case.ts'
import type { Seen } from './echo-backends.ts'
import type { TestAuthority } from './test-authority.ts'

/** What a client's sidecar offers another one, by which that knows requests. */
const MESH_ALPN = 'istio-http'
const GAVE_UP = 'the client gave up'

/** What came of a request. */
export interface Answer {
  /** Why there is no answer, where there is none. */
  readonly failure?: 'gave up' | 'refused'
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: string
  readonly seen: Seen | undefined
  readonly tookMs: number
  readonly certificate?: string
  readonly tlsVersion?: string
  readonly cipher?: string
}

/** The way of a request: the port of the Envoy that takes it, and where it was on its way from and to. */
export interface Way {
  readonly envoyPort: number
  readonly to: Place
  readonly authority: TestAuthority
}

/** Sends a request. @returns what came of it, which may be nothing. */
export async function send(request: CaseRequest, id: string, way: Way): Promise<Answer> {
  const answer = await answerTo(request, id, way)
  return { ...answer, seen: seenBy(answer) }
}

async function answerTo(request: CaseRequest, id: string, way: Way): Promise<Unread> {
  const began = performance.now()
  const from = request.from ?? '127.0.0.1'
  const path = /^unix:\/\/(.*)/.exec(way.to.address)?.[1]
  const socket = connect(path ? { path } : { port: way.envoyPort, host: '127.0.0.1', localAddress: from })
  // What is wrong with the connection is told by the request.
  socket.on('error', () => undefined)
  if (!path) socket.write(proxyHeader({ address: from, port: 40_000 }, way.to))
  const stream = await overTls(request, socket, way.authority)
  const patience = setTimeout(() => socket.destroy(new Error(GAVE_UP)), request.giveUpMs ?? 10_000)
  try {
    const exchanged = await (request.http2 ? byHttp2 : byHttp1)(request, id, stream)
    return {
      ...exchanged,
      tookMs: performance.now() - began,
      ...(stream === socket ? {} : tlsOf(stream as TLSSocket)),
    }
  } catch (failure) {
    const tookMs = performance.now() - began
    const gaveUp = failure instanceof Error && failure.message === GAVE_UP
    return {
      failure: gaveUp ? 'gave up' : 'refused',
      status: 0,
      headers: {},
      body: '',
      tookMs,
    }
  } finally {
    clearTimeout(patience)
    socket.destroy()
  }
}

type Unread = Omit<Answer, 'seen'>
type Exchanged = Pick<Answer, 'status' | 'headers' | 'body'>

function byHttp1(
  { url, method = 'GET', headers = {}, proxied = false }: CaseRequest,
  id: string,
  stream: Duplex,
): Promise<Exchanged> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(
      {
        createConnection: () => stream,
        method,
        path: proxied ? url : pathOf(url),
        headers: { host: new URL(url).host, 'x-id': id, ...headers },
      },
      response => {
        bodyOf(response).then(
          body =>
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers as Answer['headers'],
              body,
            }),
          reject,
        )
      },
    )
    sent.on('error', reject)
    sent.end()
  })
}

function byHttp2(
  { url, method = 'GET', headers = {} }: CaseRequest,
  id: string,
  stream: Duplex,
): Promise<Exchanged> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(url, { createConnection: () => stream })
    session.on('error', reject)
    const sent = session.request({ ':method': method, ':path': pathOf(url), 'x-id': id, ...headers })
    sent.on('error', reject)
    sent.on('response', answer => {
      bodyOf(sent).then(
        body => resolve({ status: answer[':status'] ?? 0, headers: answer as Answer['headers'], body }),
        reject,
      )
    })
    sent.end()
  })
}

/** As it is written: a URL's own form would be another where it is odd. */
function pathOf(url: string): string {
  const { pathname, search } = new URL(url)
  return /^[a-z]+:\/\/[^/]*(.*)$/.exec(url)?.[1] || pathname + search
}

/** What the backend saw, where it is who answered. */
function seenBy({ headers, body }: Unread): Seen | undefined {
  const isEcho = headers['x-own'] === 'backend' || body.startsWith('{"backend"')
  return isEcho ? (JSON.parse(body) as Seen) : undefined
}

async function bodyOf(stream: Readable): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return withoutTrailers(Buffer.concat(chunks)).toString('utf8')
}

/** Of an answer by gRPC-Web the last frame holds the trailers: a byte that says so, its length, and text. */
function withoutTrailers(body: Buffer): Buffer {
  for (let at = body.indexOf(0x80); at >= 0; at = body.indexOf(0x80, at + 1))
    if (at + 5 <= body.length && body.readUInt32BE(at + 1) === body.length - at - 5)
      return body.subarray(0, at)
  return body
}

async function overTls(
  { url, tls = {}, as }: CaseRequest,
  socket: Socket,
  authority: TestAuthority,
): Promise<Socket> {
  const { protocol, hostname } = new URL(url)
  if (protocol !== 'https:' && as === undefined) return socket
  const [namespace, account] = (as ?? '').split('/')
  const client = as === undefined ? tls.client : `spiffe://cluster.local/ns/${namespace}/sa/${account}`
  const pair = client === undefined ? undefined : await authority.issue(client)
  return connectTls({
    socket,
    servername: tls.sni ?? (as === undefined ? hostname : ''),
    rejectUnauthorized: false,
    ALPNProtocols: [...(tls.alpn ?? (as === undefined ? ['http/1.1'] : [MESH_ALPN]))],
    ...(tls.maxVersion ? { maxVersion: tls.maxVersion } : {}),
    ...(pair ? { cert: pair.certificate, key: pair.key } : {}),
  })
}

function tlsOf(stream: TLSSocket): Pick<Answer, 'certificate' | 'tlsVersion' | 'cipher'> {
  return {
    certificate: stream.getPeerCertificate().subjectaltname ?? '',
    tlsVersion: stream.getProtocol() ?? '',
    cipher: stream.getCipher().name,
  }
}
