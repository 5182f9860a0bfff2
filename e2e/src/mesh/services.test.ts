import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  countBy,
  describeMesh,
  destinationRule,
  documents,
  eventually,
  meshConfig,
  type Outcome,
  PeerPort,
  type Pod,
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

  describe('addresses that no service has, among those of services', () => {
    // All of them are the server's own.
    // One that no other test looks at closely: what it is given stays.
    const crawler = () => mesh().pod('middle')
    const RANGE = '10.96.240.0/22'
    const address = (index: number) => `10.96.${240 + (index >> 8)}.${index & 255}`
    const routes = (): [Pod, string[]][] => [
      [mesh().pod('echo-v1'), ['local', RANGE, 'dev', 'lo']],
      [crawler(), [RANGE, 'via', mesh().pod('echo-v1').ip]],
    ]
    beforeAll(async () => {
      for (const [pod, route] of routes())
        expect((await pod.exec(['ip', 'route', 'add', ...route])).stderr).toBe('')
    })
    afterAll(async () => {
      for (const [pod, route] of routes()) await pod.exec(['ip', 'route', 'del', ...route])
    })
    /** Calls 504 of them, eight at a time. */
    const callAll = async (call: (host: string) => Promise<Outcome | undefined>) => {
      for (let index = 0; index < 504; index += 8) {
        const eight = Array.from({ length: 8 }, (_, at) => call(address(index + at)))
        for (const outcome of await Promise.all(eight)) expect(outcome?.body).toContain('echo-v1')
      }
    }

    test('more connections than are asked for one by one: all are made, to services as well', async () => {
      const call = async (host: string) => (await crawler().tcp(host, PeerPort.tcp))[0]
      const asked = async () => {
        const names = (await crawler().admin('/clusters')).matchAll(
          /^destination\|(10\.96\.24[^:]*):[^:]*::/gm,
        )
        return new Set([...names].map(([, name]) => name))
      }
      expect((await call('echo'))?.body).toContain('echo-v')
      await callAll(call)
      expect((await asked()).size).toBeGreaterThan(500)
      // From now on each service of bytes has a listener, and what no service has passes.
      const ofService = new RegExp(`^10\\.96\\..*_${PeerPort.tcp}::`, 'm')
      await eventually(async () => expect(await crawler().admin('/listeners')).toMatch(ofService))
      await eventually(async () => {
        expect((await call(address(900)))?.body).toContain('echo-v1')
        expect(await asked()).not.toContain(address(900))
      })
      for (const host of [address(0), address(503), 'echo'])
        expect((await call(host))?.body).toContain('echo-v')
    })

    test('more hosts of requests than are asked for one by one: all answer, and so does what the mesh has', async () => {
      const ports = [{ name: 'http', port: PeerPort.http, targetPort: PeerPort.http }]
      const named = (name: string, clusterIP: string) =>
        service(name, { clusterIP, selector: { app: 'echo' }, ports })
      await mesh().apply('services', named('table', '10.96.0.96'))
      const call = (host: string) => crawler().get(`http://${host}:${PeerPort.http}/`)
      const isAsked = async (index: number) => {
        const dump = await crawler().admin('/config_dump?resource=dynamic_route_configs')
        return dump.includes(`"${address(index)}:${PeerPort.http}"`)
      }
      await callAll(call)
      expect(await isAsked(0)).toBe(true)
      await eventually(async () => {
        expect((await call(address(900))).body).toContain('echo-v1')
        expect(await isAsked(900)).toBe(false)
      })
      for (const host of [address(0), address(503), 'table'])
        expect((await call(host)).body).toContain('echo-v')
      // What comes later comes by itself.
      await mesh().apply('services', documents(named('table', '10.96.0.96'), named('later', '10.96.0.97')))
      await eventually(async () => expect((await call('later')).body).toContain('echo-v'))
      const { echo } = await call('later')
      expect(echo?.headers['x-forwarded-client-cert']).toContain('sa/middle')
    })
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
