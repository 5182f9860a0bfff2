import { expect, type TestContext, test } from 'vitest'
import {
  countBy,
  describeMesh,
  documents,
  eventually,
  PeerPort,
  type Pod,
  peerAuthentication,
  resource,
  serviceEntry,
} from '../harness/index.ts'

const PORTS = [
  { name: 'http', port: 80, targetPort: PeerPort.http },
  { name: 'tcp', port: PeerPort.tcp, targetPort: PeerPort.tcp },
]
const SERVER = 'dual-server-v1'

describeMesh('pods with addresses of both families', mesh => {
  const client = () => mesh().pod('dual-v1')
  const server = () => mesh().pod(SERVER)
  const service = (name: string, spec: Record<string, unknown>) =>
    resource('v1', 'Service', 'shop', name, {
      spec: { selector: { app: 'dual-server' }, ports: PORTS, ...spec },
    })
  const strict = () => peerAuthentication('shop', 'default', { mtls: { mode: 'STRICT' } })
  const answers = async (pod: Pod, host: string, count = 4) => {
    const all = await pod.http(`http://${host}/`, { count })
    return countBy(all, ({ status, echo, error }) => error ?? `${status} by ${echo?.app}`)
  }

  test('a service of IPv6 alone: names, capture, mutual TLS and the application are IPv6', async context => {
    await skipWithoutIpv6(context, client())
    const six = service('six', { clusterIP: 'fd00:96::60', ipFamilies: ['IPv6'] })
    await mesh().apply('families', documents(strict(), six))
    await eventually(async () => expect((await client().lookup('six')).addresses).toEqual(['fd00:96::60']))
    for (const host of ['six', '[fd00:96::60]']) {
      const { status, echo } = await client().get(`http://${host}/`)
      expect([status, echo?.app, echo?.remoteAddress]).toEqual([200, 'dual-server', '::6'])
      expect(echo?.headers['x-forwarded-client-cert']).toContain('sa/dual')
    }
    const lines = await client().tcp('six', PeerPort.tcp, { count: 4 })
    expect(countBy(lines, ({ body, error }) => error ?? body.split('/')[0] ?? '')).toEqual({ [SERVER]: 4 })
  })

  test('a service of both answers by both; what can not be reached by IPv4 is reached by IPv6', async context => {
    await skipWithoutIpv6(context, client())
    const ips = ['10.96.1.70', 'fd00:96::70']
    await mesh().apply('families', documents(strict(), service('both', { clusterIPs: ips })))
    await eventually(async () => {
      const { addresses = [] } = await client().lookup('both')
      expect([...addresses].sort()).toEqual(ips)
    })
    for (const host of ['both', '10.96.1.70', '[fd00:96::70]'])
      expect([host, await answers(client(), host)]).toEqual([host, { '200 by dual-server': 4 }])
    const route = ['ip', 'route', 'add', 'blackhole', `${server().ip}/32`]
    expect((await client().exec(route)).code).toBe(0)
    try {
      const lines = await client().tcp('both', PeerPort.tcp, { count: 4 })
      expect(countBy(lines, ({ body, error }) => error ?? body.split('/')[0] ?? '')).toEqual({ [SERVER]: 4 })
    } finally {
      await client().exec(['ip', 'route', 'del', 'blackhole', `${server().ip}/32`])
    }
  })

  test('pods are called by their own addresses, on ports that no service has; one family is enough for a client', async context => {
    await skipWithoutIpv6(context, client())
    const own = await ipv6Of(server())
    const { status, echo } = await client().get(`http://[${own}]:${PeerPort.detected}/`)
    expect([status, echo?.app, echo?.remoteAddress]).toEqual([200, 'dual-server', '::6'])
    await mesh().apply('families', service('both', { clusterIPs: ['10.96.1.70', 'fd00:96::70'] }))
    const single = mesh().pod('client')
    await eventually(async () => expect((await single.lookup('both')).addresses).toEqual(['10.96.1.70']))
    expect(await answers(single, 'both')).toEqual({ '200 by dual-server': 4 })
  })

  test('a host without addresses has virtual ones of both families', async context => {
    await skipWithoutIpv6(context, client())
    const entry = serviceEntry('entry', {
      hosts: ['entry.example.com'],
      resolution: 'STATIC',
      ports: [{ number: PeerPort.tcp, name: 'tcp', protocol: 'TCP' }],
      endpoints: [{ address: await ipv6Of(server()) }],
    })
    await mesh().apply('families', entry)
    await eventually(async () => {
      const { addresses = [] } = await client().lookup('entry.example.com')
      expect([...addresses].sort()).toEqual([
        expect.stringMatching(/^2001:2::f0f0:/),
        expect.stringMatching(/^240\.240\./),
      ])
      for (const address of addresses)
        expect((await client().tcp(address, PeerPort.tcp))[0]?.body).toContain(SERVER)
    })
  })
})

/** The address of IPv6 that a pod has beside loopback and link-local ones; undefined where it has none. */
async function ipv6Of(pod: Pod): Promise<string | undefined> {
  const { stdout } = await pod.exec(['ip', '-6', '-o', 'addr', 'show', 'dev', 'eth0', 'scope', 'global'])
  return /inet6 ([\da-f:]+)\//.exec(stdout)?.[1]
}

async function skipWithoutIpv6({ skip }: TestContext, pod: Pod): Promise<void> {
  skip((await ipv6Of(pod)) === undefined, 'the kernel gives namespaces of their own no IPv6')
}
