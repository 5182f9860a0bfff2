import { expect, test } from 'vitest'
import {
  Ask,
  countBy,
  describeMesh,
  destinationRule,
  documents,
  eventually,
  growthOf,
  PeerPort,
  type Pod,
  peerAuthentication,
  resource,
} from '../harness/index.ts'

const REQUESTS = 'istio_requests_total'

describeMesh('protocols, names and headers', mesh => {
  const client = () => mesh().pod('client')

  test('a server that speaks first is heard at once, by mutual TLS and where its port takes plaintext', async () => {
    const server = mesh().pod('middle')
    const spec = {
      clusterIP: '10.96.1.80',
      selector: { app: 'middle' },
      ports: [{ name: 'mysql', port: 3306 }],
    }
    const service = resource('v1', 'Service', 'shop', 'rows', { spec })
    const mode = (word: string) =>
      peerAuthentication('shop', 'rows', {
        selector: { matchLabels: { app: 'middle' } },
        portLevelMtls: { 3306: { mode: word } },
      })
    const node = (script: string) => [process.execPath, '-e', script]
    // It ends when it is told something.
    const served = server.exec(
      node(
        'require("net").createServer(c => { c.on("error", () => {}).on("data", () => process.exit()); c.write("welcome") }).listen(3306)',
      ),
    )
    /** What comes within a second, from a caller that says nothing. */
    const heard = async (from: Pod, address: string) => {
      const script = `require("net").connect(3306, "${address}").on("data", d => console.log(String(d))).on("error", e => console.log(e.code)); setTimeout(() => process.exit(), 1000)`
      return (await from.exec(node(script))).stdout.trim()
    }
    await mesh().apply('first', documents(service, mode('STRICT')))
    await eventually(async () => expect(await heard(mesh().pod('client'), '10.96.1.80')).toBe('welcome'))
    await mesh().apply('first', documents(service, mode('DISABLE')))
    await eventually(async () => expect(await heard(mesh().pod('outsider'), server.ip)).toBe('welcome'))
    await server.exec(node('require("net").connect(3306, "127.0.0.1").end("end")'))
    await served
  })

  test('gRPC calls on one connection reach all endpoints, and are counted as gRPC', async () => {
    const label = {
      reporter: 'source',
      request_protocol: 'grpc',
      response_code: '200',
      grpc_response_status: '0',
    }
    const counted = await growthOf(client(), REQUESTS, label)
    const answers = await client().grpc({ url: 'http://echo:50051', message: 'ping', count: 40 })
    expect(countBy(answers, ({ trailers }) => trailers?.['grpc-status'])).toEqual({ 0: 40 })
    for (const { body } of answers) expect(body).toMatch(/^echo-v\d\/\S+ ping$/)
    expect(Object.keys(countBy(answers, ({ body }) => body.split('/')[0])).sort()).toEqual([
      'echo-v1',
      'echo-v2',
      'echo-v3',
    ])
    await eventually(async () => expect(await counted()).toBe(40))
  })

  test('HTTP/2 in plaintext from the application stays HTTP/2 to the application', async () => {
    const answers = await client().http2('http://echo:50051/some/path', { count: 6 })
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200])
    for (const { body } of answers) expect(body).toMatch(/\/some\/path$/)
  })

  test('HTTP/2 to a port that speaks HTTP/1.1 is translated', async () => {
    const [answer] = await client().http2('http://echo/translated')
    expect(answer?.status).toBe(200)
    expect(JSON.parse(answer?.body ?? '{}')).toMatchObject({ httpVersion: '1.1', path: '/translated' })
  })

  test('the application gets HTTP/1.1, whatever the sidecars speak between them', async () => {
    const answer = await client().get('http://echo/')
    expect(answer.echo?.httpVersion).toBe('1.1')
  })

  test('a WebSocket is upgraded through both sidecars', async () => {
    const [answer] = await client().upgrade({ url: 'http://echo/socket', message: 'over and out' })
    expect(answer?.error).toBeUndefined()
    expect(answer?.status).toBe(101)
    expect(answer?.headers['upgrade']).toBe('websocket')
    expect(answer?.body).toBe('over and out')
  })

  test('TCP connections are spread over all endpoints', async () => {
    const outcomes = await client().tcp('echo', 9000, { count: 30, line: 'raw' })
    for (const { body } of outcomes) expect(body).toMatch(/^echo-v\d\/\S+ raw$/)
    expect(Object.keys(countBy(outcomes, ({ body }) => body.split('/')[0])).sort()).toEqual([
      'echo-v1',
      'echo-v2',
      'echo-v3',
    ])
  })

  test('a port without a declared protocol is found out to speak HTTP, on both sides', async () => {
    const sent = await growthOf(client(), REQUESTS, { reporter: 'source', destination_service_name: 'echo' })
    const label = { reporter: 'destination', connection_security_policy: 'mutual_tls' }
    const received = await Promise.all(
      mesh()
        .pods('echo')
        .map(pod => growthOf(pod, REQUESTS, label)),
    )
    const answers = await client().http('http://echo:9100/detected', { count: 5 })
    expect(countBy(answers, ({ echo }) => `${echo?.app} ${echo?.path}`)).toEqual({ 'echo /detected': 5 })
    await eventually(async () => {
      expect(await sent()).toBe(5)
      const counts = await Promise.all(received.map(growth => growth()))
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(5)
    })
  })

  test('what is no HTTP passes a port without a declared protocol as it is', async () => {
    const [outcome] = await client().tcp('echo', 9100, { line: 'nothing that HTTP knows' })
    // The application's own answer: a sidecar that took this for HTTP would have sent its own headers.
    expect([outcome?.error, outcome?.body]).toEqual([undefined, 'HTTP/1.1 400 Bad Request'])
  })

  test('a rule chooses what the sidecars speak between them, and the application notices nothing', async () => {
    for (const http of [
      { useClientProtocol: true },
      { h2UpgradePolicy: 'DO_NOT_UPGRADE' },
      { h2UpgradePolicy: 'UPGRADE' },
    ]) {
      await mesh().apply(
        'protocols',
        destinationRule('echo', { trafficPolicy: { connectionPool: { http } } }),
      )
      const one = await client().http('http://echo/', { count: 10 })
      expect([http, countBy(one, ({ status, echo }) => `${status} ${echo?.httpVersion}`)]).toEqual([
        http,
        { '200 1.1': 10 },
      ])
      const calls = await client().grpc({ url: 'http://echo:50051', message: 'ping', count: 5 })
      expect([http, countBy(calls, ({ trailers }) => trailers?.['grpc-status'])]).toEqual([http, { 0: 5 }])
      const detected = await client().http('http://echo:9100/', { count: 5 })
      expect([http, countBy(detected, ({ status }) => String(status))]).toEqual([http, { 200: 5 }])
    }
  })

  test('a port that no service declares passes through to the pod', async () => {
    const [line] = await client().tcp(mesh().pod('middle').ip, PeerPort.tcp)
    expect(line?.body).toMatch(/^middle-v1/)
  })

  test('a large body goes both ways unchanged', async () => {
    const body = 'seine'.repeat(200_000)
    const [answer] = await client().http('http://echo/', { method: 'POST', body })
    expect(answer?.echo?.body.length).toBe(body.length)
    expect(answer?.echo?.body === body).toBe(true)
  })

  test('many requests at once all succeed', async () => {
    const answers = await client().http('http://echo/', { count: 500, concurrency: 50, keepAlive: true })
    expect(countBy(answers, ({ status }) => String(status))).toEqual({ 200: 500 })
  })

  test('a service reaches itself through its own name', async () => {
    const pod = mesh().pod('echo-v1')
    const answers = await pod.http('http://echo/', { count: 30 })
    expect(countBy(answers, ({ status }) => String(status))).toEqual({ 200: 30 })
    expect(answers.some(({ echo }) => echo?.pod === pod.name)).toBe(true)
  })

  test('a connection that the application drops is a 503 of the sidecar', async () => {
    const answer = await client().get('http://echo/', { [Ask.close]: '1' })
    expect(answer.status).toBe(503)
  })

  test('names of services, long and short, and of nobody', async () => {
    const address = ['10.96.1.10']
    for (const name of ['echo', 'echo.shop', 'echo.shop.svc', 'echo.shop.svc.cluster.local'])
      expect([name, (await client().lookup(name)).addresses]).toEqual([name, address])
    const visitor = mesh().pod('visitor')
    expect((await visitor.lookup('echo.shop')).addresses).toEqual(address)
    expect((await visitor.lookup('echo.partner')).error).toBeDefined()
    expect((await client().lookup('nobody.shop.svc.cluster.local')).error).toMatch(/ENOTFOUND/)
  })

  test('a service of another namespace by each of its names', async () => {
    for (const name of ['visitor.partner', 'visitor.partner.svc', 'visitor.partner.svc.cluster.local'])
      expect([name, (await client().get(`http://${name}/`)).echo?.app]).toEqual([name, 'visitor'])
  })

  test('the sidecars put in their headers, and take out what is their own', async () => {
    const answer = await client().get('http://echo/')
    expect(answer.headers['server']).toBe('istio-envoy')
    expect(answer.headers['x-envoy-upstream-service-time']).toMatch(/^\d+$/)
    const received = answer.echo?.headers ?? {}
    expect(received['x-request-id']).toMatch(/^[0-9a-f-]{36}$/)
    expect(received['x-forwarded-proto']).toBe('http')
    expect(received['traceparent']).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
    expect(received['x-envoy-attempt-count']).toBe('1')
    expect(received['host']).toBe('echo')
    expect(answer.echo?.remoteAddress).toBe('127.0.0.6')
  })

  test('a request id that the caller brings is kept', async () => {
    const id = '6a3b7e7e-8b1e-9d1b-8f3e-0a1b2c3d4e5f'
    const answer = await client().get('http://echo/', { 'x-request-id': id })
    expect(answer.echo?.headers['x-request-id']?.slice(15)).toBe(id.slice(15))
  })
})
