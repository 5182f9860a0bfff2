import { readFile, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { Client, type ClientDuplexStream, credentials, Metadata, type ServiceError } from '@grpc/grpc-js'
import { TypeUrl } from '@seine/envoy'
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
} from '@seine/envoy/envoy/service/discovery/v3/discovery'
import { MeshModel } from '@seine/model'
import { HEALTH_TYPE } from '@seine/pilot-discovery'
import { eventually, freePorts } from '@seine/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SEINED_PORTS, seinedPorts, seinedWith, TestPlace } from '../test/control-plane.ts'
import { remoteInputs, remotePilot } from './hub-inputs.ts'
import { PROBE_TYPE } from './registrations.ts'
import type { Seined } from './seined.ts'
import type { SeinedPorts } from './settings.ts'

const METHOD = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources'
const NODE = 'sidecar~10.0.0.7~web-1.default~default.svc.cluster.local'
const SERVICE = `apiVersion: v1
kind: Service
metadata:
  name: reviews
  namespace: default
spec:
  clusterIP: 10.96.0.9
  ports:
    - name: http
      port: 80
`

let place: TestPlace
let ports: SeinedPorts
let running: Seined[]
let closers: (() => void)[]

beforeEach(async () => {
  place = await TestPlace.create()
  ports = seinedPorts(await freePorts(SEINED_PORTS))
  running = []
  closers = []
  await writeFile(join(place.config, 'reviews.yaml'), SERVICE)
})

afterEach(async () => {
  for (const close of closers) close()
  for (const seined of running.reverse()) await seined.close()
  await place.remove()
})

async function start(changes: Parameters<TestPlace['settings']>[1] = {}, at = ports): Promise<Seined> {
  const seined = seinedWith(place.settings(at, changes))
  running.push(seined)
  await seined.start()
  return seined
}

async function get(path: string, port = ports.http, method = 'GET'): Promise<[number, string]> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers: { connection: 'close' } })
  return [answer.status, await answer.text()]
}

/** A sidecar that asks for its clusters and acknowledges them. */
function sidecar(target: string, as = credentials.createInsecure(), token?: string) {
  const same = (value: Buffer) => value
  const client = new Client(target, as, { 'grpc.ssl_target_name_override': 'seined.seine-system.svc' })
  closers.push(() => client.close())
  const metadata = new Metadata()
  if (token) metadata.set('authorization', `Bearer ${token}`)
  const stream: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(
    METHOD,
    same,
    same,
    metadata,
  )
  const clusters = new Set<string>()
  const send = (init: Parameters<typeof create<typeof DeltaDiscoveryRequestSchema>>[1]) =>
    stream.write(
      Buffer.from(toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, init))),
    )
  stream.on('data', (message: Buffer) => {
    const { nonce, resources } = fromBinary(DeltaDiscoveryResponseSchema, message)
    for (const { name } of resources) clusters.add(name)
    send({ typeUrl: TypeUrl.cluster, responseNonce: nonce })
  })
  const ended = new Promise<ServiceError>(resolve => stream.on('error', resolve))
  send({ typeUrl: TypeUrl.cluster, node: { id: NODE, metadata: { SERVICE_ACCOUNT: 'web' } } })
  return { clusters, ended }
}

/** A group by which machines register, and a service of them. */
const group = (probe: string) => `apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: vms, namespace: default}
spec:
  metadata: {labels: {app: web}}
  template: {serviceAccount: web}${probe}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: web, namespace: default}
spec:
  hosts: [web.example]
  resolution: STATIC
  location: MESH_INTERNAL
  ports: [{number: 80, name: http, protocol: HTTP}]
  workloadSelector: {labels: {app: web}}
`

/** An agent's own stream, of a machine that registers by the group `vms`. */
class AgentOfMachine {
  /** The probes that it was told, undefined where one went. */
  readonly probes: (string | undefined)[] = []
  readonly ended: Promise<ServiceError>
  readonly #client: Client
  readonly #stream: ClientDuplexStream<Buffer, Buffer>

  constructor(
    target: string,
    as: ReturnType<typeof credentials.createSsl>,
    token: Metadata,
    account = 'web',
  ) {
    const same = (value: Buffer) => value
    this.#client = new Client(target, as, { 'grpc.ssl_target_name_override': 'seined.seine-system.svc' })
    this.#stream = this.#client.makeBidiStreamRequest(METHOD, same, same, token)
    this.ended = new Promise(resolve => this.#stream.on('error', resolve))
    this.#stream.on('data', (message: Buffer) => {
      const { typeUrl, nonce, resources, removedResources } = fromBinary(
        DeltaDiscoveryResponseSchema,
        message,
      )
      for (const { resource } of resources) this.probes.push(new TextDecoder().decode(resource?.value))
      if (removedResources.length > 0) this.probes.push(undefined)
      this.send({ typeUrl, responseNonce: nonce })
    })
    const id = 'sidecar~10.0.0.8~vms-10.0.0.8.default~default.svc.cluster.local'
    this.send({
      typeUrl: PROBE_TYPE,
      resourceNamesSubscribe: ['*'],
      node: { id, metadata: { SERVICE_ACCOUNT: account, AUTO_REGISTER_GROUP: 'vms', WORKLOAD_NAME: 'vms' } },
    })
  }

  send(init: Parameters<typeof create<typeof DeltaDiscoveryRequestSchema>>[1]): void {
    this.#stream.write(
      Buffer.from(toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, init))),
    )
  }

  close(): void {
    this.#client.close()
  }
}

const REVIEWS = 'outbound|80||reviews.default.svc.cluster.local'

describe('the control plane', () => {
  it('serves configuration in plaintext on loopback, and tells over HTTP what proxies have', async () => {
    await start()
    const { clusters } = sidecar(`127.0.0.1:${ports.xdsPlaintext}`)
    await eventually(() => expect(clusters).toContain(REVIEWS), { everyMs: 10 })
    expect(await get('/readyz')).toEqual([200, 'ready'])
    await eventually(
      async () => {
        const [, text] = await get('/debug/syncz')
        expect(JSON.parse(text)).toMatchObject([
          { id: NODE, protocol: 'delta', types: { CDS: { state: 'SYNCED' } } },
        ])
      },
      { everyMs: 10 },
    )
    const [status, config] = await get(`/debug/config?proxyID=${encodeURIComponent(NODE)}`)
    expect(status).toBe(200)
    expect(JSON.parse(config).clusters.map(({ name }: { name: string }) => name)).toContain(REVIEWS)
    expect((await get('/metrics'))[1]).toContain('pilot_xds_pushes{type="cds"}')
  })

  it('serves what changes in the folder, and tells what is wrong with it', async () => {
    await start()
    const { clusters } = sidecar(`127.0.0.1:${ports.xdsPlaintext}`)
    await eventually(() => expect(clusters).toContain(REVIEWS), { everyMs: 10 })
    await writeFile(
      join(place.config, 'ratings.yaml'),
      SERVICE.replaceAll('reviews', 'ratings').replace('.9', '.8'),
    )
    await writeFile(join(place.config, 'bad.yaml'), 'kind: [')
    await eventually(() => expect(clusters).toContain('outbound|80||ratings.default.svc.cluster.local'), {
      everyMs: 10,
    })
    await eventually(
      async () => {
        const [, problems] = await get('/debug/problems')
        expect(JSON.parse(problems)).toMatchObject([{ severity: 'error', code: 'yaml-syntax' }])
      },
      { everyMs: 10 },
    )
  })

  it('lets a workload in over TLS by its token, as the one whose token it is', async () => {
    await start()
    const root = await readFile(join(place.folder, 'state', 'citadel', 'root-cert.pem'))
    const tls = `127.0.0.1:${ports.tls}`
    const good = sidecar(tls, credentials.createSsl(root), place.token('default:web'))
    await eventually(() => expect(good.clusters).toContain(REVIEWS), { everyMs: 10 })
    const other = sidecar(tls, credentials.createSsl(root), place.token('default:ratings'))
    expect((await other.ended).details).toBe(
      'the proxy says it is ns/default/sa/web, but its token is for spiffe://cluster.local/ns/default/sa/ratings',
    )
    const nobody = sidecar(tls, credentials.createSsl(root))
    expect((await nobody.ended).details).toContain('a token is needed')
  })

  it('takes in a workload that registers by a group, and its health', async () => {
    await writeFile(join(place.config, 'vms.yaml'), group('\n  probe: {tcpSocket: {port: 8080}}'))
    await start()
    const root = await readFile(join(place.folder, 'state', 'citadel', 'root-cert.pem'))
    const metadata = new Metadata()
    metadata.set('authorization', `Bearer ${place.token('default:web')}`)
    const agent = new AgentOfMachine(`127.0.0.1:${ports.tls}`, credentials.createSsl(root), metadata)
    closers.push(() => agent.close())
    const workload = async () => {
      const [, text] = await get('/api/v1/workloads', ports.hub)
      const all = JSON.parse(text) as { pod: string; name: string; ready: boolean; proxy: string }[]
      return all.find(({ pod }) => pod === 'vms-10.0.0.8')
    }
    await eventually(async () => expect(await workload()).toMatchObject({ name: 'vms', ready: false }))
    await eventually(() => expect(agent.probes).toEqual(['{"tcpSocket":{"port":8080}}']))
    agent.send({ typeUrl: HEALTH_TYPE })
    await eventually(async () => expect(await workload()).toMatchObject({ ready: true }))
    expect(JSON.parse((await get('/api/v1/registered', ports.hub))[1])).toMatchObject([
      {
        kind: 'WorkloadEntry',
        metadata: { name: 'vms-10.0.0.8' },
        spec: { address: '10.0.0.8', serviceAccount: 'web' },
        status: { conditions: [{ type: 'Healthy', status: 'True' }] },
      },
    ])
    agent.send({ typeUrl: HEALTH_TYPE, errorDetail: { code: 500, message: 'no answer' } })
    await eventually(async () => expect(await workload()).toMatchObject({ ready: false }))
    await writeFile(join(place.config, 'vms.yaml'), group(''))
    await eventually(() => expect(agent.probes).toEqual(['{"tcpSocket":{"port":8080}}', undefined]))
    await eventually(async () => expect(await workload()).toMatchObject({ ready: true }))
    const other = new Metadata()
    other.set('authorization', `Bearer ${place.token('default:other')}`)
    const stranger = new AgentOfMachine(`127.0.0.1:${ports.tls}`, credentials.createSsl(root), other, 'other')
    closers.push(() => stranger.close())
    expect((await stranger.ended).details).toContain('is for workloads of the service account web')
  })

  it('knows the workloads that have registered when it starts anew, before they are back; a hub apart sees them', async () => {
    await writeFile(join(place.config, 'vms.yaml'), group(''))
    const first = await start()
    const root = await readFile(join(place.folder, 'state', 'citadel', 'root-cert.pem'))
    const metadata = new Metadata()
    metadata.set('authorization', `Bearer ${place.token('default:web')}`)
    const agent = new AgentOfMachine(`127.0.0.1:${ports.tls}`, credentials.createSsl(root), metadata)
    const entries = async (port: number) => {
      const all = JSON.parse((await get('/api/v1/registered', port))[1]) as { spec: { address: string } }[]
      return all.map(({ spec }) => spec.address)
    }
    await eventually(async () => expect(await entries(ports.hub)).toEqual(['10.0.0.8']))
    agent.close()
    await first.close()
    running.pop()
    await start()
    expect(await entries(ports.hub)).toEqual(['10.0.0.8'])
    const apart = seinedPorts(await freePorts(SEINED_PORTS))
    await start({ components: ['hub'], pilotUrl: `http://127.0.0.1:${ports.http}` }, apart)
    expect(await entries(apart.hub)).toEqual(['10.0.0.8'])
  })

  it('analyses what it has at all times, and tells what it found', async () => {
    await start()
    const rule = 'route: [{destination: {host: reviews}}]'
    const route = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http: [{${rule}}, {timeout: 1s, ${rule}}]
`
    const codes = async () =>
      (JSON.parse((await get('/api/v1/problems', ports.hub))[1]) as { code: string; path: string }[]).map(
        ({ code, path }) => `${code} ${path}`,
      )
    await writeFile(join(place.config, 'route.yaml'), route)
    await eventually(async () => expect(await codes()).toContain('IST0130 spec.http[1]'), { everyMs: 20 })
    await writeFile(join(place.config, 'route.yaml'), route.replace(`, {timeout: 1s, ${rule}}`, ''))
    await eventually(async () => expect(await codes()).not.toContain('IST0130 spec.http[1]'), {
      everyMs: 20,
    })
  })

  it('survives HTTP requests that make no sense', async () => {
    await start()
    expect(await get('//')).toEqual([404, 'not found'])
    expect(await get('/debug/config')).toEqual([404, 'no such proxy is connected'])
    expect(await get('/metrics', ports.http, 'POST')).toEqual([405, 'only GET'])
    expect((await get('/readyz'))[0]).toBe(200)
  })

  it('leaves no port open once it is closed', async () => {
    const seined = await start()
    await seined.close()
    running = []
    const servers = await Promise.all(Object.values(ports).map(port => listen(port)))
    for (const server of servers) server.close()
  })

  it.each<[keyof SeinedPorts, string]>([
    ['http', "can't listen on 127.0.0.1:%d (metrics and readiness): another program uses that port"],
    [
      'tls',
      "can't listen on 127.0.0.1:%d (certificates and configuration over TLS): another program uses that port",
    ],
    ['xdsPlaintext', "can't listen on 127.0.0.1:%d (ADS in plaintext): another program uses that port"],
    ['hub', "can't listen on 127.0.0.1:%d (the dashboard and its API): another program uses that port"],
    ['otlp', "can't listen on 127.0.0.1:%d (spans over OTLP): another program uses that port"],
  ])('says which port is taken and what to do: %s', async (name, message) => {
    const other = await listen(ports[name])
    try {
      await expect(start()).rejects.toThrow(message.replace('%d', String(ports[name])))
    } finally {
      other.close()
    }
  })

  it('says so when it does not have the address that it is to listen on', async () => {
    await expect(start({ bind: '192.0.2.1' })).rejects.toThrow(
      `can't listen on 192.0.2.1:${ports.tls} (certificates and configuration over TLS): this machine does not have that address; give one it has with --bind`,
    )
  })
})

describe('components apart', () => {
  it('find each other over the network: pilot its certificate, the hub what pilot knows', async () => {
    const citadelPorts = seinedPorts(await freePorts(SEINED_PORTS))
    await start({ components: ['citadel'] }, citadelPorts)
    const state = join(place.folder, 'state', 'citadel')
    await writeFile(join(place.folder, 'token'), place.token('seine-system:seined'))
    await start({
      components: ['pilot'],
      citadel: {
        address: `127.0.0.1:${citadelPorts.tls}`,
        rootCertFile: join(state, 'root-cert.pem'),
        tokenFile: join(place.folder, 'token'),
        issuersFile: place.issuers,
      },
    })
    const root = await readFile(join(state, 'root-cert.pem'))
    const token = place.token('default:web')
    const { clusters } = sidecar(`127.0.0.1:${ports.tls}`, credentials.createSsl(root), token)
    await eventually(() => expect(clusters).toContain(REVIEWS), { everyMs: 10 })

    const pilotUrl = `http://127.0.0.1:${ports.http}`
    const inputs = remoteInputs(new MeshModel(), remotePilot(pilotUrl), place.settings(ports))
    expect((await inputs.proxies()).map(({ id }) => id)).toEqual([NODE])
    expect(await inputs.problems()).toEqual([])
    const config = await inputs.proxyConfig(NODE)
    expect(config?.clusters.map(({ name }) => name)).toContain(REVIEWS)
    expect(await inputs.proxyConfig('sidecar~10.0.0.8~none.default~x')).toBeUndefined()
  })

  it.each([
    ['root-cert', { rootCertFile: '/nowhere/root' }, "can't read the file that --root-cert names: ENOENT"],
    ['token-file', { tokenFile: '/nowhere/token' }, "can't read the file that --token-file names: ENOENT"],
  ])('say which file can not be read: %s', async (_name, changes, message) => {
    await writeFile(join(place.folder, 'file'), 'x')
    const file = join(place.folder, 'file')
    const citadel = {
      address: '127.0.0.1:1',
      rootCertFile: file,
      tokenFile: file,
      issuersFile: place.issuers,
      ...changes,
    }
    await expect(start({ components: ['pilot'], citadel })).rejects.toThrow(message)
  })

  it('say who does not answer, or what is not there', async () => {
    const away = remoteInputs(new MeshModel(), remotePilot('http://127.0.0.1:1'), place.settings(ports))
    await expect(away.proxies()).rejects.toThrow(/^pilot does not answer at http:\/\/127\.0\.0\.1:1: /)
    // The HTTP port of a process in which pilot does not run.
    await start({ components: ['mixer'] })
    const other = remoteInputs(
      new MeshModel(),
      remotePilot(`http://127.0.0.1:${ports.http}`),
      place.settings(ports),
    )
    await expect(other.proxies()).rejects.toThrow('answered 404 for /debug/syncz: pilot runs elsewhere')
    await expect(other.problems()).rejects.toThrow('answered 404 for /debug/problems: pilot runs elsewhere')
  })
})

/** Listens as another program would. */
function listen(port: number): Promise<Server> {
  const server = createServer()
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => resolve(server))
  })
}
