import { beforeAll, expect, test } from 'vitest'
import {
  authorizationPolicy,
  countBy,
  describeMesh,
  destinationRule,
  documents,
  eventually,
  growthOf,
  PeerPort,
} from '../harness/index.ts'

const principal = (namespace: string, account: string) => `cluster.local/ns/${namespace}/sa/${account}`
const HTTP = 'http://echo.shop.svc.cluster.local'
const ONE_REQUEST_EACH = { trafficPolicy: { connectionPool: { http: { maxRequestsPerConnection: 1 } } } }
const SELECTOR = { matchLabels: { app: 'echo' } }

/** 200 and 403 by caller, in this order. */
const CALLERS = ['client', 'front', 'visitor'] as const

describeMesh('authorization', mesh => {
  const policy = (name: string, spec: Record<string, unknown>) =>
    authorizationPolicy('shop', name, { selector: SELECTOR, ...spec })
  const apply = (...texts: readonly string[]) => mesh().apply('authorization', documents(...texts))
  const status = async (
    caller: string,
    path = '/',
    options: { method?: string; headers?: Record<string, string> } = {},
  ) => {
    const [answer] = await mesh().pod(caller).http(`${HTTP}${path}`, options)
    if (answer?.status === 403) expect(answer.body).toBe('RBAC: access denied')
    return answer?.status
  }
  /** What the callers get, the outsider's plaintext call last. */
  const statuses = async () => {
    const [plain] = await mesh()
      .pod('outsider')
      .http(`http://${mesh().pod('echo-v1').ip}:${PeerPort.http}/`)
    return [...(await Promise.all(CALLERS.map(caller => status(caller)))), plain?.status]
  }
  const tcp = async (caller: string) => {
    const [outcome] = await mesh().pod(caller).tcp('echo.shop.svc.cluster.local', 9000)
    return outcome?.error === undefined ? 'answered' : 'closed'
  }
  const tcpOutcomes = () => Promise.all(CALLERS.map(tcp))
  /** Policies reach the listeners' workers a moment after they are acknowledged. */
  const inForce = (assertion: () => Promise<void>) => eventually(assertion, { timeoutMs: 10_000 })

  // With a connection for each request, no request comes under the policy that its connection was opened under.
  beforeAll(() => mesh().apply('one-request-each', destinationRule('echo', ONE_REQUEST_EACH)))

  test('without policies everyone may do everything', async () => {
    expect(await statuses()).toEqual([200, 200, 200, 200])
    expect(await tcpOutcomes()).toEqual(['answered', 'answered', 'answered'])
  })

  test('ALLOW by principal refuses everyone else', async () => {
    await apply(
      policy('allow', { rules: [{ from: [{ source: { principals: [principal('shop', 'client')] } }] }] }),
    )
    await inForce(async () => expect(await statuses()).toEqual([200, 403, 403, 403]))
    const refused = await growthOf(mesh().pod('front'), 'istio_requests_total', {
      reporter: 'source',
      response_code: '403',
    })
    expect(await status('front')).toBe(403)
    await eventually(async () => expect(await refused()).toBe(1))
  })

  test('ALLOW by namespace', async () => {
    await apply(
      policy('allow', { action: 'ALLOW', rules: [{ from: [{ source: { namespaces: ['partner'] } }] }] }),
    )
    await inForce(async () => expect(await statuses()).toEqual([403, 403, 200, 403]))
  })

  test('DENY by principal leaves the others alone', async () => {
    await apply(
      policy('deny', {
        action: 'DENY',
        rules: [{ from: [{ source: { principals: [principal('shop', 'front')] } }] }],
      }),
    )
    await inForce(async () => expect(await statuses()).toEqual([200, 403, 200, 200]))
  })

  test('DENY by what a caller is not, which plaintext never is', async () => {
    await apply(
      policy('deny', {
        action: 'DENY',
        rules: [
          { from: [{ source: { notPrincipals: ['*/ns/shop/sa/client', 'cluster.local/ns/partner/*'] } }] },
        ],
      }),
    )
    await inForce(async () => expect(await statuses()).toEqual([200, 403, 200, 403]))
  })

  test('DENY comes before ALLOW', async () => {
    await apply(
      policy('allow', { rules: [{ from: [{ source: { namespaces: ['shop', 'partner'] } }] }] }),
      policy('deny', { action: 'DENY', rules: [{ from: [{ source: { namespaces: ['partner'] } }] }] }),
    )
    await inForce(async () => expect(await statuses()).toEqual([200, 200, 403, 403]))
  })

  test('by address, service account and condition', async () => {
    const outsider = mesh().pod('outsider').ip
    await apply(
      policy('deny', { action: 'DENY', rules: [{ from: [{ source: { ipBlocks: [`${outsider}/32`] } }] }] }),
    )
    await inForce(async () => expect(await statuses()).toEqual([200, 200, 200, 403]))
    await apply(
      policy('allow', { rules: [{ from: [{ source: { serviceAccounts: ['front', 'partner/visitor'] } }] }] }),
    )
    await inForce(async () => expect(await statuses()).toEqual([403, 200, 200, 403]))
    await apply(
      policy('allow', {
        rules: [
          {
            when: [
              { key: 'source.namespace', values: ['shop'] },
              { key: 'destination.port', values: [String(PeerPort.http)] },
              { key: 'source.principal', notValues: [principal('shop', 'front')] },
            ],
          },
        ],
      }),
    )
    await inForce(async () => expect(await statuses()).toEqual([200, 403, 403, 403]))
    expect(await tcpOutcomes()).toEqual(['closed', 'closed', 'closed'])
  })

  test('several ALLOW policies add up', async () => {
    await apply(
      policy('first', { rules: [{ from: [{ source: { principals: [principal('shop', 'client')] } }] }] }),
      policy('second', {
        rules: [{ from: [{ source: { principals: [principal('partner', 'visitor')] } }] }],
      }),
    )
    await inForce(async () => expect(await statuses()).toEqual([200, 403, 200, 403]))
  })

  test('a policy without rules allows nothing, one with an empty rule everything', async () => {
    await apply(policy('nothing', {}))
    await inForce(async () => expect(await statuses()).toEqual([403, 403, 403, 403]))
    expect(await tcpOutcomes()).toEqual(['closed', 'closed', 'closed'])
    await apply(policy('nothing', {}), policy('everything', { rules: [{}] }))
    await inForce(async () => expect(await statuses()).toEqual([200, 200, 200, 200]))
  })

  test('methods and paths', async () => {
    await apply(
      policy('reading', {
        rules: [
          { to: [{ operation: { methods: ['GET', 'HEAD'], paths: ['/public/*', '/status', '*.css'] } }] },
          { to: [{ operation: { methods: ['POST'], paths: ['/orders'], notPaths: ['/orders/secret'] } }] },
        ],
      }),
    )
    await inForce(async () => expect(await status('client', '/elsewhere')).toBe(403))
    const at = async (path: string, method: string) => status('client', path, { method })
    expect(await at('/public/a', 'GET')).toBe(200)
    expect(await at('/public/a?x=1', 'GET')).toBe(200)
    expect(await at('/public', 'GET')).toBe(403)
    expect(await at('/status', 'GET')).toBe(200)
    expect(await at('/status?verbose=1', 'GET')).toBe(200)
    expect(await at('/status/', 'GET')).toBe(403)
    expect(await at('/style/main.css', 'GET')).toBe(200)
    expect(await at('/status', 'DELETE')).toBe(403)
    expect(await at('/orders', 'POST')).toBe(200)
    expect(await at('/orders', 'GET')).toBe(403)
  })

  test('a path cannot be dressed up to slip past a DENY', async () => {
    await apply(
      policy('deny', { action: 'DENY', rules: [{ to: [{ operation: { paths: ['/admin', '/admin/*'] } }] }] }),
    )
    await inForce(async () => expect(await status('client', '/admin')).toBe(403))
    for (const path of ['/admin/', '/admin/users', '/public/../admin', '/./admin', '/%61dmin', '/admin?x=1'])
      expect([path, await status('client', path)]).toEqual([path, 403])
    expect(await status('client', '/')).toBe(200)
  })

  test('hosts, ports and conditions on headers', async () => {
    await apply(
      policy('allow', {
        rules: [
          {
            to: [{ operation: { ports: [String(PeerPort.http)], hosts: ['*.shop.svc.cluster.local'] } }],
            when: [{ key: 'request.headers[x-team]', values: ['red', 'blue-*'] }],
          },
        ],
      }),
    )
    const team = (name: string) => status('client', '/', { headers: { 'x-team': name } })
    await inForce(async () => expect(await team('green')).toBe(403))
    expect(await team('red')).toBe(200)
    expect(await team('blue-2')).toBe(200)
    expect(await status('client')).toBe(403)
    const [short] = await mesh()
      .pod('client')
      .http('http://echo/', { headers: { 'x-team': 'red' } })
    expect(short?.status).toBe(403)
  })

  test('a connection that was open before comes under the new policy too', async () => {
    await mesh().apply('one-request-each', destinationRule('echo'))
    const options = { count: 40, keepAlive: true }
    const codes = async () =>
      countBy(await mesh().pod('client').http('http://echo/', options), answer => String(answer.status))
    try {
      expect(await codes()).toEqual({ 200: 40 })
      await apply(policy('nothing', {}))
      await eventually(async () => expect(await codes()).toEqual({ 403: 40 }))
    } finally {
      await mesh().apply('one-request-each', destinationRule('echo', ONE_REQUEST_EACH))
    }
  })

  test('a selector limits a policy to its workloads', async () => {
    await apply(
      authorizationPolicy('shop', 'closed', { selector: { matchLabels: { app: 'echo', version: 'v2' } } }),
    )
    const direct = async (workload: string) => {
      const pod = mesh().pod(workload)
      const [answer] = await mesh().pod('outsider').http(`http://${pod.ip}:${PeerPort.http}/`)
      return answer?.status
    }
    await inForce(async () => expect(await direct('echo-v2')).toBe(403))
    expect(await direct('echo-v1')).toBe(200)
    expect(await direct('middle')).toBe(200)
  })

  test('a policy in the root namespace holds everywhere', async () => {
    await apply(
      authorizationPolicy('istio-system', 'everywhere', {
        action: 'DENY',
        rules: [{ to: [{ operation: { paths: ['/forbidden'] } }] }],
      }),
    )
    await inForce(async () => expect(await status('client', '/forbidden')).toBe(403))
    const visitor = mesh().pod('visitor').ip
    await inForce(async () => {
      const [answer] = await mesh().pod('outsider').http(`http://${visitor}:${PeerPort.http}/forbidden`)
      expect(answer?.status).toBe(403)
    })
    expect(await status('client')).toBe(200)
  })

  test('TCP: ALLOW by principal', async () => {
    await apply(
      policy('allow', { rules: [{ from: [{ source: { principals: [principal('shop', 'client')] } }] }] }),
    )
    await inForce(async () => expect(await tcpOutcomes()).toEqual(['answered', 'closed', 'closed']))
    const [plain] = await mesh().pod('outsider').tcp(mesh().pod('echo-v1').ip, PeerPort.tcp)
    expect(plain?.error).toBeDefined()
  })

  test('TCP: DENY by principal and namespace', async () => {
    await apply(
      policy('deny', {
        action: 'DENY',
        rules: [
          {
            from: [
              { source: { principals: [principal('shop', 'front')] } },
              { source: { namespaces: ['partner'] } },
            ],
          },
        ],
      }),
    )
    await inForce(async () => expect(await tcpOutcomes()).toEqual(['answered', 'closed', 'closed']))
  })

  test('TCP: what only requests have is never met by an ALLOW, and does not weaken a DENY', async () => {
    await apply(policy('allow', { rules: [{ to: [{ operation: { methods: ['GET'] } }] }] }))
    await inForce(async () => expect(await tcpOutcomes()).toEqual(['closed', 'closed', 'closed']))
    await inForce(async () => expect(await statuses()).toEqual([200, 200, 200, 200]))
    await apply(
      policy('deny', {
        action: 'DENY',
        rules: [
          {
            from: [{ source: { principals: [principal('shop', 'front')] } }],
            to: [{ operation: { methods: ['DELETE'] } }],
          },
        ],
      }),
    )
    await inForce(async () => expect(await tcpOutcomes()).toEqual(['answered', 'closed', 'answered']))
    await inForce(async () => expect(await statuses()).toEqual([200, 200, 200, 200]))
  })

  test('on a port without a declared protocol, requests are judged as requests and the rest as TCP', async () => {
    await apply(policy('allow', { rules: [{ to: [{ operation: { methods: ['GET'] } }] }] }))
    const detected = async (method: string) => {
      const [answer] = await mesh().pod('client').http('http://echo:9100/', { method })
      return answer?.status
    }
    await inForce(async () => expect([await detected('GET'), await detected('POST')]).toEqual([200, 403]))
    const [bytes] = await mesh().pod('client').tcp('echo', 9100, { line: 'nothing that HTTP knows' })
    expect(bytes?.error).toBeDefined()
  })

  test('gRPC: a denied call is an error of gRPC', async () => {
    await apply(
      policy('allow', {
        rules: [{ to: [{ operation: { paths: ['/seine.e2e.Echo/Other'], methods: ['POST'] } }] }],
      }),
    )
    await inForce(async () => {
      const [answer] = await mesh().pod('client').grpc({ url: 'http://echo:50051', message: 'hi' })
      expect(answer?.trailers?.['grpc-status']).toBe('7')
    })
    await apply(
      policy('allow', {
        rules: [{ to: [{ operation: { paths: ['/seine.e2e.Echo/Say'], methods: ['POST'] } }] }],
      }),
    )
    await inForce(async () => {
      const [answer] = await mesh().pod('client').grpc({ url: 'http://echo:50051', message: 'hi' })
      expect(answer?.trailers?.['grpc-status']).toBe('0')
    })
  })
})
