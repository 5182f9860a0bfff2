import { afterEach, expect, test } from 'vitest'
import {
  type Answer,
  Ask,
  countBy,
  describeMesh,
  destinationRule,
  documents,
  eventually,
  growthOf,
  resource,
  to,
  virtualService,
} from '../harness/index.ts'

const REQUESTS = 'istio_requests_total'

function versions(answers: readonly Answer[]): Record<string, number> {
  return countBy(answers, ({ echo }) => echo?.version)
}

describeMesh('what applies after routing', mesh => {
  const client = () => mesh().pod('client')
  const apply = (...texts: readonly string[]) => mesh().apply('destinations', documents(...texts))
  const loadBalancer = (settings: Record<string, unknown>) =>
    apply(destinationRule('echo', { trafficPolicy: { loadBalancer: settings } }))

  afterEach(async () => {
    for (const pod of mesh().pods('echo')) await pod.misbehave({})
  })

  test('subsets are the endpoints with their labels', async () => {
    await apply(destinationRule('echo'), virtualService('echo', [{ route: [to('echo', 'v2')] }]))
    expect(versions(await client().http('http://echo/', { count: 20 }))).toEqual({ v2: 20 })
  })

  test('a subset that no endpoint is in answers 503, with the flag UH', async () => {
    const subsets = [{ name: 'nobody', labels: { version: 'v99' } }]
    await apply(
      destinationRule('echo', { subsets }),
      virtualService('echo', [{ route: [to('echo', 'nobody')] }]),
    )
    const refused = await growthOf(client(), REQUESTS, { response_code: '503', response_flags: 'UH' })
    const answer = await client().get('http://echo/')
    expect([answer.status, answer.body]).toEqual([503, 'no healthy upstream'])
    await eventually(async () => expect(await refused()).toBe(1))
  })

  test('ROUND_ROBIN takes turns', async () => {
    await loadBalancer({ simple: 'ROUND_ROBIN' })
    // One connection is one worker of Envoy's, and each worker takes its own turns.
    const answers = await client().http('http://echo/', { count: 30, keepAlive: true })
    expect(versions(answers)).toEqual({ v1: 10, v2: 10, v3: 10 })
  })

  test('a hash of a header keeps each value at one endpoint', async () => {
    await loadBalancer({ consistentHash: { httpHeaderName: 'x-user' } })
    const chosen = new Set<string>()
    for (let user = 0; user < 20; user += 1) {
      const answers = await client().http('http://echo/', { count: 5, headers: { 'x-user': `user-${user}` } })
      const [version, ...others] = Object.keys(versions(answers))
      expect(others).toEqual([])
      chosen.add(version ?? '')
    }
    // 20 values that all hash to one of three endpoints: once in a billion.
    expect(chosen.size).toBeGreaterThan(1)
  })

  test('a hash of a query parameter, by Maglev', async () => {
    await loadBalancer({ consistentHash: { httpQueryParameterName: 'key', maglev: {} } })
    const chosen = new Set<string>()
    for (let key = 0; key < 20; key += 1) {
      const found = Object.keys(versions(await client().http(`http://echo/?key=${key}`, { count: 4 })))
      expect(found).toHaveLength(1)
      chosen.add(found[0] ?? '')
    }
    expect(chosen.size).toBeGreaterThan(1)
  })

  test('a hash of a cookie that Envoy hands out', async () => {
    await loadBalancer({ consistentHash: { httpCookie: { name: 'sticky', ttl: '60s' } } })
    const first = await client().get('http://echo/')
    const cookie = first.headers['set-cookie']?.split(';')[0] ?? ''
    expect(cookie).toMatch(/^sticky=.+/)
    const again = await client().http('http://echo/', { count: 20, headers: { cookie } })
    expect(versions(again)).toEqual({ [first.echo?.version ?? '']: 20 })
  })

  test('a policy of a subset comes before that of the rule', async () => {
    const subsets = [
      {
        name: 'all',
        labels: { app: 'echo' },
        trafficPolicy: { loadBalancer: { consistentHash: { httpHeaderName: 'x-user' } } },
      },
    ]
    await apply(
      destinationRule('echo', { trafficPolicy: { loadBalancer: { simple: 'ROUND_ROBIN' } }, subsets }),
      virtualService('echo', [
        { match: [{ uri: { prefix: '/sticky' } }], route: [to('echo', 'all')] },
        { route: [to('echo')] },
      ]),
    )
    const at = async (path: string) =>
      versions(
        await client().http(`http://echo${path}`, {
          count: 30,
          keepAlive: true,
          headers: { 'x-user': 'one' },
        }),
      )
    expect(Object.values(await at('/sticky'))).toEqual([30])
    expect(await at('/')).toEqual({ v1: 10, v2: 10, v3: 10 })
  })

  test('more requests than the connection pool takes overflow: 503, with the flag UO', async () => {
    const http = { http2MaxRequests: 1, http1MaxPendingRequests: 1 }
    await apply(
      destinationRule('echo', { trafficPolicy: { connectionPool: { http } } }),
      virtualService('echo', [{ route: [to('echo', 'v1')] }]),
    )
    const overflowed = await growthOf(client(), REQUESTS, { response_code: '503', response_flags: 'UO' })
    const answers = await client().http('http://echo/', {
      count: 12,
      concurrency: 12,
      headers: { [Ask.delay]: '1000' },
    })
    const refused = answers.filter(({ status }) => status === 503)
    expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThan(0)
    expect(refused.length).toBeGreaterThan(0)
    expect(answers.filter(({ status }) => status !== 200 && status !== 503)).toEqual([])
    for (const { headers } of refused) expect(headers['x-envoy-overloaded']).toBe('true')
    await eventually(async () => expect(await overflowed()).toBe(refused.length))
    expect((await client().http('http://echo/', { count: 5 })).map(({ status }) => status)).toEqual([
      200, 200, 200, 200, 200,
    ])
  })

  test('more TCP connections than the pool takes are closed', async () => {
    await apply(
      destinationRule('echo', { trafficPolicy: { connectionPool: { tcp: { maxConnections: 1 } } } }),
      resource('networking.istio.io/v1', 'VirtualService', 'shop', 'echo', {
        spec: { hosts: ['echo'], tcp: [{ route: [to('echo', 'v1')] }] },
      }),
    )
    const labels = { destination_service_name: 'echo', response_flags: 'UO' }
    const overflowed = await growthOf(client(), 'istio_tcp_connections_closed_total', labels)
    const outcomes = await client().tcp('echo', 9000, { count: 8, concurrency: 8, holdMs: 1_000 })
    const closed = outcomes.filter(({ error }) => error !== undefined)
    expect(closed.length).toBeGreaterThan(0)
    expect(closed.length).toBeLessThan(8)
    await eventually(async () => expect(await overflowed()).toBe(closed.length))
  })

  test('an endpoint that keeps failing is ejected, and returns', async () => {
    const outlierDetection = {
      consecutive5xxErrors: 3,
      interval: '0.5s',
      baseEjectionTime: '2s',
      maxEjectionPercent: 50,
    }
    await apply(
      destinationRule('echo', {
        trafficPolicy: { loadBalancer: { simple: 'ROUND_ROBIN' }, outlierDetection },
      }),
    )
    await mesh().pod('echo-v2').misbehave({ status: 500 })
    await eventually(async () => {
      const answers = await client().http('http://echo/', { count: 30 })
      expect(versions(answers)['v2']).toBeUndefined()
    })
    await mesh().pod('echo-v2').misbehave({})
    await eventually(async () => {
      const answers = await client().http('http://echo/', { count: 30 })
      expect(versions(answers)['v2']).toBeGreaterThan(0)
    })
  })

  test('answers that count as failures can be others than 5xx', async () => {
    const outlierDetection = {
      consecutive5xxErrors: 3,
      outlierDetectionHttpErrorCodes: [429],
      interval: '0.5s',
      baseEjectionTime: '60s',
      maxEjectionPercent: 50,
    }
    await apply(
      destinationRule('echo', {
        trafficPolicy: { loadBalancer: { simple: 'ROUND_ROBIN' }, outlierDetection },
      }),
    )
    await mesh().pod('echo-v3').misbehave({ status: 500 })
    await mesh().pod('echo-v2').misbehave({ status: 429 })
    await eventually(async () => {
      const answers = await client().http('http://echo/', { count: 30 })
      expect(countBy(answers, ({ status }) => String(status))).toEqual({ 200: 15, 500: 15 })
    })
  })

  test('a rule for selected callers comes before one for all', async () => {
    const selecting = (name: string, app: string, loadBalancer: Record<string, unknown>) =>
      resource('networking.istio.io/v1', 'DestinationRule', 'shop', name, {
        spec: {
          host: 'echo',
          workloadSelector: { matchLabels: { app } },
          trafficPolicy: { loadBalancer },
        },
      })
    await apply(
      destinationRule('echo', { trafficPolicy: { loadBalancer: { simple: 'ROUND_ROBIN' } } }),
      selecting('a-others', 'echo', { simple: 'RANDOM' }),
      selecting('b-client', 'client', { consistentHash: { httpHeaderName: 'x-user' } }),
    )
    const answers = await client().http('http://echo/', { count: 30, headers: { 'x-user': 'one' } })
    expect(Object.values(versions(answers))).toEqual([30])
  })

  test('a rule of the caller’s own namespace holds for its callers only', async () => {
    const rule = resource('networking.istio.io/v1', 'DestinationRule', 'partner', 'echo', {
      spec: {
        host: 'echo.shop.svc.cluster.local',
        trafficPolicy: { loadBalancer: { consistentHash: { httpHeaderName: 'x-user' } } },
      },
    })
    await apply(rule, destinationRule('echo', { trafficPolicy: { loadBalancer: { simple: 'ROUND_ROBIN' } } }))
    const options = { count: 30, keepAlive: true, headers: { 'x-user': 'one' } }
    const url = 'http://echo.shop.svc.cluster.local/'
    expect(Object.values(versions(await mesh().pod('visitor').http(url, options)))).toEqual([30])
    expect(versions(await client().http(url, options))).toEqual({ v1: 10, v2: 10, v3: 10 })
  })
})
