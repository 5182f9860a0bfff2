import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { eventually, type Mesh, type Pod, sumOf } from '../../harness/index.ts'
import { resource, to, virtualService } from '../../harness/resources.ts'
import { controlPlaneLog, sidecarLog } from '../logs.ts'
import { isAlive, isEnvoy, processesOf, processIn } from '../processes.ts'
import { SteadyLoad } from '../steady-load.ts'
import { DemoFolder, type OwnDemo } from './own-demo.ts'

const WAIT = { timeoutMs: 45_000 }
const COMPONENTS = ['citadel', 'hub', 'mixer', 'pilot']
const MUTUAL = { reporter: 'destination', connection_security_policy: 'mutual_tls' }

describe.skipIf(!inject('canRunDemo'))('citadel, pilot, mixer and hub as four processes', () => {
  let folder: DemoFolder
  let demo: OwnDemo
  let mesh: Mesh
  let client: Pod
  let server: Pod

  beforeAll(async () => {
    folder = await DemoFolder.make()
    demo = folder.start('--apart', '--workload-cert-ttl', '15s')
    mesh = await demo.mesh()
    client = mesh.pod('client')
    server = mesh.pod('middle')
  })
  afterAll(async () => {
    expect(await demo?.stop('SIGINT')).toBe('exit 0')
    await folder?.remove()
  })

  /** The components' processes, by name. */
  async function components(): Promise<Map<string, number>> {
    const found = await processesOf(
      command => command[0]?.endsWith('/node') === true && command[1]?.endsWith('/seined.js') === true,
    )
    const own = found.filter(({ parent }) => parent === demo.pid)
    return new Map(own.map(({ pid, command }) => [command[2] ?? '', pid]))
  }

  /** The serial number of the certificate that the pod's Envoy uses. */
  async function serialOf(pod: Pod): Promise<string> {
    const { certificates } = JSON.parse(await pod.admin('/certs')) as {
      certificates: { cert_chain: { serial_number: string }[] }[]
    }
    return certificates.map(({ cert_chain: [leaf] }) => leaf?.serial_number).find(Boolean) ?? ''
  }

  test('calls are by mutual TLS, as the server measures it', async () => {
    expect([...(await components()).keys()].sort()).toEqual(COMPONENTS)
    expect((await client.get('http://middle/')).status).toBe(200)
    await eventually(async () => {
      const labels = { ...MUTUAL, source_principal: 'spiffe://cluster.local/ns/shop/sa/client' }
      expect(sumOf(await server.metrics(), 'istio_requests_total', labels)).toBeGreaterThan(0)
    })
  })

  test('spans go from sidecars by mixer to the hub', async () => {
    const traceId = '0af7651916cd43dd8448eb211c80319c'
    await client.get('http://middle/', { traceparent: `00-${traceId}-b7ad6b7169203331-01` })
    await eventually(async () => {
      const services = (await mesh.hub.spans(traceId)).map(({ service }) => service)
      expect(services).toContain('middle.shop')
    }, WAIT)
  })

  test('configuration and its mistakes go by pilot to the hub', async () => {
    await mesh.apply(
      'route',
      virtualService('middle', [
        { fault: { abort: { httpStatus: 418, percentage: { value: 100 } } }, route: [to('middle')] },
      ]),
    )
    expect((await client.get('http://middle/')).status).toBe(418)
    await mesh.apply('route', virtualService('middle', [{ route: [to('nowhere')] }]), { broken: true })
    expect(await mesh.problemsOf('route')).toEqual([expect.objectContaining({ code: 'IST0101' })])
    expect((await client.get('http://middle/')).status).toBe(418)
    await mesh.remove('route')
    expect((await client.get('http://middle/')).status).toBe(200)
  })

  test('certificates are renewed before they end, and no request fails; also by a citadel that was away', async () => {
    // Each request by a connection of its own: with the certificates of that moment.
    await mesh.apply(
      'connections',
      resource('networking.istio.io/v1', 'DestinationRule', 'shop', 'middle', {
        spec: {
          host: 'middle',
          trafficPolicy: { connectionPool: { http: { maxRequestsPerConnection: 1 } } },
        },
      }),
    )
    const load = new SteadyLoad('http', () => client.http('http://middle/', { count: 20 }))
    const serials = new Map([client, server].map(pod => [pod, new Set<string>()]))
    const renewed = async (times: number) =>
      eventually(async () => {
        for (const [pod, seen] of serials) seen.add(await serialOf(pod))
        for (const seen of serials.values()) expect(seen.size).toBeGreaterThan(times)
      }, WAIT)
    await renewed(2)
    const { total, failures } = await load.stop()
    console.log(`${total} requests over ${[...serials.values()].map(({ size }) => size)} certificates`)
    expect(failures).toEqual([])
    // A citadel that was away goes on where it was: with the same root.
    const citadel = (await components()).get('citadel')
    if (citadel === undefined) throw new Error('citadel does not run')
    process.kill(citadel, 'SIGKILL')
    await renewed(3)
    expect((await components()).get('citadel')).not.toBe(citadel)
    await eventually(async () => expect((await client.get('http://middle/')).status).toBe(200))
    const issued = (await controlPlaneLog(mesh, 'citadel')).filter(({ msg }) => msg === 'certificate issued')
    const used = [...serials.values()].flatMap(seen => [...seen])
    const known = issued.map(({ serial }) => String(serial).replace(/^0+/, ''))
    for (const serial of used) expect(known).toContain(serial.replace(/^0+/, ''))
  })

  test('an Envoy that crashes is started again and serves; log and hub show the crash; nobody else notices', async () => {
    const others = new SteadyLoad('front', () => client.http('http://front/', { count: 20 }))
    const envoy = await processIn(server.netns, isEnvoy)
    const since = Date.now()
    process.kill(envoy, 'SIGKILL')
    await eventually(async () => expect(await isAlive(envoy)).toBe(false))
    await eventually(async () => {
      const answer = await client.get('http://middle/')
      expect([answer.status, answer.echo?.pod]).toEqual([200, server.name])
    }, WAIT)
    expect(await processIn(server.netns, isEnvoy)).not.toBe(envoy)
    expect((await others.stop()).failures).toEqual([])
    const msg = 'envoy ended unexpectedly: starting it again'
    expect(await sidecarLog(mesh, server)).toContainEqual(
      expect.objectContaining({ level: 50, signal: 'SIGKILL', msg }),
    )
    await eventually(async () => {
      const crashed = { code: 'envoy-crashed', kind: 'Pod', namespace: 'shop', name: server.name }
      expect(await mesh.hub.problems()).toContainEqual(expect.objectContaining(crashed))
      const proxy = (await mesh.hub.proxies()).find(({ pod }) => pod === server.name)
      expect(proxy?.connectedAt).toBeGreaterThan(since)
    }, WAIT)
    // The answer came through the new Envoy, which counts from zero: mutual TLS, as it measures itself.
    await eventually(async () =>
      expect(await server.metric('istio_requests_total', MUTUAL)).toBeGreaterThan(0),
    )
    await eventually(() => mesh.settled(), WAIT)
  })
})
