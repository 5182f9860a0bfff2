import { beforeAll, expect, test } from 'vitest'
import {
  Ask,
  countBy,
  describeMesh,
  documents,
  eventually,
  expectShare,
  freshId,
  resource,
  seenBy,
} from '../harness/index.ts'

type Spec = Readonly<Record<string, unknown>>

/** A Service of one version of echo, for routes to send to. */
const version = (name: string, address: string) =>
  resource('v1', 'Service', 'shop', `echo-${name}`, {
    spec: {
      clusterIP: address,
      selector: { app: 'echo', version: name },
      ports: [
        { name: 'http', port: 80, targetPort: 8080 },
        { name: 'tcp', port: 9000 },
        { name: 'grpc', port: 50051 },
      ],
    },
  })
const backend = (name: string, more: Spec = {}) => ({ name, port: 80, ...more })
const route = (kind: string, spec: Spec, namespace = 'shop') =>
  resource('gateway.networking.k8s.io/v1', kind, namespace, 'echo', {
    spec: {
      parentRefs: [{ group: '', kind: 'Service', name: 'echo', namespace: 'shop', port: 80 }],
      ...spec,
    },
  })

describeMesh('routes of the Gateway API in the mesh', mesh => {
  const client = () => mesh().pod('client')
  const apply = (...rules: readonly Spec[]) => mesh().apply('routes', route('HTTPRoute', { rules }))
  const get = async (path: string, headers: Readonly<Record<string, string>> = {}) =>
    client().get(`http://echo${path}`, headers)

  beforeAll(() =>
    mesh().apply(
      'versions',
      documents(version('v1', '10.96.9.1'), version('v2', '10.96.9.2'), version('v3', '10.96.9.3')),
    ),
  )

  test('split requests by weight, and give nothing to a weight of 0', async () => {
    await apply({
      backendRefs: [
        backend('echo-v1', { weight: 3 }),
        backend('echo-v2', { weight: 1 }),
        backend('echo-v3', { weight: 0 }),
      ],
    })
    const answers = await client().http('http://echo/', { count: 400, concurrency: 10, keepAlive: true })
    const versions = countBy(answers, ({ echo }) => echo?.version)
    expect(Object.keys(versions).sort()).toEqual(['v1', 'v2'])
    expectShare(versions['v2'] ?? 0, 400, 0.25)
  })

  test('answer the share of a backend that is not there with 500, and say so in the status', async () => {
    await mesh().apply(
      'routes',
      route('HTTPRoute', {
        rules: [
          { backendRefs: [backend('echo-v1', { weight: 1 }), backend('nowhere', { weight: 1 })] },
          { matches: [{ path: { value: '/none' } }], backendRefs: [backend('nowhere')] },
        ],
      }),
      { broken: true },
    )
    const statuses = countBy(
      await client().http('http://echo/', { count: 200, concurrency: 10, keepAlive: true }),
      ({ status }) => String(status),
    )
    expect(Object.keys(statuses).sort()).toEqual(['200', '500'])
    expectShare(statuses['500'] ?? 0, 200, 0.5)
    expect((await get('/none')).status).toBe(500)
    const [problem] = await mesh().problemsOf('routes')
    expect(problem).toMatchObject({ code: 'backend-not-found', path: 'spec.rules[0].backendRefs[1].name' })
    const status = (await mesh().hub.statuses()).find(({ kind }) => kind === 'HTTPRoute')?.status
    expect(status).toMatchObject({
      parents: [
        {
          conditions: [
            { type: 'Accepted', status: 'True' },
            { type: 'ResolvedRefs', status: 'False', reason: 'BackendNotFound' },
          ],
        },
      ],
    })
  })

  test('match by whole parts of paths, methods, headers and parameters, the most specific first', async () => {
    const to = (name: string, match: Spec) => ({ matches: [match], backendRefs: [backend(name)] })
    await apply(
      to('echo-v1', { path: { value: '/' } }),
      to('echo-v2', { path: { value: '/two' } }),
      to('echo-v3', { path: { value: '/two' }, headers: [{ name: 'x-three', value: 'yes' }] }),
      to('echo-v3', { path: { type: 'Exact', value: '/two/three' } }),
      to('echo-v3', { path: { value: '/two' }, queryParams: [{ name: 'three', value: 'yes' }] }),
      to('echo-v3', { path: { value: '/two' }, method: 'POST' }),
    )
    const versionOf = async (path: string, headers = {}) => (await get(path, headers)).echo?.version
    expect(await versionOf('/')).toBe('v1')
    expect(await versionOf('/two')).toBe('v2')
    expect(await versionOf('/two/x')).toBe('v2')
    expect(await versionOf('/twofold')).toBe('v1')
    expect(await versionOf('/two', { 'x-three': 'yes' })).toBe('v3')
    expect(await versionOf('/two/three')).toBe('v3')
    expect(await versionOf('/two?three=yes')).toBe('v3')
    const [posted] = await client().http('http://echo/two', { method: 'POST' })
    expect(posted?.echo?.version).toBe('v3')
  })

  test('redirect, rewrite and change headers', async () => {
    const replaced = (replacePrefixMatch: string) => ({ type: 'ReplacePrefixMatch', replacePrefixMatch })
    const rule = (path: string, filter: Spec, ends = false) => ({
      matches: [{ path: { value: path } }],
      filters: [filter],
      ...(ends ? {} : { backendRefs: [backend('echo')] }),
    })
    await apply(
      rule(
        '/away',
        {
          type: 'RequestRedirect',
          requestRedirect: {
            scheme: 'https',
            hostname: 'there.example',
            path: replaced('/new'),
            statusCode: 301,
          },
        },
        true,
      ),
      rule(
        '/home',
        {
          type: 'RequestRedirect',
          requestRedirect: { path: { type: 'ReplaceFullPath', replaceFullPath: '/all' } },
        },
        true,
      ),
      rule('/bare', { type: 'URLRewrite', urlRewrite: { hostname: 'other.example', path: replaced('/') } }),
      rule('/full', {
        type: 'URLRewrite',
        urlRewrite: { path: { type: 'ReplaceFullPath', replaceFullPath: '/one' } },
      }),
      rule('/head', {
        type: 'RequestHeaderModifier',
        requestHeaderModifier: {
          set: [{ name: 'x-set', value: '100%' }],
          add: [{ name: 'x-add', value: 'b' }],
          remove: ['x-gone'],
        },
      }),
      rule('/back', {
        type: 'ResponseHeaderModifier',
        responseHeaderModifier: { set: [{ name: 'x-back', value: 'yes' }] },
      }),
    )
    const away = await get('/away/x?q=1')
    expect([away.status, away.headers['location']]).toEqual([301, 'https://there.example/new/x?q=1'])
    const home = await get('/home/x')
    expect([home.status, home.headers['location']]).toEqual([302, 'http://echo/all'])
    const bare = (await get('/bare/x?q=1')).echo
    expect([bare?.path, bare?.headers['host']]).toEqual(['/x?q=1', 'other.example'])
    expect((await get('/bare')).echo?.path).toBe('/')
    expect((await get('/full/x?q=1')).echo?.path).toBe('/one?q=1')
    const head = (await get('/head', { 'x-gone': '1', 'x-set': 'no', 'x-add': 'a' })).echo?.headers
    expect([head?.['x-set'], head?.['x-add'], head?.['x-gone']]).toEqual(['100%', 'a, b', undefined])
    expect((await get('/back')).headers['x-back']).toBe('yes')
  })

  test('mirror a fraction, time out and try again', async () => {
    await apply(
      {
        filters: [{ type: 'RequestMirror', requestMirror: { backendRef: backend('echo-v3'), percent: 100 } }],
        backendRefs: [backend('echo-v1')],
      },
      {
        matches: [{ path: { value: '/slow' } }],
        timeouts: { request: '300ms' },
        backendRefs: [backend('echo-v1')],
      },
      {
        matches: [{ path: { value: '/retry' } }],
        retry: { attempts: 2, codes: [500] },
        backendRefs: [backend('echo-v1')],
      },
    )
    const mirrored = freshId()
    expect((await get('/', { [Ask.id]: mirrored })).echo?.version).toBe('v1')
    await eventually(async () => expect(await seenBy(mesh().pods('echo-v3'), mirrored)).toBe(1))
    expect((await get('/slow', { [Ask.delay]: '3000' })).status).toBe(504)
    const tried = freshId()
    const answer = await get('/retry', { [Ask.id]: tried, [Ask.failFirst]: '2', [Ask.status]: '500' })
    expect(answer.status).toBe(200)
    expect(await seenBy(mesh().pods('echo-v1'), tried)).toBe(3)
  })

  test('that another namespace has are for the clients there', async () => {
    const rules = (name: string) => [{ backendRefs: [{ ...backend(name), namespace: 'shop' }] }]
    await mesh().apply(
      'routes',
      documents(
        route('HTTPRoute', { rules: rules('echo-v1') }),
        route('HTTPRoute', { rules: rules('echo-v2') }, 'partner'),
      ),
    )
    const from = async (workload: string) =>
      (await mesh().pod(workload).get('http://echo.shop/')).echo?.version
    expect(await from('client')).toBe('v1')
    expect(await from('visitor')).toBe('v2')
  })

  test('are there for gRPC and for connections, too', async () => {
    const parent = (port: number) => ({
      parentRefs: [{ group: '', kind: 'Service', name: 'echo', port }],
    })
    await mesh().apply(
      'routes',
      documents(
        route('GRPCRoute', {
          ...parent(50051),
          rules: [{ backendRefs: [{ name: 'echo-v2', port: 50051 }] }],
        }),
        route('TCPRoute', { ...parent(9000), rules: [{ backendRefs: [{ name: 'echo-v3', port: 9000 }] }] }),
      ),
    )
    const calls = await client().grpc({ url: 'http://echo:50051', message: 'hello', count: 5 })
    expect(countBy(calls, ({ body }) => /v\d/.exec(body)?.[0])).toEqual({ v2: 5 })
    const lines = await client().tcp('echo', 9000, { count: 5 })
    expect(countBy(lines, ({ body }) => /v\d/.exec(body)?.[0])).toEqual({ v3: 5 })
  })
})
