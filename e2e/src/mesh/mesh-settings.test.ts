import { expect, test } from 'vitest'
import { describeMesh, type Echo, fromOutside, meshConfig, shopFromOutside } from '../harness/index.ts'

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
    const after = await call()
    expect(after.echo?.path).toBe('/a/b')
    expect(after.headers['server']).toBe('shop')
    expect(after.echo?.headers).not.toHaveProperty('x-envoy-attempt-count')
    await mesh().remove('settings')
    expect((await call()).echo?.path).toBe('//a//b')
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
