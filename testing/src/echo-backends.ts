import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http'
import {
  createServer as createHttp2,
  createSecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { IssuedPair } from './test-authority.ts'

/** What a backend saw of a request: the body of its answer. */
export interface Seen {
  readonly backend: string
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** The version of HTTP: 1.1, 2.0. */
  readonly http: string
  /** The port that was called, and the caller's. */
  readonly port: number
  readonly callerPort: number
  /** What a client's TLS said: the name it asked for, and whose certificate it has. */
  readonly tls?: { readonly sni: string; readonly client: string }
  /** The version of the PROXY protocol's header before the request. */
  readonly proxyProtocol?: string
  /** Where a tunnel was to lead, in which the request came. */
  readonly tunnel?: string
}

/** Headers by which a request tells its backend what to do. */
const ASK = {
  id: 'x-id',
  status: 'x-status',
  failFirst: 'x-fail-first',
  failAt: 'x-fail-at',
  delay: 'x-delay-ms',
  close: 'x-close',
}

/** What came before a request on its connection. */
interface Before {
  readonly proxyProtocol?: string
  readonly tunnel?: string
}

type Request = IncomingMessage | Http2ServerRequest
type Response = ServerResponse | Http2ServerResponse

const HTTP2_PREFACE = Buffer.from('PRI * HTTP/2')
const PROXY_V1 = Buffer.from('PROXY ')
const PROXY_V2 = Buffer.from('\r\n\r\n\0\r\nQUIT\n')
const TLS_HANDSHAKE = 0x16

/**
 * Servers on loopback addresses, told apart by them. Each takes HTTP of both versions, with or without TLS, the PROXY
 * protocol and tunnels, by a connection's first bytes. They answer with what they saw, and do as requests tell them:
 * `x-status`, `x-fail-first` (so many of an `x-id` fail with the status, or 503), `x-fail-at` (those at a backend do),
 * `x-delay-ms`, `x-close`.
 */
export class EchoBackends {
  readonly #names: ReadonlyMap<string, string>
  readonly #http = createHttp((request, response) => this.#answer(request, response))
  readonly #http2 = createHttp2((request, response) => this.#answer(request, response))
  readonly #secure
  readonly #servers: Server[] = []
  readonly #sockets = new Set<Socket>()
  readonly #before = new WeakMap<Socket, Before>()
  readonly #arrivals = new Map<string, Map<string, number>>()

  /** `names` by address; `pair` is what they show in TLS, and `root` what clients' certificates are checked by. */
  constructor(names: ReadonlyMap<string, string>, { certificate, key }: IssuedPair, root: string) {
    this.#names = names
    const options = { cert: certificate, key, ca: root, requestCert: true, rejectUnauthorized: false }
    this.#secure = createSecureServer({ ...options, allowHTTP1: true }, (request, response) =>
      this.#answer(request, response),
    )
    this.#http.on('connect', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      if (head.length > 0) socket.unshift(head)
      this.#serve(socket, { tunnel: request.url ?? '' })
    })
    // A client that goes away in the middle of its TLS is a case's matter.
    this.#secure.on('tlsClientError', () => undefined)
    this.#http.on('clientError', (_failure, socket) => socket.destroy())
  }

  /** Has them show another certificate to clients that ask for a name. */
  alsoAs(name: string, { certificate, key }: IssuedPair): void {
    this.#secure.addContext(name, { cert: certificate, key })
  }

  /** Listens on two ports at each address. @returns the ports. */
  async start(): Promise<readonly [port: number, other: number]> {
    return [await this.#listen(), await this.#listen()]
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await Promise.all(this.#servers.map(server => new Promise(resolve => server.close(resolve))))
  }

  /** How many requests with an id each backend has seen. */
  arrivals(id: string): Record<string, number> {
    return Object.fromEntries(this.#arrivals.get(id) ?? [])
  }

  /** On one port at all addresses: another where somebody has the one that was chosen at some address. */
  async #listen(): Promise<number> {
    for (;;) {
      const opened: Server[] = []
      let port = 0
      try {
        for (const address of this.#names.keys()) {
          const server = createServer(socket => {
            this.#sockets.add(socket)
            socket.on('close', () => this.#sockets.delete(socket))
            this.#serve(socket, {})
          })
          opened.push(server)
          await listening(server, port, address)
          port = (server.address() as AddressInfo).port
        }
        this.#servers.push(...opened)
        return port
      } catch (failure) {
        if ((failure as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw failure
        for (const server of opened) server.close()
      }
    }
  }

  /** Hands a connection to the server for what its first bytes say. */
  #serve(socket: Socket, before: Before): void {
    socket.on('error', () => socket.destroy())
    let known = before
    const look = () => {
      const chunk: Buffer | null = socket.read()
      if (!chunk) {
        socket.once('readable', look)
        return
      }
      const [rest, header] = withoutProxyHeader(chunk)
      if (header) known = { ...known, proxyProtocol: header }
      this.#before.set(socket, known)
      if (rest.length === 0) {
        socket.once('readable', look)
        return
      }
      socket.unshift(rest)
      const isHttp2 = rest.subarray(0, HTTP2_PREFACE.length).equals(HTTP2_PREFACE)
      const server = rest[0] === TLS_HANDSHAKE ? this.#secure : isHttp2 ? this.#http2 : this.#http
      server.emit('connection', socket)
    }
    look()
  }

  #answer(request: Request, response: Response): void {
    request.resume()
    // Behind TLS, the socket that was looked at first is the parent of the request's.
    const socket = ('stream' in request ? request.stream.session?.socket : request.socket) as TLSSocket
    const name = this.#names.get(socket.localAddress ?? '') ?? 'nobody'
    const header = (key: string) => String(request.headers[key] ?? '')
    const id = header(ASK.id)
    const counts = this.#arrivals.get(id) ?? new Map<string, number>()
    counts.set(name, (counts.get(name) ?? 0) + 1)
    this.#arrivals.set(id, counts)
    const total = [...counts.values()].reduce((sum, one) => sum + one, 0)
    const isAsked = header(ASK.failFirst) === '' && header(ASK.failAt) === ''
    const fails = isAsked
      ? header(ASK.status) !== ''
      : header(ASK.failAt) === name || total <= Number(header(ASK.failFirst))
    if (header(ASK.close) && fails) {
      socket.destroy()
      return
    }
    const status = fails ? Number(header(ASK.status) || 503) : 200
    const seen = this.#seenBy(name, socket, request)
    const isGrpc = /^application\/grpc($|\+)/.test(header('content-type')) && 'stream' in request
    const answer = () => {
      if (isGrpc) response.addTrailers({ 'grpc-status': '0' })
      response.writeHead(status, {
        'content-type': isGrpc ? 'application/grpc' : 'application/json',
        'x-backend': name,
        'x-own': 'backend',
      })
      response.end(JSON.stringify(seen))
    }
    const delayMs = Number(header(ASK.delay))
    if (delayMs > 0) setTimeout(answer, delayMs).unref()
    else answer()
  }

  #seenBy(backend: string, socket: TLSSocket, request: Request): Seen {
    const raw = (socket as unknown as { _parent?: Socket })._parent ?? socket
    return {
      backend,
      method: request.method ?? '',
      path: request.url ?? '',
      headers: Object.fromEntries(
        Object.entries(request.headers).map(([key, value]) => [
          key === ':authority' ? 'host' : key,
          String(value),
        ]),
      ),
      http: request.httpVersion,
      port: socket.localPort ?? 0,
      callerPort: socket.remotePort ?? 0,
      ...(socket.encrypted
        ? {
            tls: {
              sni: String(socket.servername || ''),
              client: socket.getPeerCertificate().subjectaltname ?? '',
            },
          }
        : {}),
      ...this.#before.get(raw),
    }
  }
}

function listening(server: Server, port: number, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, address, resolve)
  })
}

/** What follows the header of the PROXY protocol, where a connection begins with one, and the header's version. */
function withoutProxyHeader(chunk: Buffer): readonly [rest: Buffer, version?: string] {
  if (chunk.subarray(0, PROXY_V1.length).equals(PROXY_V1))
    return [chunk.subarray(chunk.indexOf('\r\n') + 2), 'V1']
  if (!chunk.subarray(0, PROXY_V2.length).equals(PROXY_V2)) return [chunk]
  const length = chunk.readUInt16BE(PROXY_V2.length + 2)
  return [chunk.subarray(PROXY_V2.length + 4 + length), 'V2']
}
