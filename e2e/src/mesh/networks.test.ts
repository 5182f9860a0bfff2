import { afterEach, expect, test } from 'vitest'
import { stringify } from 'yaml'
import {
  authorizationPolicy,
  countBy,
  describeMesh,
  documents,
  eventually,
  resource,
  serviceEntry,
} from '../harness/index.ts'

const URL = 'http://echo.shop.svc.cluster.local/'
const PORT = 15443
const CLIENT = 'spiffe://cluster.local/ns/shop/sa/client'

/**
 * The pods of `echo` and the gateway are in the east, the others in the west. The client does not get through to the pods
 * of `echo`, as between networks with addresses of their own, by connections of before neither.
 */
describeMesh('two networks', mesh => {
  const client = () => mesh().pod('client')
  const edge = () => mesh().pod('edge')
  const resets = async (verb: '-I' | '-D') => {
    for (const { ip } of mesh().pods('echo')) {
      const reset = ['-d', ip, '-p', 'tcp', '-j', 'REJECT', '--reject-with', 'tcp-reset']
      const { code, stderr } = await client().exec(['iptables', '-w', '10', verb, 'OUTPUT', ...reset])
      if (code !== 0) throw new Error(stderr)
    }
  }

  const gateway = (hosts = ['*.local']) =>
    resource('networking.istio.io/v1', 'Gateway', 'edge', 'between', {
      spec: {
        selector: { app: 'edge' },
        servers: [
          {
            port: { number: PORT, name: 'tls', protocol: 'TLS' },
            hosts,
            tls: { mode: 'AUTO_PASSTHROUGH' },
          },
        ],
      },
    })
  const networks = () => {
    const east = [...mesh().pods('echo'), edge()].map(({ ip }) => ({ fromCidr: `${ip}/32` }))
    const settings = {
      networks: {
        east: { endpoints: east, gateways: [{ address: edge().ip, port: PORT }] },
        west: { endpoints: [{ fromRegistry: 'Kubernetes' }] },
      },
    }
    return resource('v1', 'ConfigMap', 'istio-system', 'seine', {
      data: { meshNetworks: stringify(settings) },
    })
  }
  const statuses = async (url = URL, count = 6) =>
    countBy(await client().http(url, { count }), ({ status, error }) => String(error ?? status))

  let isCut = false
  afterEach(async () => {
    if (isCut) await resets('-D')
    isCut = false
  })
  const cut = async () => {
    await resets('-I')
    isCut = true
  }

  test('are apart for a client that has no route, until there is a gateway; its identity arrives', async () => {
    await cut()
    await eventually(async () => expect(await statuses()).toEqual({ 503: 6 }))
    await mesh().apply('networks', documents(networks(), gateway()))
    await eventually(async () => expect(await statuses()).toEqual({ 200: 6 }))
    const answers = await client().http(URL, { count: 30 })
    for (const { echo } of answers)
      expect(echo?.headers['x-forwarded-client-cert']).toContain(`URI=${CLIENT}`)
    // Connections go by the same way; the first of them asks for their cluster.
    const [line] = await client().tcp('echo.shop.svc.cluster.local', 9000)
    expect(line?.body).toContain('echo')
    // Who has a route goes that way as well.
    expect((await mesh().pod('front').get(URL)).status).toBe(200)
    await mesh().apply('networks', gateway())
    await eventually(async () => expect(await statuses()).toEqual({ 503: 6 }))
  })

  test('policies hold by who calls, on the other side of the gateway', async () => {
    await cut()
    await mesh().apply('networks', documents(networks(), gateway()))
    await eventually(async () => expect(await statuses()).toEqual({ 200: 6 }))
    const allow = (account: string) =>
      authorizationPolicy('shop', 'echo', {
        selector: { matchLabels: { app: 'echo' } },
        rules: [{ from: [{ source: { principals: [`cluster.local/ns/shop/sa/${account}`] } }] }],
      })
    await mesh().apply('policy', allow('front'))
    await eventually(async () => expect(await statuses()).toEqual({ 403: 6 }))
    await mesh().apply('policy', allow('client'))
    await eventually(async () => expect(await statuses()).toEqual({ 200: 6 }))
  })

  test('a gateway passes on what its hosts cover, and a change of them at once', async () => {
    await cut()
    await mesh().apply('networks', documents(networks(), gateway(['other.shop.svc.cluster.local'])))
    await eventually(async () => expect(await statuses()).toEqual({ 503: 6 }))
    await mesh().apply('networks', documents(networks(), gateway(['shop/*.local'])))
    await eventually(async () => expect(await statuses()).toEqual({ 200: 6 }))
  })

  test('a machine is called of which no address is known', async () => {
    const entry = (name: string, spec: Record<string, unknown>) =>
      resource('networking.istio.io/v1', 'WorkloadEntry', 'shop', name, {
        spec: { network: 'east', serviceAccount: 'echo', labels: { app: 'ledger' }, ...spec },
      })
    await mesh().apply(
      'networks',
      documents(
        networks(),
        gateway(['*.example']),
        serviceEntry('ledger', {
          hosts: ['ledger.example'],
          addresses: ['10.96.77.77'],
          location: 'MESH_INTERNAL',
          resolution: 'STATIC',
          ports: [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: 8080 }],
          workloadSelector: { labels: { app: 'ledger' } },
        }),
        entry('unknown', {}),
        entry('known-to-its-gateway', { address: mesh().pod('echo-v2').ip }),
      ),
    )
    await cut()
    await eventually(async () => expect(await statuses('http://ledger.example/')).toEqual({ 200: 6 }))
    expect((await client().get('http://ledger.example/')).echo?.version).toBe('v2')
  })
})
