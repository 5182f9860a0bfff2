import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

/** What comes to a gateway from outside of the mesh. */
export interface EdgeRequest {
  readonly ip: string
  readonly port: number
  /** The Host header and, over TLS, the name that is asked for. */
  readonly host: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Over TLS: certificates that the server's is checked against, and the client's own. */
  readonly tls?: { readonly ca: string; readonly key?: string; readonly cert?: string }
}

/** What comes back. */
export interface EdgeAnswer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** Makes a request from the machine itself, as a browser outside of the mesh would. Rejects when there is no answer. */
export function fromOutside({ ip, port, host, path = '/', headers, tls }: EdgeRequest): Promise<EdgeAnswer> {
  const options = { host: ip, port, path, headers: { ...headers, host }, agent: false, timeout: 10_000 }
  return new Promise((resolve, reject) => {
    const request = tls ? httpsRequest({ ...options, ...tls, servername: host }) : httpRequest(options)
    request.on('error', reject)
    request.on('timeout', () => request.destroy(new Error(`${host} did not answer in time`)))
    request.on('response', response => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        body += chunk
      })
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
    })
    request.end()
  })
}

/** Asks for a WebSocket. @returns the status of the answer, and what an echo server said to a frame. */
export function upgradeFromOutside({ ip, port, host, path = '/' }: EdgeRequest): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({
      host: ip,
      port,
      path,
      agent: false,
      timeout: 10_000,
      headers: {
        host,
        connection: 'Upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      },
    })
    request.on('error', reject)
    request.on('response', response => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    request.on('upgrade', (response, socket: Socket) => {
      socket.destroy()
      resolve(response.statusCode ?? 0)
    })
    request.end()
  })
}

/** Sends a line over TCP. @returns the line that comes back; empty where the connection ends, or is reset, before. */
export function lineFromOutside(ip: string, port: number, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: ip, port, timeout: 10_000 })
    let text = ''
    socket.setEncoding('utf8')
    socket.on('connect', () => socket.write(`${line}\n`))
    socket.on('timeout', () => socket.destroy(new Error('no line came back in time')))
    // A server that closes before it has read the line resets the connection.
    socket.on('error', (error: NodeJS.ErrnoException) => error.code !== 'ECONNRESET' && reject(error))
    socket.on('close', () => resolve(text.split('\n')[0] ?? ''))
    socket.on('data', (chunk: string) => {
      text += chunk
      if (text.includes('\n')) socket.end()
    })
  })
}

/** Shakes hands over TLS. @returns the common name of the server's certificate; rejects where it is not trusted. */
export function handshakeFromOutside(
  ip: string,
  port: number,
  servername: string,
  ca: string,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: ip, port, servername, ca, timeout: 10_000 }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN))
      socket.destroy()
    })
    socket.on('timeout', () => socket.destroy(new Error('no handshake in time')))
    socket.on('error', reject)
  })
}

/** Sends a line over TLS. @returns the line that comes back; rejects where the server is not trusted. */
export function tlsLineFromOutside(
  ip: string,
  port: number,
  servername: string,
  ca: string,
  line: string,
): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connectTls({ host: ip, port, servername, ca, timeout: 10_000 }, () =>
      socket.write(`${line}\n`),
    )
    socket.setEncoding('utf8')
    socket.on('timeout', () => socket.destroy(new Error('no line came back in time')))
    // A server that closes before it has read the line resets the connection.
    socket.on('error', (error: NodeJS.ErrnoException) => error.code !== 'ECONNRESET' && reject(error))
    socket.on('close', () => resolve(text.split('\n')[0] ?? ''))
    socket.on('data', (chunk: string) => {
      text += chunk
      if (text.includes('\n')) socket.end()
    })
  })
}
