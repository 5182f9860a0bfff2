import { beforeAll, expect, test } from 'vitest'
import {
  countBy,
  describeMesh,
  documents,
  type Echo,
  type EdgeRequest,
  eventually,
  expectShare,
  fromOutside,
  lineFromOutside,
  PeerPort,
  resource,
  selfSigned,
  tlsLineFromOutside,
} from '../harness/index.ts'

type Spec = Readonly<Record<string, unknown>>

const object = (kind: string, name: string, spec: Spec) => {
  const [own = '', namespace = 'shop'] = name.split('.')
  return resource('gateway.networking.k8s.io/v1', kind, namespace, own, { spec })
}
const fromAll = { allowedRoutes: { namespaces: { from: 'All' } } }
const HTTP = { name: 'http', port: 80, protocol: 'HTTP', ...fromAll }
const HTTPS = { name: 'https', port: 443, protocol: 'HTTPS', ...fromAll }
const gateway = (listeners: readonly Spec[], more: Spec = {}) =>
  object('Gateway', 'edge.edge', { gatewayClassName: 'seine', listeners, ...more })
const parent = { name: 'edge', namespace: 'edge' }
const route = (kind: string, name: string, spec: Spec) =>
  object(kind, name, { parentRefs: [parent], ...spec })
const to = (name: string, more: Spec = {}) => ({ backendRefs: [{ name, port: 80, ...more }] })
const grant = (kind: string, from: string, toKind: string) =>
  object('ReferenceGrant', 'grant', {
    from: [{ group: 'gateway.networking.k8s.io', kind, namespace: from }],
    to: [{ group: '', kind: toKind }],
  })
const secret = (name: string, { key, cert }: { key: string; cert: string }) => {
  const [own = '', namespace = 'edge'] = name.split('.')
  return resource('v1', 'Secret', namespace, own, { stringData: { 'tls.crt': cert, 'tls.key': key } })
}
const authority = (name: string, cert: string) => {
  const [own = '', namespace = 'edge'] = name.split('.')
  return resource('v1', 'ConfigMap', namespace, own, { data: { 'ca.crt': cert } })
}
const version = (name: string, address: string) =>
  resource('v1', 'Service', 'shop', `echo-${name}`, {
    spec: {
      clusterIP: address,
      selector: { app: 'echo', version: name },
      ports: [
        { name: 'http', port: 80, targetPort: 8080 },
        { name: 'tcp-tls', port: PeerPort.tls },
      ],
    },
  })
const echoOf = (body: string) => JSON.parse(body) as Echo

describeMesh('a Gateway of the Gateway API', mesh => {
  const ip = () => mesh().pod('edge').ip
  const http = (host: string, path = '/', more: Partial<EdgeRequest> = {}) =>
    fromOutside({ ip: ip(), port: 8080, host, path, ...more })
  const https = (host: string, tls: NonNullable<EdgeRequest['tls']>) =>
    fromOutside({ ip: ip(), port: 8443, host, tls })
  const statusOf = async (kind: string, name: string) =>
    (await mesh().hub.statuses()).find(one => one.kind === kind && one.name === name)?.status

  beforeAll(() => mesh().apply('versions', documents(version('v1', '10.96.9.1'), version('v2', '10.96.9.2'))))

  test('takes requests by host and path, and says so in the status', async () => {
    await mesh().apply(
      'ingress',
      documents(
        gateway([
          { ...HTTP, hostname: '*.example.com' },
          { ...HTTP, name: 'closed', hostname: 'closed.example.com' },
        ]),
        route('HTTPRoute', 'echo', {
          parentRefs: [{ ...parent, sectionName: 'http' }],
          hostnames: ['echo.example.com', '*.example.com'],
          rules: [
            {
              matches: [{ path: { value: '/v' } }],
              backendRefs: [
                { name: 'echo-v1', port: 80, weight: 3 },
                { name: 'echo-v2', port: 80 },
              ],
            },
            {
              matches: [{ path: { value: '/secure' } }],
              filters: [{ type: 'RequestRedirect', requestRedirect: { scheme: 'https' } }],
            },
            {
              matches: [{ path: { value: '/old' } }],
              filters: [
                {
                  type: 'URLRewrite',
                  urlRewrite: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/new' } },
                },
              ],
              ...to('echo'),
            },
          ],
        }),
        route('HTTPRoute', 'front', {
          hostnames: ['echo.example.com'],
          rules: [{ matches: [{ path: { value: '/front' } }], ...to('front') }],
        }),
      ),
    )
    const { status, body } = await http('any.example.com', '/old/x?q=1')
    expect([status, echoOf(body).path]).toEqual([200, '/new/x?q=1'])
    // What goes on in the mesh goes by mutual TLS.
    expect(echoOf(body).headers['x-forwarded-client-cert']).toContain(
      'spiffe://cluster.local/ns/edge/sa/edge',
    )
    // Routes of one host are as one.
    expect(echoOf((await http('echo.example.com', '/front')).body).app).toBe('front')
    expect((await http('any.example.com', '/front')).status).toBe(404)
    expect(await http('echo.example.com', '/secure/a')).toMatchObject({
      status: 302,
      headers: { location: 'https://echo.example.com/secure/a' },
    })
    const answers = await Promise.all(Array.from({ length: 200 }, () => http('echo.example.com', '/v')))
    expectShare(countBy(answers, one => echoOf(one.body).version)['v2'] ?? 0, 200, 0.25)
    // Elements of a path are whole, and a listener that is closer has its host for itself.
    expect((await http('echo.example.com', '/vv')).status).toBe(404)
    expect((await http('closed.example.com', '/v')).status).toBe(404)
    expect((await http('example.org', '/v')).status).toBe(404)
    expect(await statusOf('Gateway', 'edge')).toMatchObject({
      addresses: [{ type: 'IPAddress', value: '10.96.1.60' }],
      conditions: [
        { type: 'Accepted', status: 'True' },
        { type: 'Programmed', status: 'True' },
        { type: 'ResolvedRefs', status: 'True' },
      ],
      listeners: [
        { name: 'http', attachedRoutes: 2 },
        { name: 'closed', attachedRoutes: 0 },
      ],
    })
  })

  test('answers 500 where no ReferenceGrant lets a route send, until one does', async () => {
    const stray = documents(
      gateway([HTTP]),
      route('HTTPRoute', 'stray.edge', { rules: [to('echo', { namespace: 'shop' })] }),
    )
    await mesh().apply('ingress', stray, { broken: true })
    expect((await http('any.example.com')).status).toBe(500)
    expect(await mesh().problemsOf('ingress')).toMatchObject([
      { code: 'ref-not-permitted', kind: 'HTTPRoute', path: 'spec.rules[0].backendRefs[0].namespace' },
    ])
    expect(await statusOf('HTTPRoute', 'stray')).toMatchObject({
      parents: [
        {
          conditions: [
            { status: 'True' },
            { type: 'ResolvedRefs', status: 'False', reason: 'RefNotPermitted' },
          ],
        },
      ],
    })
    await mesh().apply('ingress', documents(stray, grant('HTTPRoute', 'edge', 'Service')))
    expect((await http('any.example.com')).status).toBe(200)
  })

  test('ends TLS with certificates of its and of other namespaces, and checks those of clients', async () => {
    const [own, other, client] = [
      await selfSigned('own.example.com'),
      await selfSigned('other.example.com'),
      await selfSigned('client.example.com'),
    ]
    await mesh().apply(
      'ingress',
      documents(
        gateway(
          [
            {
              ...HTTPS,
              name: 'own',
              hostname: 'own.example.com',
              tls: { certificateRefs: [{ name: 'own' }] },
            },
            {
              ...HTTPS,
              name: 'other',
              hostname: 'other.example.com',
              tls: { certificateRefs: [{ name: 'other', namespace: 'shop' }] },
            },
          ],
          {
            tls: {
              frontend: {
                default: {
                  validation: { caCertificateRefs: [{ group: '', kind: 'ConfigMap', name: 'clients' }] },
                },
              },
            },
          },
        ),
        secret('own', own),
        secret('other.shop', other),
        authority('clients', client.cert),
        grant('Gateway', 'edge', 'Secret'),
        route('HTTPRoute', 'echo', { rules: [to('echo')] }),
      ),
    )
    await eventually(async () =>
      expect((await https('own.example.com', { ca: own.cert, ...client })).status).toBe(200),
    )
    await eventually(async () =>
      expect((await https('other.example.com', { ca: other.cert, ...client })).status).toBe(200),
    )
    await expect(https('own.example.com', { ca: own.cert })).rejects.toThrow()
    await expect(https('own.example.com', { ca: own.cert, ...other })).rejects.toThrow()
    await expect(https('third.example.com', { ca: own.cert, ...client })).rejects.toThrow()
  })

  test('hands on TLS and TCP connections, and connects by TLS where a policy asks for it', async () => {
    const [server, wrong, edge] = [
      await selfSigned('echo.example.com'),
      await selfSigned('echo.example.com'),
      await selfSigned('ended.example.com'),
    ]
    await mesh().pod('echo-v1').serveTls(server.key, server.cert)
    const tls = (mode: string, hostname: string, more: Spec = {}) => ({
      name: hostname.split('.')[0],
      port: 443,
      protocol: 'TLS',
      hostname,
      tls: { mode, ...more },
      ...fromAll,
    })
    const backend = { rules: [{ backendRefs: [{ name: 'echo-v1', port: PeerPort.tls }] }] }
    const listeners = [
      tls('Passthrough', 'echo.example.com'),
      tls('Terminate', 'ended.example.com', { certificateRefs: [{ name: 'ended' }] }),
      { name: 'tcp', port: 9000, protocol: 'TCP', ...fromAll },
    ]
    const passed = documents(
      gateway(listeners),
      secret('ended', edge),
      route('TLSRoute', 'passed', { hostnames: ['echo.example.com'], ...backend }),
    )
    await mesh().apply('ingress', passed)
    await eventually(async () =>
      expect(await tlsLineFromOutside(ip(), 8443, 'echo.example.com', server.cert, 'a')).toMatch(
        /^echo-v1\/.* a$/,
      ),
    )
    // What ends here, or was never encrypted, is encrypted again for the backend.
    const policy = (cert: string) =>
      documents(
        passed,
        route('TLSRoute', 'ended', { hostnames: ['ended.example.com'], ...backend }),
        route('TCPRoute', 'tcp', {
          parentRefs: [{ ...parent, sectionName: 'tcp' }],
          rules: [{ backendRefs: [{ name: 'echo-v1', port: PeerPort.tls }] }],
        }),
        authority('backend.shop', cert),
        object('BackendTLSPolicy', 'echo', {
          targetRefs: [{ group: '', kind: 'Service', name: 'echo-v1' }],
          validation: {
            hostname: 'echo.example.com',
            caCertificateRefs: [{ group: '', kind: 'ConfigMap', name: 'backend' }],
          },
        }),
      )
    await mesh().apply('ingress', policy(server.cert))
    expect(await statusOf('BackendTLSPolicy', 'echo')).toMatchObject({
      ancestors: [
        {
          ancestorRef: { name: 'edge' },
          conditions: [{ type: 'Accepted', status: 'True' }, { status: 'True' }],
        },
      ],
    })
    await eventually(async () =>
      expect(await tlsLineFromOutside(ip(), 8443, 'ended.example.com', edge.cert, 'b')).toMatch(
        /^echo-v1\/.* b$/,
      ),
    )
    expect(await lineFromOutside(ip(), 9000, 'c')).toMatch(/^echo-v1\/.* c$/)
    await mesh().apply('ingress', policy(wrong.cert))
    await eventually(async () => expect(await lineFromOutside(ip(), 9000, 'd')).toBe(''))
  })
})
