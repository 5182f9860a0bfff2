import { eventually } from '@seine/testing'
import { expect, test } from 'vitest'
import {
  authorizationPolicy,
  describeMesh,
  documents,
  type Echo,
  freshId,
  fromOutside,
  meshConfig,
  peerAuthentication,
  shopFromOutside,
} from '../harness/index.ts'

/** A service of the mesh that takes gRPC, in the place of a collector. */
const ECHO = { service: 'echo.shop.svc.cluster.local', port: 50051 }

describeMesh('settings of the mesh', mesh => {
  test('say what becomes of paths and headers, in proxies that run', async () => {
    const call = () => mesh().pod('client').get('http://echo//a//b')
    const before = await call()
    expect(before.echo?.path).toBe('//a//b')
    expect(before.headers['server']).toBe('istio-envoy')
    expect(before.echo?.headers).toHaveProperty('x-envoy-attempt-count')
    await mesh().apply(
      'settings',
      meshConfig({
        pathNormalization: { normalization: 'MERGE_SLASHES' },
        defaultConfig: {
          proxyHeaders: { server: { value: 'shop' }, attemptCount: { disabled: true } },
        },
      }),
    )
    await eventually(async () => {
      const after = await call()
      expect(after.echo?.path).toBe('/a/b')
      expect(after.headers['server']).toBe('shop')
      expect(after.echo?.headers).not.toHaveProperty('x-envoy-attempt-count')
    })
    await mesh().remove('settings')
    // Connections between sidecars that were opened under other settings keep those until they end.
    await eventually(async () => expect((await call()).echo?.path).toBe('//a//b'))
  })

  test('give way to what a pod says of its own proxy, one by one', async () => {
    const [visitor, client] = [mesh().pod('visitor'), mesh().pod('client')]
    const seenBy = async (pod: typeof visitor) => {
      const { echo, headers } = await pod.get('http://echo.shop/')
      return [
        headers['server'],
        'x-envoy-attempt-count' in (echo?.headers ?? {}),
        'x-request-id' in (echo?.headers ?? {}),
      ]
    }
    expect([await seenBy(visitor), await seenBy(client)]).toEqual([
      ['visitor', false, true],
      ['istio-envoy', true, true],
    ])
    const proxyHeaders = { server: { value: 'shop' }, requestId: { disabled: true } }
    await mesh().apply('settings', meshConfig({ defaultConfig: { proxyHeaders } }))
    await eventually(async () =>
      expect([await seenBy(visitor), await seenBy(client)]).toEqual([
        ['visitor', false, false],
        ['shop', true, false],
      ]),
    )
    const has = async (pod: typeof visitor) => [
      (await pod.admin('/runtime')).includes('seine.of_visitor'),
      (await pod.admin('/stats?filter=^listener%5C.')).trim() !== '',
    ]
    expect([await has(visitor), await has(client)]).toEqual([
      [true, true],
      [false, false],
    ])
  })

  test('say whether names of headers keep their letters', async () => {
    const names = async () => {
      const { echo } = await mesh().pod('client').get('http://echo/', { 'X-Written-So': '1' })
      return echo?.headerNames.filter(name => name.toLowerCase() === 'x-written-so')
    }
    expect(await names()).toEqual(['x-written-so'])
    await mesh().apply(
      'settings',
      meshConfig({ defaultConfig: { proxyHeaders: { preserveHttp1HeaderCase: true } } }),
    )
    await eventually(async () => expect(await names()).toEqual(['X-Written-So']))
  })

  test('say where access logs go, and what they hold', async () => {
    const written = async () =>
      (await mesh().pod('client').log('seine-proxy')).filter(line => line.startsWith('by-provider'))
    await mesh().apply(
      'settings',
      meshConfig({
        extensionProviders: [
          {
            name: 'lines',
            envoyFileAccessLog: { logFormat: { text: 'by-provider %REQ(:PATH)% %RESPONSE_CODE%' } },
          },
        ],
        defaultProviders: { accessLogging: ['lines'] },
      }),
    )
    const path = `/${freshId()}`
    await mesh().pod('client').get(`http://echo${path}`)
    await eventually(async () => expect(await written()).toContain(`by-provider ${path} 200`))
  })

  test('say where the application is called', async () => {
    const source = async () => (await mesh().pod('client').get('http://echo/')).echo?.remoteAddress
    expect(await source()).toBe('127.0.0.6')
    await mesh().apply('settings', meshConfig({ inboundTrafficPolicy: { mode: 'LOCALHOST' } }))
    await eventually(async () => expect(await source()).toBe('127.0.0.1'))
    await mesh().remove('settings')
    await eventually(async () => expect(await source()).toBe('127.0.0.6'))
  })

  test('say which namespaces the mesh sees', async () => {
    const seen = async () => {
      const { addresses = [] } = await mesh().pod('client').lookup('visitor.partner')
      return addresses.length > 0
    }
    expect(await seen()).toBe(true)
    const without = (name: string) =>
      meshConfig({
        discoverySelectors: [
          { matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: [name] }] },
        ],
      })
    await mesh().apply('settings', without('nobody'))
    expect(await seen()).toBe(true)
    await mesh().apply('settings', without('partner'))
    await eventually(async () => expect(await seen()).toBe(false))
    await mesh().remove('settings')
    await eventually(async () => expect(await seen()).toBe(true))
  })

  test('let identities of a trust domain’s old name be its own: between proxies, and in policies', async () => {
    const status = async () => (await mesh().pod('client').get('http://echo/')).status
    await mesh().apply(
      'policies',
      documents(
        peerAuthentication('shop', 'default', { mtls: { mode: 'STRICT' } }),
        authorizationPolicy('shop', 'echo', {
          selector: { matchLabels: { app: 'echo' } },
          rules: [{ from: [{ source: { principals: ['new.example.org/ns/shop/sa/client'] } }] }],
        }),
      ),
    )
    await eventually(async () => expect(await status()).toBe(403))
    // The certificates still have the old name, as they do while a mesh is being renamed.
    const renamed = { trustDomain: 'new.example.org', trustDomainAliases: ['cluster.local'] }
    await mesh().apply('settings', meshConfig(renamed))
    await eventually(async () => expect(await status()).toBe(200))
    await mesh().apply('settings', meshConfig({ trustDomain: 'new.example.org' }))
    await eventually(async () => expect(await status()).toBe(503))
    await mesh().remove('settings', 'policies')
    await eventually(async () => expect(await status()).toBe(200))
  })

  test.each([
    ['spans', 'front', { opentelemetry: ECHO }, 'tracing'],
    ['access logs', 'visitor', { envoyOtelAls: ECHO }, 'accessLogging'],
  ])('say which service of the mesh gets %s', async (_what, workload, provider, purpose) => {
    const called = async () =>
      /^outbound\|50051\|\|echo\.shop\.svc\.cluster\.local::.*::rq_total::[1-9]/m.test(
        await mesh().pod(workload).admin('/clusters'),
      )
    expect(await called()).toBe(false)
    await mesh().apply(
      'settings',
      meshConfig({
        extensionProviders: [{ name: 'echo', ...provider }],
        defaultProviders: { [purpose]: ['echo'] },
      }),
    )
    await mesh().pod(workload).get('http://echo.shop/')
    await eventually(async () => {
      if (!(await called())) throw new Error('it was not called')
    })
  })

  test('say how many proxies before a gateway are trusted', async () => {
    const client = async () => {
      const { status, body } = await fromOutside({
        ip: mesh().pod('edge').ip,
        port: 8080,
        host: 'shop.example.com',
        path: '/',
        headers: { 'x-forwarded-for': '203.0.113.7, 198.51.100.8' },
      })
      expect(status).toBe(200)
      return (JSON.parse(body) as Echo).headers['x-envoy-external-address']
    }
    await mesh().apply('gateway', shopFromOutside('echo'))
    expect(await client()).toBe('10.77.0.1')
    const topology = (numTrustedProxies: number) =>
      meshConfig({ defaultConfig: { gatewayTopology: { numTrustedProxies } } })
    await mesh().apply('settings', topology(1))
    expect(await client()).toBe('198.51.100.8')
    await mesh().apply('settings', topology(2))
    expect(await client()).toBe('203.0.113.7')
  })
})
