import { createServer, type IncomingMessage } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net'
import {
  Server as GrpcServer,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
} from '@grpc/grpc-js'
import { afterEach, describe, expect, it } from 'vitest'
import { TestAuthority } from '../test/authority.ts'
import { probeOnce } from './probes.ts'

const NOTHING = { exec: false }
const closers: (() => void)[] = []

afterEach(() => {
  for (const close of closers.splice(0)) close()
})

async function portOf(server: Server): Promise<number> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => server.close())
  return (server.address() as AddressInfo).port
}

/** A port that nobody listens on. */
async function closedPort(): Promise<number> {
  const port = await portOf(createTcpServer())
  closers.pop()?.()
  return port
}

describe('a probe over HTTP', () => {
  async function answering(status: number) {
    const seen: IncomingMessage[] = []
    const server = createServer((request, response) => {
      seen.push(request)
      response.writeHead(status, { location: '/elsewhere' }).end()
    })
    return { seen, port: await portOf(server) }
  }

  it.each([
    [200, undefined],
    [302, undefined],
    [399, undefined],
    [400, 'the answer was 400'],
    [503, 'the answer was 503'],
  ])('takes %d as %s', async (status, reason) => {
    const { port, seen } = await answering(status)
    expect(await probeOnce({ httpGet: { port } }, NOTHING)).toBe(reason)
    expect(seen).toHaveLength(1)
    expect(seen[0]).toMatchObject({ method: 'GET', url: '/' })
  })

  it('asks for the path, by the host and with the headers that it names', async () => {
    const { port, seen } = await answering(200)
    const httpHeaders = [
      { name: 'Host', value: 'web.example' },
      { name: 'X-One', value: 'a' },
      { name: 'X-One', value: 'b' },
      { name: 'User-Agent', value: 'me' },
      { name: 'X-Empty' },
    ]
    const httpGet = { path: 'ready?full=1', port, host: '127.0.0.1', httpHeaders }
    expect(await probeOnce({ httpGet }, NOTHING)).toBeUndefined()
    expect(seen[0]?.url).toBe('/ready?full=1')
    expect(seen[0]?.headers).toMatchObject({
      host: 'web.example',
      'x-one': 'a, b',
      'user-agent': 'me',
      'x-empty': '',
    })
  })

  it('over TLS takes any certificate', async () => {
    const authority = await TestAuthority.create()
    const { key, certificate: cert } = await authority.server([{ type: 'dns', value: 'other.example' }])
    const server = createTlsServer({ key, cert }, (_request, response) => response.end())
    const port = await portOf(server)
    expect(await probeOnce({ httpGet: { port, scheme: 'HTTPS' } }, NOTHING)).toBeUndefined()
    expect(await probeOnce({ httpGet: { port, scheme: 'HTTP' } }, NOTHING)).toMatch(/./)
  })

  it('waits no longer than it says', async () => {
    const port = await portOf(createServer(() => undefined))
    expect(await probeOnce({ timeoutSeconds: 1, httpGet: { port } }, NOTHING)).toBe('no answer within 1 s')
  })

  it('says why there is no connection', async () => {
    const port = await closedPort()
    expect(await probeOnce({ httpGet: { port, host: '127.0.0.1' } }, NOTHING)).toContain('ECONNREFUSED')
  })
})

describe('a probe of a place', () => {
  it('is asked from the address that it says, over HTTP, TCP and gRPC', async () => {
    const from: (string | undefined)[] = []
    const server = createTcpServer(socket => {
      from.push(socket.remoteAddress)
      socket.destroy()
    })
    const port = await portOf(server)
    const place = { host: '127.0.0.1', from: '127.0.0.6' }
    for (const probe of [{ httpGet: { port } }, { tcpSocket: { port } }, { grpc: { port } }])
      await probeOnce(probe, NOTHING, place)
    expect(from).toEqual(['127.0.0.6', '127.0.0.6', '127.0.0.6'])
  })
})

describe('a probe over TCP', () => {
  it('takes a connection', async () => {
    const port = await portOf(createTcpServer())
    expect(await probeOnce({ tcpSocket: { port } }, NOTHING)).toBeUndefined()
  })

  it('says why there is none', async () => {
    const port = await closedPort()
    expect(await probeOnce({ tcpSocket: { port, host: '127.0.0.1' } }, NOTHING)).toContain('ECONNREFUSED')
  })
})

describe('a probe by a program', () => {
  const exec = (...command: string[]) => probeOnce({ timeoutSeconds: 1, exec: { command } }, { exec: true })

  it('goes by how that ends', async () => {
    expect(await exec('true')).toBeUndefined()
    expect(await exec('sh', '-c', 'exit 3')).toBe('sh ended with 3')
    expect(await exec('/nowhere/program')).toContain('ENOENT')
    expect(await exec('sleep', '20')).toBe('no answer within 1 s')
  })

  it('runs nothing where the machine does not allow it', async () => {
    expect(await probeOnce({ exec: { command: ['true'] } }, NOTHING)).toBe(
      'the probe runs a program, which this machine does not allow: set ALLOW_EXEC_PROBES=true for its agent',
    )
  })
})

describe('a probe over gRPC', () => {
  async function serving(statusOf: (request: Buffer) => number): Promise<number> {
    const same = (value: Buffer) => value
    const server = new GrpcServer()
    const method = {
      path: '/grpc.health.v1.Health/Check',
      requestStream: false,
      responseStream: false,
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    }
    server.addService(
      { Check: method },
      {
        Check: (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) =>
          reply(null, Buffer.from([8, statusOf(call.request)])),
      },
    )
    closers.push(() => server.forceShutdown())
    return new Promise((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (failure, port) =>
        failure ? reject(failure) : resolve(port),
      ),
    )
  }

  it('takes SERVING, of the service that it names', async () => {
    const name = 'x'.repeat(200)
    const asked: Buffer[] = []
    const port = await serving(request => {
      asked.push(request)
      return request.length > 0 ? 1 : 2
    })
    expect(await probeOnce({ grpc: { port, service: name } }, NOTHING)).toBeUndefined()
    expect(await probeOnce({ grpc: { port } }, NOTHING)).toBe('the answer was NOT_SERVING')
    // A length of 200 takes two bytes.
    expect(asked[0]).toEqual(Buffer.concat([Buffer.from([0x0a, 0xc8, 0x01]), Buffer.from(name)]))
  })

  it('says why there is no answer', async () => {
    const port = await closedPort()
    expect(await probeOnce({ grpc: { port } }, NOTHING)).toMatch(/./)
  })

  it('says what the server says against it', async () => {
    const server = new GrpcServer()
    closers.push(() => server.forceShutdown())
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (failure, bound) =>
        failure ? reject(failure) : resolve(bound),
      ),
    )
    expect(await probeOnce({ grpc: { port } }, NOTHING)).toContain('does not implement the method')
  })

  it('waits no longer than it says', async () => {
    const port = await portOf(createTcpServer(() => undefined))
    expect(await probeOnce({ timeoutSeconds: 1, grpc: { port } }, NOTHING)).toBe('no answer within 1 s')
  })
})
