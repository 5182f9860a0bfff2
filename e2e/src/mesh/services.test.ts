import { expect, test } from 'vitest'
import {
  countBy,
  describeMesh,
  destinationRule,
  documents,
  eventually,
  meshConfig,
  type Outcome,
  PeerPort,
  peerAuthentication,
  resource,
  serviceEntry,
  startDnsServer,
  to,
} from '../harness/index.ts'

const HTTP = { name: 'http', port: 80, targetPort: PeerPort.http }
const TCP = { name: 'tcp', port: PeerPort.tcp, targetPort: PeerPort.tcp }
const ECHOES = ['echo-v1', 'echo-v2', 'echo-v3']

describeMesh('services of every kind', mesh => {
  const client = () => mesh().pod('client')
  const external = () => mesh().pod('external')
  const service = (name: string, spec: Record<string, unknown>) =>
    resource('v1', 'Service', 'shop', name, { spec })
  const strict = () => peerAuthentication('shop', 'default', { mtls: { mode: 'STRICT' } })
  const workloads = (lines: readonly Outcome[]) =>
    Object.keys(countBy(lines, ({ body }) => body.split('/')[0])).sort()

  test('a headless service: its name is its pods’ addresses, its calls are mutual TLS', async () => {
    const spec = {
      clusterIP: 'None',
      selector: { app: 'echo' },
      ports: [{ ...HTTP, port: PeerPort.http }, TCP],
    }
    await mesh().apply('services', documents(strict(), service('direct', spec)))
    const addresses = mesh()
      .pods('echo')
      .map(({ ip }) => ip)
      .sort()
    await eventually(async () => {
      const found = await client().lookup('direct')
      expect([...(found.addresses ?? [found.error])].sort()).toEqual(addresses)
    })
    const answers = await client().http(`http://direct:${PeerPort.http}/`, { count: 20 })
    expect(countBy(answers, ({ status, echo }) => `${status} ${echo?.app}`)).toEqual({ '200 echo': 20 })
    for (const { echo } of answers) expect(echo?.headers['x-forwarded-client-cert']).toContain('sa/client')
    await eventually(async () => {
      const lines = await client().tcp('direct', PeerPort.tcp, { count: 30 })
      expect(countBy(lines, ({ error }) => error ?? 'answered')).toEqual({ answered: 30 })
    })
  })

  test('a target port by its name in the pod', async () => {
    const ports = [{ name: 'tcp', port: 7001, targetPort: 'tcp' }]
    await mesh().apply(
      'services',
      service('named', { clusterIP: '10.96.1.60', selector: { app: 'echo' }, ports }),
    )
    await eventually(async () =>
      expect(workloads(await client().tcp('named', 7001, { count: 30 }))).toEqual(ECHOES),
    )
  })

  test('an ExternalName stands for a host outside', async () => {
    const dns = await startDnsServer({ 'outside.example.com': external().ip })
    try {
      const ports = [{ ...HTTP, targetPort: undefined, port: PeerPort.http }, TCP]
      const spec = { type: 'ExternalName', externalName: 'outside.example.com', ports }
      await mesh().apply('services', service('alias', spec))
      await eventually(async () => {
        const answer = await client().get(`http://alias:${PeerPort.http}/`)
        expect([answer.status, answer.echo?.app]).toEqual([200, 'external'])
      })
      await eventually(async () =>
        expect(workloads(await client().tcp('alias', PeerPort.tcp))).toEqual(['external-v1']),
      )
    } finally {
      await dns.close()
    }
  })

  test('a wildcard entry lets its hosts out where only known ones may go', async () => {
    const dns = await startDnsServer({
      'a.wild.example.org': external().ip,
      'other.example.org': external().ip,
    })
    try {
      const wild = serviceEntry('wild', {
        hosts: ['*.wild.example.org'],
        location: 'MESH_EXTERNAL',
        resolution: 'NONE',
        ports: [{ number: PeerPort.http, name: 'http', protocol: 'HTTP' }],
      })
      await mesh().apply(
        'services',
        documents(wild, meshConfig({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } })),
      )
      const at = async (host: string) => {
        const answer = await client().get(`http://${host}:${PeerPort.http}/`)
        return answer.echo?.app ?? answer.status
      }
      await eventually(async () => expect(await at('other.example.org')).toBe(502))
      expect(await at('a.wild.example.org')).toBe('external')
    } finally {
      await dns.close()
    }
  })

  test('settings of a port come in place of the rule’s', async () => {
    const portLevelSettings = [
      { port: { number: 80 }, loadBalancer: { consistentHash: { httpHeaderName: 'x-user' } } },
    ]
    await mesh().apply(
      'services',
      destinationRule('echo', {
        trafficPolicy: { loadBalancer: { simple: 'ROUND_ROBIN' }, portLevelSettings },
      }),
    )
    const options = { count: 30, keepAlive: true, headers: { 'x-user': 'one' } }
    const byVersion = async (url: string) =>
      countBy(await client().http(url, options), ({ echo }) => echo?.version)
    expect(Object.values(await byVersion('http://echo/'))).toEqual([30])
    expect(await byVersion('http://echo:9100/')).toEqual({ v1: 10, v2: 10, v3: 10 })
  })

  test('TCP routes choose the version, by weight and by caller', async () => {
    const routes = (tcp: readonly Record<string, unknown>[]) =>
      resource('networking.istio.io/v1', 'VirtualService', 'shop', 'echo', { spec: { hosts: ['echo'], tcp } })
    await mesh().apply(
      'services',
      documents(
        destinationRule('echo'),
        routes([
          { match: [{ sourceLabels: { app: 'front' } }], route: [to('echo', 'v3')] },
          { match: [{ port: 9000 }], route: [to('echo', 'v1', 50), to('echo', 'v2', 50)] },
        ]),
      ),
    )
    await eventually(async () =>
      expect(workloads(await mesh().pod('front').tcp('echo', 9000, { count: 10 }))).toEqual(['echo-v3']),
    )
    await eventually(async () =>
      expect(workloads(await client().tcp('echo', 9000, { count: 40 }))).toEqual(['echo-v1', 'echo-v2']),
    )
    await mesh().remove('services')
    await eventually(async () =>
      expect(workloads(await client().tcp('echo', 9000, { count: 40 }))).toEqual(ECHOES),
    )
  })

  test('addresses that no service has, more than are kept: a connection outlasts its place, and finds it again', async () => {
    // All of them are the server's own, among the addresses of services.
    const [server, range] = [mesh().pod('echo-v1'), '10.96.240.0/22']
    const routes: [Pod, string[]][] = [
      [server, ['local', range, 'dev', 'lo']],
      [client(), [range, 'via', server.ip]],
    ]
    for (const [pod, route] of routes)
      expect((await pod.exec(['ip', 'route', 'add', ...route])).stderr).toBe('')
    try {
      const address = (index: number) => `10.96.${240 + (index >> 8)}.${index & 255}`
      const call = async (index: number, holdMs = 0) =>
        (await client().tcp(address(index), PeerPort.tcp, { holdMs }))[0]
      const isKept = async (index: number) =>
        (await client().admin('/clusters')).includes(`destination|${address(index)}:${PeerPort.tcp}::`)
      const held = call(1, 15_000)
      await eventually(async () => expect(await isKept(1)).toBe(true))
      for (let index = 2; index <= 505; index += 8) {
        const eight = Array.from({ length: 8 }, (_, at) => call(index + at))
        for (const outcome of await Promise.all(eight)) expect(outcome?.body).toContain('echo-v1')
      }
      await eventually(async () => expect(await isKept(1)).toBe(false))
      expect((await call(1))?.body).toContain('echo-v1')
      expect((await held)?.body).toContain('echo-v1')
    } finally {
      for (const [pod, route] of routes) await pod.exec(['ip', 'route', 'del', ...route])
    }
  })

  test('a CORS policy answers preflights in the application’s place', async () => {
    const http = [
      {
        corsPolicy: {
          allowOrigins: [{ exact: 'https://shop.example.com' }],
          allowMethods: ['GET', 'PUT'],
          allowHeaders: ['x-cart'],
          maxAge: '60s',
        },
        route: [to('echo')],
      },
    ]
    await mesh().apply(
      'services',
      resource('networking.istio.io/v1', 'VirtualService', 'shop', 'echo', {
        spec: { hosts: ['echo'], http },
      }),
    )
    const preflight = async (origin: string) => {
      const headers = { origin, 'access-control-request-method': 'PUT' }
      const [answer] = await client().http('http://echo/', { method: 'OPTIONS', headers })
      return answer
    }
    const allowed = await preflight('https://shop.example.com')
    expect(allowed?.status).toBe(200)
    expect(allowed?.echo).toBeUndefined()
    expect(allowed?.headers).toMatchObject({
      'access-control-allow-origin': 'https://shop.example.com',
      'access-control-allow-methods': 'GET,PUT',
      'access-control-allow-headers': 'x-cart',
      'access-control-max-age': '60',
    })
    const other = await preflight('https://evil.example.com')
    expect(other?.headers['access-control-allow-origin']).toBeUndefined()
  })
})
