import { lookup } from 'node:dns/promises'
import { createServer, type IncomingMessage } from 'node:http'
import type { Server } from 'node:tls'
import { callHttp, callUpgrade } from './http-client.ts'
import { callGrpc, callHttp2 } from './http2.ts'
import { type Call, type LookupCall, type Misbehaviour, type Outcome, PeerPort } from './protocol.ts'
import { repeat } from './repeat.ts'
import type { PeerState } from './state.ts'
import { callTcp, callTls, serveTls } from './tcp.ts'

/**
 * What the tests drive a pod by:
 *   POST /call          a {@link Call}, answered with its outcomes
 *   GET  /seen/<id>     how many requests of the id have come
 *   POST /misbehave     a {@link Misbehaviour}
 *   POST /tls           `{key, cert}`: serve TLS with it
 */
export function serveControl(port: number, state: PeerState): void {
  let tls: Server | undefined
  const server = createServer((request, response) => {
    const act = async (): Promise<unknown> => {
      const path = request.url ?? '/'
      if (path.startsWith('/seen/')) return state.seen(decodeURIComponent(path.slice('/seen/'.length)))
      if (path === '/call') return perform(await json<Call>(request))
      if (path === '/misbehave') {
        state.misbehaviour = await json<Misbehaviour>(request)
        return {}
      }
      if (path === '/tls') {
        const { key, cert } = await json<{ key: string; cert: string }>(request)
        if (tls) tls.setSecureContext({ key, cert })
        else tls = await serveTls(PeerPort.tls, key, cert)
        return {}
      }
      throw new Error(`there is no ${path}`)
    }
    act().then(
      answer => response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer)),
      failure => response.writeHead(400).end(String(failure)),
    )
  })
  server.requestTimeout = 0
  server.listen(port, '0.0.0.0')
}

function perform(call: Call): Promise<readonly Outcome[]> {
  switch (call.kind) {
    case 'http':
      return callHttp(call)
    case 'http2':
      return callHttp2(call)
    case 'grpc':
      return callGrpc(call)
    case 'upgrade':
      return callUpgrade(call)
    case 'tcp':
      return callTcp(call)
    case 'tls':
      return callTls(call)
    case 'lookup':
      return callLookup(call)
  }
}

function callLookup(call: LookupCall): Promise<readonly Outcome[]> {
  return repeat(call, async () => {
    const found = await lookup(call.name, { all: true })
    return { status: 0, headers: {}, body: '', addresses: found.map(({ address }) => address) }
  })
}

async function json<T>(request: IncomingMessage): Promise<T> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as T
}
