import { beforeAll, expect, test } from 'vitest'
import {
  describeMesh,
  documents,
  type Echo,
  eventually,
  fromOutside,
  handshakeFromOutside,
  lineFromOutside,
  PeerPort,
  resource,
  selfSigned,
  serviceEntry,
  to,
  upgradeFromOutside,
} from '../harness/index.ts'

type Spec = Readonly<Record<string, unknown>>

const HTTP = { number: 80, name: 'http', protocol: 'HTTP' }
const HTTPS = { number: 443, name: 'https', protocol: 'HTTPS' }

/** At an HTTPS port the service's own has to be named. */
const ECHO = { destination: { host: 'echo.shop.svc.cluster.local', port: { number: 80 } } }

function gateway(servers: readonly Spec[], app = 'edge', name = 'edge'): string {
  return resource('networking.istio.io/v1', 'Gateway', 'edge', name, { spec: { selector: { app }, servers } })
}

function routes(spec: Spec, name = 'from-outside'): string {
  return resource('networking.istio.io/v1', 'VirtualService', 'shop', name, {
    spec: { gateways: ['edge/edge'], ...spec },
  })
}

function secret(name: string, stringData: Readonly<Record<string, string>>): string {
  return resource('v1', 'Secret', 'edge', name, { stringData })
}

function echoOf(body: string): Echo {
  return JSON.parse(body) as Echo
}

describeMesh('an ingress gateway', mesh => {
  const edge = () => mesh().pod('edge')
  const http = (host: string, path?: string) =>
    fromOutside({ ip: edge().ip, port: 8080, host, path: path ?? '/' })

  test('takes requests from outside to the services that routes name, by mutual TLS', async () => {
    await mesh().apply(
      'ingress',
      documents(
        gateway([{ port: HTTP, hosts: ['shop/*.example.com'] }]),
        routes({
          hosts: ['shop.example.com'],
          http: [{ match: [{ uri: { prefix: '/echo' } }], route: [to('echo.shop.svc.cluster.local')] }],
        }),
      ),
    )
    const { status, body, headers } = await http('shop.example.com', '/echo/1')
    expect(status).toBe(200)
    expect(echoOf(body)).toMatchObject({ app: 'echo', path: '/echo/1' })
    expect(echoOf(body).headers['x-forwarded-client-cert']).toContain(
      'spiffe://cluster.local/ns/edge/sa/edge',
    )
    expect(echoOf(body).headers['x-forwarded-for']).toBe('10.77.0.1')
    expect(headers['server']).toBe('istio-envoy')
    expect((await http('shop.example.com', '/other')).status).toBe(404)
    expect((await http('other.example.com', '/echo')).status).toBe(404)
    // A browser names a port that is not 80; it is the same host.
    expect((await http('shop.example.com:8080', '/echo')).status).toBe(200)
  })

  test('a route that changes is followed, and who may come is decided by policy', async () => {
    const to_ = (host: string) =>
      documents(
        gateway([{ port: HTTP, hosts: ['*'] }]),
        routes({ hosts: ['*'], http: [{ route: [to(host)] }] }),
      )
    await mesh().apply('ingress', to_('echo.shop.svc.cluster.local'))
    expect(echoOf((await http('any.example.com')).body).app).toBe('echo')
    await mesh().apply('ingress', to_('front.shop.svc.cluster.local'))
    expect(echoOf((await http('any.example.com')).body).app).toBe('front')
    await mesh().apply(
      'ingress-policy',
      resource('security.istio.io/v1', 'AuthorizationPolicy', 'edge', 'edge', {
        spec: {
          selector: { matchLabels: { app: 'edge' } },
          action: 'DENY',
          rules: [{ to: [{ operation: { paths: ['/closed'] } }] }],
        },
      }),
    )
    expect((await http('any.example.com', '/closed')).status).toBe(403)
    expect((await http('any.example.com', '/open')).status).toBe(200)
  })

  test('WebSocket and TCP', async () => {
    await mesh().apply(
      'ingress',
      documents(
        gateway([
          { port: HTTP, hosts: ['*'] },
          { port: { number: 9000, name: 'tcp', protocol: 'TCP' }, hosts: ['*'] },
        ]),
        routes({
          hosts: ['*'],
          http: [{ route: [to('echo.shop.svc.cluster.local')] }],
          tcp: [
            {
              match: [{ port: 9000 }],
              route: [{ destination: { host: 'echo.shop.svc.cluster.local', port: { number: 9000 } } }],
            },
          ],
        }),
      ),
    )
    expect(await upgradeFromOutside({ ip: edge().ip, port: 8080, host: 'any.example.com' })).toBe(101)
    expect(await lineFromOutside(edge().ip, 9000, 'hello')).toContain('echo')
  })

  test('HTTPS with a certificate of a Secret; plain HTTP is sent there; a renewed certificate is taken', async () => {
    const [first, second] = [await selfSigned('shop.example.com'), await selfSigned('shop.example.com')]
    const config = ({ key, cert }: typeof first) =>
      documents(
        gateway([
          { port: HTTP, hosts: ['shop.example.com'], tls: { httpsRedirect: true } },
          { port: HTTPS, hosts: ['shop.example.com'], tls: { mode: 'SIMPLE', credentialName: 'shop' } },
        ]),
        routes({ hosts: ['shop.example.com'], http: [{ route: [ECHO] }] }),
        secret('shop', { 'tls.crt': cert, 'tls.key': key }),
      )
    const https = (ca: string, host = 'shop.example.com') =>
      fromOutside({ ip: edge().ip, port: 8443, host, tls: { ca } })
    await mesh().apply('ingress', config(first))
    const answer = await https(first.cert)
    expect(answer.status).toBe(200)
    expect(echoOf(answer.body).headers['x-forwarded-proto']).toBe('https')
    expect(await http('shop.example.com', '/a')).toMatchObject({
      status: 301,
      headers: { location: 'https://shop.example.com/a' },
    })
    // A name that no server has is refused in the handshake.
    await expect(https(first.cert, 'other.example.com')).rejects.toThrow()
    await mesh().apply('ingress', config(second))
    await eventually(async () => expect((await https(second.cert)).status).toBe(200))
    await expect(https(first.cert)).rejects.toThrow()
  })

  test('MUTUAL: only who has a certificate of the authority comes in', async () => {
    const [server, client, stranger] = [
      await selfSigned('shop.example.com'),
      await selfSigned('client.example.com'),
      await selfSigned('stranger.example.com'),
    ]
    await mesh().apply(
      'ingress',
      documents(
        gateway([
          { port: HTTPS, hosts: ['shop.example.com'], tls: { mode: 'MUTUAL', credentialName: 'shop' } },
        ]),
        routes({ hosts: ['shop.example.com'], http: [{ route: [ECHO] }] }),
        secret('shop', { 'tls.crt': server.cert, 'tls.key': server.key }),
        secret('shop-cacert', { 'ca.crt': client.cert }),
      ),
    )
    const as = (pair?: { key: string; cert: string }) =>
      fromOutside({ ip: edge().ip, port: 8443, host: 'shop.example.com', tls: { ca: server.cert, ...pair } })
    await eventually(async () => expect((await as(client)).status).toBe(200))
    await expect(as()).rejects.toThrow()
    await expect(as(stranger)).rejects.toThrow()
  })

  test('PASSTHROUGH: connections go by the name that they ask for, unopened', async () => {
    const { key, cert } = await selfSigned('secure.example.com')
    await mesh().pod('external').serveTls(key, cert)
    await mesh().apply(
      'ingress',
      documents(
        gateway([
          {
            port: { ...HTTPS, protocol: 'TLS' },
            hosts: ['secure.example.com'],
            tls: { mode: 'PASSTHROUGH' },
          },
        ]),
        serviceEntry('secure', {
          hosts: ['secure.example.com'],
          ports: [{ number: 443, name: 'tls', protocol: 'TLS', targetPort: PeerPort.tls }],
          resolution: 'STATIC',
          location: 'MESH_EXTERNAL',
          endpoints: [{ address: mesh().pod('external').ip }],
        }),
        routes({
          hosts: ['secure.example.com'],
          tls: [
            {
              match: [{ sniHosts: ['secure.example.com'] }],
              route: [{ destination: { host: 'secure.example.com', port: { number: 443 } } }],
            },
          ],
        }),
      ),
    )
    const certificate = (name: string) => handshakeFromOutside(edge().ip, 8443, name, cert)
    expect(await certificate('secure.example.com')).toBe('secure.example.com')
    await expect(certificate('other.example.com')).rejects.toThrow()
  })
})

describeMesh('an egress gateway', mesh => {
  beforeAll(() =>
    mesh().apply(
      'egress',
      documents(
        serviceEntry('far', {
          hosts: ['far.example.com'],
          ports: [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: PeerPort.http }],
          resolution: 'STATIC',
          location: 'MESH_EXTERNAL',
          endpoints: [{ address: mesh().pod('external').ip }],
        }),
        gateway([{ port: HTTPS, hosts: ['far.example.com'], tls: { mode: 'ISTIO_MUTUAL' } }], 'exit', 'exit'),
        resource('networking.istio.io/v1', 'DestinationRule', 'shop', 'exit', {
          spec: {
            host: 'exit.edge.svc.cluster.local',
            subsets: [
              {
                name: 'far',
                trafficPolicy: {
                  portLevelSettings: [
                    { port: { number: 443 }, tls: { mode: 'ISTIO_MUTUAL', sni: 'far.example.com' } },
                  ],
                },
              },
            ],
          },
        }),
        routes({
          hosts: ['far.example.com'],
          gateways: ['mesh', 'edge/exit'],
          http: [
            {
              match: [{ gateways: ['mesh'], port: 80 }],
              route: [
                {
                  destination: { host: 'exit.edge.svc.cluster.local', subset: 'far', port: { number: 443 } },
                },
              ],
            },
            {
              match: [{ gateways: ['edge/exit'], port: 443 }],
              route: [{ destination: { host: 'far.example.com', port: { number: 80 } } }],
            },
          ],
        }),
      ),
    ),
  )

  test('by TLS routes of sidecars, connections go through it unopened', async () => {
    const { key, cert } = await selfSigned('tls.example.com')
    await mesh().pod('external').serveTls(key, cert)
    const served = { number: 443, name: 'tls', protocol: 'TLS' }
    const route = (gateway: string, destination: Spec) => ({
      match: [{ sniHosts: ['tls.example.com'], port: 443, gateways: [gateway] }],
      route: [{ destination }],
    })
    await mesh().apply(
      'egress-tls',
      documents(
        serviceEntry('tls', {
          hosts: ['tls.example.com'],
          ports: [{ ...served, targetPort: PeerPort.tls }],
          resolution: 'STATIC',
          location: 'MESH_EXTERNAL',
          endpoints: [{ address: mesh().pod('external').ip }],
        }),
        gateway(
          [{ port: served, hosts: ['tls.example.com'], tls: { mode: 'PASSTHROUGH' } }],
          'exit',
          'exit-tls',
        ),
        routes(
          {
            hosts: ['tls.example.com'],
            gateways: ['mesh', 'edge/exit-tls'],
            tls: [
              route('mesh', { host: 'exit.edge.svc.cluster.local', port: { number: 443 } }),
              route('edge/exit-tls', { host: 'tls.example.com', port: { number: 443 } }),
            ],
          },
          'tls',
        ),
      ),
    )
    const opened = () => mesh().pod('exit').metric('istio_tcp_connections_opened_total')
    const before = await opened()
    const [outcome] = await mesh()
      .pod('client')
      .tls({ host: 'tls.example.com', port: 443, serverName: 'tls.example.com', line: 'hello' })
    expect(outcome?.error).toBeUndefined()
    expect(outcome?.peerName).toBe('tls.example.com')
    await eventually(async () => expect(await opened()).toBe(before + 1))
  })

  test('what a workload asks outside goes through it, by mutual TLS as far as there', async () => {
    const before = await mesh().pod('exit').metric('istio_requests_total', { reporter: 'source' })
    const answer = await mesh().pod('client').get('http://far.example.com/there')
    expect(answer).toMatchObject({ status: 200, echo: { app: 'external', path: '/there' } })
    // It comes from the gateway's address.
    expect(answer.echo?.remoteAddress).toContain(mesh().pod('exit').ip)
    await eventually(async () =>
      expect(await mesh().pod('exit').metric('istio_requests_total', { reporter: 'source' })).toBe(
        before + 1,
      ),
    )
  })
})
