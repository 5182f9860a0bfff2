import { connect as connectTcp, createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { connect as connectTls, createServer as createTlsServer, type Server } from 'node:tls'
import { signature } from './identity.ts'
import { listenOn } from './listen.ts'
import type { Outcome, TcpCall, TlsCall } from './protocol.ts'
import { repeat } from './repeat.ts'

/** Answers each line with who took it and the line. */
export function serveTcp(port: number): void {
  listenOn(port, () => createServer(echoLines))
}

/** The same inside TLS that the program ends itself, with a certificate that a test brings. */
export function serveTls(port: number, key: string, cert: string): Promise<Server> {
  const server = createTlsServer({ key, cert }, echoLines)
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '0.0.0.0', () => resolve(server))
  })
}

function echoLines(socket: Socket): void {
  // A caller that goes away is a caller that has what it wanted.
  socket.on('error', () => socket.destroy())
  createInterface({ input: socket }).on('line', line => socket.write(`${signature} ${line}\n`))
}

/** One line there and one back on each connection. */
export function callTcp(call: TcpCall): Promise<readonly Outcome[]> {
  const { host, port, line, holdMs } = call
  return repeat(call, signal => exchange(connectTcp({ host, port }), line, signal, holdMs))
}

/** One line there and one back on each TLS connection. The certificate is not checked but reported. */
export function callTls(call: TlsCall): Promise<readonly Outcome[]> {
  const { host, port, serverName, line } = call
  return repeat(call, async signal => {
    const socket = connectTls({ host, port, servername: serverName, rejectUnauthorized: false })
    let peerName = ''
    socket.on('secureConnect', () => {
      peerName = String(socket.getPeerCertificate().subject.CN)
    })
    return { ...(await exchange(socket, line, signal)), peerName }
  })
}

function exchange(
  socket: Socket,
  line: string,
  signal: AbortSignal,
  holdMs = 0,
): Promise<Omit<Outcome, 'ms'>> {
  return new Promise((resolve, reject) => {
    const fail = (failure: Error) => {
      socket.destroy()
      reject(failure)
    }
    signal.addEventListener('abort', () => fail(new Error('no answer in time')))
    socket.on('error', fail)
    socket.on('close', () => reject(new Error('closed without an answer')))
    createInterface({ input: socket })
      .on('line', body => {
        const end = () => {
          resolve({ status: 0, headers: {}, body })
          socket.end()
        }
        if (holdMs > 0) setTimeout(end, holdMs)
        else end()
      })
      .on('error', fail)
    socket.write(`${line}\n`)
  })
}
