import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  describeMesh,
  documents,
  eventually,
  MachineWorkload,
  resource,
  serviceEntry,
} from '../harness/index.ts'

const HOST = 'machines.shop.example'
const URL = `http://${HOST}/`
/** Goes once its streams have been gone for ten seconds. */
const GONE = { timeoutMs: 20_000 }

/** A machine on the pods' network that is no pod, and of which no object says anything but its group. */
describeMesh('a workload outside of the platform', mesh => {
  let machine: MachineWorkload
  const client = () => mesh().pod('client')
  const entry = async () =>
    (await mesh().hub.workloads()).find(({ pod }) => pod === `machines-${machine.address}`)
  const statusOf = async (url: string) => (await client().get(url)).status

  beforeAll(async () => {
    await mesh().apply(
      'machines',
      documents(
        resource('networking.istio.io/v1', 'WorkloadGroup', 'shop', 'machines', {
          spec: {
            metadata: { labels: { app: 'machines', version: 'v7' } },
            template: { serviceAccount: 'machine', ports: { http: 8080 } },
            probe: {
              periodSeconds: 1,
              failureThreshold: 2,
              httpGet: { path: '/healthz', port: 8080 },
            },
          },
        }),
        serviceEntry('machines', {
          hosts: [HOST],
          location: 'MESH_INTERNAL',
          resolution: 'STATIC',
          ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
          workloadSelector: { labels: { app: 'machines' } },
        }),
      ),
    )
    machine = await MachineWorkload.make(mesh(), 'machines', 'shop', 'machine')
  }, 60_000)

  afterAll(async () => {
    await machine?.close()
  })

  test('registers by its group, and is called over mutual TLS', async () => {
    expect(await statusOf(URL)).toBe(503)
    machine.startAgent()
    await eventually(
      async () => {
        if ((await statusOf(URL)) !== 200) throw new Error(`not called yet:\n${await machine.log()}`)
      },
      { timeoutMs: 30_000 },
    )
    const { body } = await client().get(URL)
    expect(JSON.parse(body)['x-forwarded-client-cert']).toContain('spiffe://cluster.local/ns/shop/sa/client')
    const synced = { name: 'machines', ready: true, meshed: true, proxy: 'SYNCED' }
    await eventually(async () => expect(await entry()).toMatchObject(synced))
  })

  test('calls services of the mesh by their names', async () => {
    const called = await client().get(
      `${URL}call?url=${encodeURIComponent('http://echo.shop.svc.cluster.local/')}`,
    )
    expect(called.status).toBe(200)
    expect(called.echo?.headers['x-forwarded-client-cert']).toContain(
      'spiffe://cluster.local/ns/shop/sa/machine',
    )
  })

  test('calls what listens on a Unix domain socket beside it', async () => {
    await mesh().apply(
      'socket',
      serviceEntry('socket', {
        hosts: ['socket.shop.example'],
        resolution: 'STATIC',
        ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
        endpoints: [{ address: `unix://${machine.socket}` }],
      }),
    )
    const { status, body } = await client().get(
      `${URL}call?url=${encodeURIComponent('http://socket.shop.example/')}`,
    )
    expect([status, body]).toEqual([200, 'by the socket'])
  })

  test('gets no calls while its probe fails', async () => {
    machine.turnHealth()
    await eventually(async () => expect(await statusOf(URL)).toBe(503))
    expect(await entry()).toMatchObject({ ready: false })
    machine.turnHealth()
    await eventually(async () => expect(await statusOf(URL)).toBe(200))
    expect(await entry()).toMatchObject({ ready: true })
  })

  test('is taken out at once when it stops, and is gone a while later', async () => {
    await machine.stopAgent()
    expect(await entry()).toMatchObject({ ready: false })
    await eventually(async () => expect(await entry()).toBeUndefined(), GONE)
    machine.startAgent()
    await eventually(async () => expect(await statusOf(URL)).toBe(200), { timeoutMs: 30_000 })
  })
})
