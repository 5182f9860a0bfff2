import { expect, test } from 'vitest'
import { describeMesh, documents, eventually, PeerPort, resource } from '../harness/index.ts'

const MIDDLE = '10.96.1.12'

describeMesh('Sidecars', mesh => {
  const client = () => mesh().pod('client')
  const sidecar = (app: string, spec: Record<string, unknown>) =>
    resource('networking.istio.io/v1', 'Sidecar', 'shop', app, {
      spec: { workloadSelector: { labels: { app } }, ...spec },
    })
  const service = (name: string, clusterIP: string, app: string, port: Record<string, unknown>) =>
    resource('v1', 'Service', 'shop', name, {
      spec: { clusterIP, selector: { app }, ports: [{ name: 'http', ...port }] },
    })
  const callMiddle = async (pod = client()) => (await pod.get(`http://${MIDDLE}/`, { host: 'middle' })).status

  test('a workload reaches what its Sidecar imports, and others reach what they did', async () => {
    expect(await callMiddle()).toBe(200)
    await mesh().apply(
      'sidecar',
      sidecar('client', {
        egress: [{ hosts: ['./echo.shop.svc.cluster.local'] }],
        outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' },
      }),
    )
    expect(await callMiddle()).toBe(502)
    expect((await client().get('http://echo/')).status).toBe(200)
    expect((await client().lookup('middle')).addresses).toBeUndefined()
    expect(await callMiddle(mesh().pod('front'))).toBe(200)
    await mesh().remove('sidecar')
    expect(await callMiddle()).toBe(200)
    await eventually(async () => expect((await client().lookup('middle')).addresses).toEqual([MIDDLE]))
  })

  test('a listener on a socket of its own takes what is sent to it, and knows what it imports', async () => {
    const port = 7780
    await mesh().apply(
      'sidecar',
      documents(
        service('aside', '10.96.1.70', 'echo', { port, targetPort: PeerPort.http }),
        sidecar('client', {
          egress: [
            { port: { number: port, protocol: 'HTTP', name: 'aside' }, captureMode: 'NONE', hosts: ['./*'] },
            { hosts: ['./*'] },
          ],
        }),
      ),
    )
    const url = `http://127.0.0.1:${port}/x`
    const answer = await client().get(url, { host: 'aside' })
    expect([answer.status, answer.echo?.app, answer.echo?.path]).toEqual([200, 'echo', '/x'])
    expect(answer.echo?.headers['x-forwarded-client-cert']).toContain('sa/client')
    expect((await client().get(url, { host: 'middle' })).status).toBe(502)
    expect(await callMiddle()).toBe(200)
  })

  test('an HTTP proxy takes requests for any port of what it imports, the first to each included', async () => {
    const port = 7781
    await mesh().apply(
      'sidecar',
      sidecar('client', {
        egress: [
          {
            port: { number: port, protocol: 'HTTP_PROXY', name: 'proxy' },
            captureMode: 'NONE',
            hosts: ['./echo.shop.svc.cluster.local', './middle.shop.svc.cluster.local'],
          },
          { hosts: ['./front.shop.svc.cluster.local'] },
        ],
      }),
    )
    const byProxy = async (url: string) => {
      const { stdout } = await client().exec([
        'curl',
        '-s',
        '-m',
        '5',
        '-w',
        '\n%{http_code}',
        '-x',
        `http://127.0.0.1:${port}`,
        url,
      ])
      const lines = stdout.split('\n')
      return { status: Number(lines.at(-1)), body: lines.slice(0, -1).join('\n') }
    }
    const answer = await byProxy('http://echo/x')
    expect([answer.status, JSON.parse(answer.body).app]).toEqual([200, 'echo'])
    expect(JSON.parse((await byProxy('http://middle.shop.svc.cluster.local:80/')).body).app).toBe('middle')
    expect((await byProxy('http://echo:1/')).status).toBe(502)
    expect((await byProxy('http://front/')).status).toBe(502)
  })

  test('a Unix domain socket takes requests for what it imports, the first to each included', async () => {
    await mesh().apply(
      'sidecar',
      sidecar('client', {
        egress: [
          {
            port: { number: 0, protocol: 'HTTP', name: 'socket' },
            bind: 'unix://@seine-out',
            hosts: ['./echo.shop.svc.cluster.local'],
          },
          { hosts: ['./front.shop.svc.cluster.local'] },
        ],
      }),
    )
    const bySocket = async (url: string) => {
      const { stdout } = await client().exec([
        'curl',
        ...['-s', '-m', '5', '-w', '\n%{http_code}', '--abstract-unix-socket', 'seine-out'],
        url,
      ])
      return stdout
    }
    const answer = await bySocket('http://echo/x')
    expect(answer).toMatch(/\n200$/)
    expect(JSON.parse(answer.slice(0, answer.lastIndexOf('\n'))).app).toBe('echo')
    expect(await bySocket('http://front/')).toMatch(/502$/)
  })

  test('ingress: a port that the application does not have, led to one that it has', async () => {
    const door = service('door', '10.96.1.71', 'middle', { port: 80, targetPort: 9980 })
    await mesh().apply('door', door)
    expect((await client().get('http://10.96.1.71/', { host: 'door' })).status).toBe(503)
    await mesh().apply(
      'sidecar',
      sidecar('middle', {
        ingress: [
          {
            port: { number: 9980, protocol: 'HTTP', name: 'door' },
            defaultEndpoint: `127.0.0.1:${PeerPort.http}`,
          },
        ],
      }),
    )
    const answer = await client().get('http://10.96.1.71/x', { host: 'door' })
    expect([answer.status, answer.echo?.app, answer.echo?.remoteAddress]).toEqual([
      200,
      'middle',
      '127.0.0.1',
    ])
    expect(answer.echo?.headers['x-forwarded-client-cert']).toContain('sa/client')
    // A port that is not declared any more passes, as bytes.
    expect(await callMiddle()).toBe(200)
  })
})
