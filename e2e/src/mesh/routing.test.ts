import { beforeAll, expect, test } from 'vitest'
import {
  type Answer,
  countBy,
  describeMesh,
  destinationRule,
  documents,
  expectShare,
  resource,
  to,
  virtualService,
} from '../harness/index.ts'

function versions(answers: readonly Answer[]): Record<string, number> {
  return countBy(answers, ({ echo }) => echo?.version)
}

describeMesh('routing', mesh => {
  const client = () => mesh().pod('client')
  const apply = (...http: readonly Record<string, unknown>[]) =>
    mesh().apply('routing', virtualService('echo', http))

  beforeAll(() => mesh().apply('routing-subsets', destinationRule('echo')))

  test('without routes, all versions answer', async () => {
    const answers = await client().http('http://echo/', { count: 60 })
    expect(countBy(answers, ({ status }) => String(status))).toEqual({ 200: 60 })
    expect(Object.keys(versions(answers)).sort()).toEqual(['v1', 'v2', 'v3'])
  })

  test('weights share out the requests', async () => {
    await apply({ route: [to('echo', 'v1', 70), to('echo', 'v2', 20), to('echo', 'v3', 10)] })
    const total = 600
    const counts = versions(await client().http('http://echo/', { count: total, concurrency: 8 }))
    expectShare(counts['v1'] ?? 0, total, 0.7)
    expectShare(counts['v2'] ?? 0, total, 0.2)
    expectShare(counts['v3'] ?? 0, total, 0.1)
    expect(counts['none']).toBeUndefined()
  })

  test('a weight of 100 leaves nothing for others', async () => {
    await apply({ route: [to('echo', 'v1', 0), to('echo', 'v3', 100)] })
    expect(versions(await client().http('http://echo/', { count: 50 }))).toEqual({ v3: 50 })
  })

  test('headers choose the version, and the first match wins', async () => {
    await apply(
      { match: [{ headers: { 'end-user': { exact: 'jason' } } }], route: [to('echo', 'v2')] },
      { match: [{ headers: { 'end-user': { prefix: 'ja' } } }], route: [to('echo', 'v3')] },
      { match: [{ headers: { 'x-build': { regex: '[0-9]+-rc' } } }], route: [to('echo', 'v3')] },
      { route: [to('echo', 'v1')] },
    )
    const with_ = async (headers: Record<string, string>) =>
      versions(await client().http('http://echo/', { headers, count: 10 }))
    expect(await with_({ 'end-user': 'jason' })).toEqual({ v2: 10 })
    expect(await with_({ 'end-user': 'janet' })).toEqual({ v3: 10 })
    expect(await with_({ 'x-build': '42-rc' })).toEqual({ v3: 10 })
    expect(await with_({ 'x-build': '42-rc1' })).toEqual({ v1: 10 })
    expect(await with_({})).toEqual({ v1: 10 })
  })

  test('headers that must be absent', async () => {
    await apply(
      { match: [{ withoutHeaders: { 'x-beta': { exact: 'yes' } } }], route: [to('echo', 'v1')] },
      { route: [to('echo', 'v2')] },
    )
    const version = async (headers: Record<string, string>) =>
      (await client().get('http://echo/', headers)).echo?.version
    expect(await version({})).toBe('v1')
    expect(await version({ 'x-beta': 'no' })).toBe('v1')
    expect(await version({ 'x-beta': 'yes' })).toBe('v2')
  })

  test('paths: exact, prefix and regex; methods and query parameters', async () => {
    await apply(
      { match: [{ uri: { exact: '/login' } }], route: [to('echo', 'v1')] },
      { match: [{ uri: { prefix: '/static/' } }], route: [to('echo', 'v2')] },
      { match: [{ uri: { regex: '/items/[0-9]+' } }], route: [to('echo', 'v3')] },
      { match: [{ uri: { exact: '/ANY' }, ignoreUriCase: true }], route: [to('echo', 'v3')] },
      { match: [{ method: { exact: 'POST' } }], route: [to('echo', 'v2')] },
      { match: [{ queryParams: { tier: { exact: 'gold' } } }], route: [to('echo', 'v3')] },
      { route: [to('echo', 'v1')], headers: { response: { set: { 'x-route': 'rest' } } } },
    )
    const at = async (path: string, method = 'GET') => {
      const [answer] = await client().http(`http://echo${path}`, { method })
      return answer?.headers['x-route'] ?? answer?.echo?.version
    }
    expect(await at('/login')).toBe('v1')
    expect(await at('/login?next=1')).toBe('v1')
    expect(await at('/login/')).toBe('rest')
    expect(await at('/static/a/b.css')).toBe('v2')
    expect(await at('/static')).toBe('rest')
    expect(await at('/items/42')).toBe('v3')
    expect(await at('/items/42/more')).toBe('rest')
    expect(await at('/any')).toBe('v3')
    expect(await at('/upload', 'POST')).toBe('v2')
    expect(await at('/?tier=gold')).toBe('v3')
    expect(await at('/?tier=silver')).toBe('rest')
  })

  test('several matches of one route are alternatives, the conditions of one match all hold', async () => {
    await apply(
      {
        match: [{ uri: { prefix: '/a' }, headers: { 'x-on': { exact: '1' } } }, { uri: { prefix: '/b' } }],
        route: [to('echo', 'v2')],
      },
      { route: [to('echo', 'v1')] },
    )
    const at = async (path: string, headers: Record<string, string> = {}) =>
      (await client().get(`http://echo${path}`, headers)).echo?.version
    expect(await at('/a', { 'x-on': '1' })).toBe('v2')
    expect(await at('/a')).toBe('v1')
    expect(await at('/b')).toBe('v2')
  })

  test('rewrites of prefix, whole path by regex, and authority', async () => {
    await apply(
      { match: [{ uri: { prefix: '/old/' } }], rewrite: { uri: '/new/' }, route: [to('echo', 'v1')] },
      {
        match: [{ uri: { prefix: '/v1/' } }],
        rewrite: { uriRegexRewrite: { match: '^/v1/([^/]+)/(.*)$', rewrite: '/\\2/of/\\1' } },
        route: [to('echo', 'v1')],
      },
      {
        match: [{ uri: { exact: '/host' } }],
        rewrite: { authority: 'other.example' },
        route: [to('echo', 'v1')],
      },
      { route: [to('echo', 'v1')] },
    )
    const at = async (path: string) => (await client().get(`http://echo${path}`)).echo
    expect((await at('/old/x?y=1'))?.path).toBe('/new/x?y=1')
    expect((await at('/v1/users/7'))?.path).toBe('/7/of/users')
    expect((await at('/host'))?.headers['host']).toBe('other.example')
    expect((await at('/kept'))?.path).toBe('/kept')
  })

  test('a delegate has the routes of a part of the paths, and takes the rest from who delegates', async () => {
    const root = [
      { match: [{ uri: { prefix: '/shop' } }], delegate: { name: 'part' }, rewrite: { uri: '/rewritten' } },
      { route: [to('echo', 'v1')] },
    ]
    const part = (subset: string) =>
      resource('networking.istio.io/v1', 'VirtualService', 'shop', 'part', {
        spec: {
          http: [
            { match: [{ uri: { prefix: '/shop/cart' } }], route: [to('echo', 'v2')] },
            { match: [{ uri: { prefix: '/elsewhere' } }], route: [to('echo', 'v2')] },
            { route: [to('echo', subset)] },
          ],
        },
      })
    await mesh().apply('routing', documents(virtualService('echo', root), part('v3')))
    const at = async (path: string) => {
      const { echo } = await client().get(`http://echo${path}`)
      return [echo?.version, echo?.path]
    }
    expect(await at('/shop/cart/1')).toEqual(['v2', '/rewritten/1'])
    expect(await at('/shop/x')).toEqual(['v3', '/rewritten/x'])
    expect(await at('/elsewhere')).toEqual(['v1', '/elsewhere'])
    await mesh().apply('routing', documents(virtualService('echo', root), part('v1')))
    expect(await at('/shop/x')).toEqual(['v1', '/rewritten/x'])
  })

  test('redirects and direct responses come from the sidecar', async () => {
    await apply(
      {
        match: [{ uri: { exact: '/gone' } }],
        redirect: { uri: '/found', authority: 'www.example.com', redirectCode: 302 },
      },
      {
        match: [{ uri: { exact: '/secure' } }],
        redirect: { scheme: 'https', derivePort: 'FROM_PROTOCOL_DEFAULT' },
      },
      { match: [{ uri: { prefix: '/old/' } }], redirect: { prefixRewrite: '/new/' } },
      {
        match: [{ uri: { exact: '/teapot' } }],
        directResponse: { status: 418, body: { string: 'short and stout' } },
      },
      { route: [to('echo', 'v1')] },
    )
    const gone = await client().get('http://echo/gone')
    expect([gone.status, gone.headers['location']]).toEqual([302, 'http://www.example.com/found'])
    const secure = await client().get('http://echo/secure')
    expect([secure.status, secure.headers['location']]).toEqual([301, 'https://echo/secure'])
    const moved = await client().get('http://echo/old/page?q=1')
    expect([moved.status, moved.headers['location']]).toEqual([301, 'http://echo/new/page?q=1'])
    const teapot = await client().get('http://echo/teapot')
    expect([teapot.status, teapot.body]).toEqual([418, 'short and stout'])
  })

  test('headers are set, added and removed on both ways', async () => {
    await apply({
      headers: {
        request: { set: { 'x-set': 'by-route' }, add: { 'x-add': 'second' }, remove: ['x-secret'] },
        response: { set: { 'x-out': 'yes' }, remove: ['x-served-by'] },
      },
      route: [to('echo', 'v1')],
    })
    const answer = await client().get('http://echo/', {
      'x-set': 'mine',
      'x-add': 'first',
      'x-secret': 'key',
    })
    expect(answer.echo?.headers['x-set']).toBe('by-route')
    expect(answer.echo?.headers['x-add']).toBe('first, second')
    expect(answer.echo?.headers['x-secret']).toBeUndefined()
    expect(answer.headers['x-out']).toBe('yes')
    expect(answer.headers['x-served-by']).toBeUndefined()
  })

  test("the caller's labels and namespace decide", async () => {
    await apply(
      { match: [{ sourceLabels: { app: 'front' } }], route: [to('echo', 'v2')] },
      { match: [{ sourceNamespace: 'partner' }], route: [to('echo', 'v3')] },
      { route: [to('echo', 'v1')] },
    )
    const from = async (workload: string) =>
      versions(await mesh().pod(workload).http('http://echo.shop.svc.cluster.local/', { count: 10 }))
    expect(await from('front')).toEqual({ v2: 10 })
    expect(await from('visitor')).toEqual({ v3: 10 })
    expect(await from('client')).toEqual({ v1: 10 })
  })

  test('every name of a service, and its address, is routed alike', async () => {
    await apply({ route: [to('echo', 'v2')] })
    const names = ['echo', 'echo.shop', 'echo.shop.svc', 'echo.shop.svc.cluster.local', '10.96.1.10']
    for (const name of [...names, ...names.map(one => `${one}:80`)])
      expect([name, versions(await client().http(`http://${name}/`, { count: 3 }))]).toEqual([
        name,
        { v2: 3 },
      ])
  })

  test('routes of one port leave the others alone', async () => {
    await apply({ match: [{ port: 9100 }], route: [to('echo', 'v3')] }, { route: [to('echo', 'v1')] })
    expect(versions(await client().http('http://echo:9100/', { count: 5 }))).toEqual({ v3: 5 })
    expect(versions(await client().http('http://echo/', { count: 5 }))).toEqual({ v1: 5 })
  })

  test('a route to another service', async () => {
    await apply(
      { match: [{ uri: { prefix: '/middle' } }], route: [to('middle')] },
      { route: [to('echo', 'v1')] },
    )
    const app = async (path: string) => (await client().get(`http://echo${path}`)).echo?.app
    expect(await app('/middle/x')).toBe('middle')
    expect(await app('/')).toBe('echo')
  })

  test('a host that no service has, served by its routes alone', async () => {
    await mesh().apply('routing', virtualService('made-up.example.com', [{ route: [to('echo', 'v2')] }]))
    const address = mesh().pod('external').ip
    // The route, not the address, decides where the request goes.
    const answers = await client().http(`http://${address}/`, {
      headers: { host: 'made-up.example.com' },
      count: 5,
    })
    expect(versions(answers)).toEqual({ v2: 5 })
  })

  test('removing the routes brings the default back', async () => {
    await apply({ route: [to('echo', 'v2')] })
    expect(versions(await client().http('http://echo/', { count: 20 }))).toEqual({ v2: 20 })
    await mesh().remove('routing')
    const counts = versions(await client().http('http://echo/', { count: 60 }))
    expect(Object.keys(counts).sort()).toEqual(['v1', 'v2', 'v3'])
  })
})
