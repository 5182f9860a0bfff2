import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, request, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ensureEnvoy } from '@seine/envoy-binary'
import { errorMessage, formatProblem } from '@seine/kit'
import { ControlPlane } from './xds/control-plane.ts'
import { MeshFolder, ROUTED_SERVICES } from './xds/mesh-folder.ts'

/** Services that the workload calls, whatever the mesh holds. */
const CALLED = 5
/** Where the services that are called answer: a loopback address whose ports nobody else has. */
const UPSTREAM = '127.77.0.1'
/** Envoy's figures are read when they have been the same so many times in a row, this far apart. */
const STEADY_READINGS = 5
const READING_MS = 200
const PATIENCE_MS = 60_000

/** No agent runs here that would bring certificates. */
const PLAINTEXT = `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: istio-system }
spec: { mtls: { mode: DISABLE } }
`

/** What one Envoy costs in a mesh of a size. */
interface Footprint {
  readonly services: number
  /** From Envoy's start until it takes traffic, ms. */
  readonly readyMs: number
  /** The slowest first request to a service, which brings its routes, clusters and endpoints along, ms. */
  readonly firstRequestMs: number
  readonly residentMb: number
  readonly allocatedMb: number
  readonly clusters: number
  /** Bytes of its configuration dump. */
  readonly configKb: number
}

const { values } = parseArgs({
  options: {
    services: { type: 'string', default: '100,1000,5000' },
    starts: { type: 'string', default: '9' },
    /** What the services that are not called name their ports: `tcp`, or nothing for a protocol that is found out. */
    others: { type: 'string', default: 'http' },
    json: { type: 'string' },
  },
})
const upstream = await listen()
const meshes: Mesh[] = []
try {
  for (const services of values.services.split(',')) meshes.push(await startMesh(Number(services)))
  const measured = new Map(meshes.map(mesh => [mesh, [] as Footprint[]]))
  // In turns, so that whatever else the machine does disturbs all sizes alike.
  for (let start = 0; start < Number(values.starts); start++)
    for (const [mesh, footprints] of measured) footprints.push(await measure(mesh, `caller-${start}`))
  const medians = [...measured.values()].map(median)
  console.table(medians)
  const json = `${JSON.stringify(medians, null, 2)}\n`
  if (values.json) await writeFile(values.json, json)
  else console.log(json)
} finally {
  for (const mesh of meshes) await mesh.close()
  await new Promise(resolve => upstream.close(resolve))
}

/** A mesh of a size, with a control plane. */
interface Mesh {
  readonly services: number
  readonly folder: string
  readonly controlPlane: string
  /** Names of the services that are called. */
  readonly called: readonly string[]
  close(): Promise<void>
}

async function startMesh(services: number): Promise<Mesh> {
  const folder = await mkdtemp(join(tmpdir(), 'seine-footprint-'))
  const indexes = Array.from(
    { length: CALLED },
    (_, at) => ROUTED_SERVICES + Math.floor(((services - ROUTED_SERVICES) * (at + 0.5)) / CALLED),
  )
  const portName = (index: number) =>
    index < ROUTED_SERVICES || indexes.includes(index) ? 'http' : values.others
  const mesh = new MeshFolder(join(folder, 'mesh'), { services, namespaces: 1, pods: false, portName })
  await mesh.seed()
  await writeFile(join(mesh.path, 'plaintext.yaml'), PLAINTEXT)
  // The services that are called have an endpoint that answers, and no routes that lead elsewhere.
  const called = indexes.map(index => mesh.service(index))
  for (const service of called) await mesh.setEndpoints({ ...service, addresses: [UPSTREAM, UPSTREAM] })
  const controlPlane = await ControlPlane.start(mesh.path, join(folder, 'state'), undefined)
  return {
    services,
    folder,
    controlPlane: controlPlane.address,
    called: called.map(({ name, namespace }) => `${name}.${namespace}`),
    close: async () => {
      await controlPlane.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Starts an Envoy of the first workload of a namespace, and has it called through. */
async function measure(mesh: Mesh, namespace: string): Promise<Footprint> {
  return await withEnvoy(mesh, namespace, async (envoy, startedAt) => {
    const readyMs = (await envoy.ready()) - startedAt
    const times: number[] = []
    for (const host of mesh.called) times.push(await envoy.call(host))
    const { residentMb, allocatedMb } = await envoy.memory()
    const dump = await envoy.get('/config_dump?include_eds')
    const clusters = Number(/cluster_manager\.active_clusters: (\d+)/.exec(await envoy.get('/stats'))?.[1])
    return {
      services: mesh.services,
      readyMs,
      firstRequestMs: Math.max(...times),
      residentMb,
      allocatedMb,
      clusters,
      configKb: dump.length / 1024,
    }
  })
}

/** The median of each figure. */
function median(footprints: readonly Footprint[]): Footprint {
  const of = (figure: keyof Footprint) => {
    const sorted = footprints.map(one => one[figure]).sort((a, b) => a - b)
    return Math.round((sorted[Math.floor(sorted.length / 2)] ?? Number.NaN) * 10) / 10
  }
  return {
    services: of('services'),
    readyMs: of('readyMs'),
    firstRequestMs: of('firstRequestMs'),
    residentMb: of('residentMb'),
    allocatedMb: of('allocatedMb'),
    clusters: of('clusters'),
    configKb: of('configKb'),
  }
}

/** The application's answer, at the port that the mesh's services have. */
async function listen(): Promise<Server> {
  const server = createServer((_request, response) => response.end('ok'))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(8080, UPSTREAM, resolve)
  })
  return server
}

interface Envoy {
  get(path: string): Promise<string>
  /** Resolves when it takes traffic, with the time, ms. */
  ready(): Promise<number>
  /** Sends a request to a host through the outbound route table. @returns how long it took, ms. */
  call(host: string): Promise<number>
  /** Its memory once it does not change any more. */
  memory(): Promise<{ residentMb: number; allocatedMb: number }>
}

async function withEnvoy<T>(
  { folder, controlPlane }: Mesh,
  namespace: string,
  use: (envoy: Envoy, startedAt: number) => Promise<T>,
): Promise<T> {
  const found = await ensureEnvoy(() => undefined)
  if (!found.ok) throw new Error(formatProblem(found.error))
  const [config, admin] = ['bootstrap.json', 'admin'].map(name => join(folder, `${namespace}-${name}`)) as [
    string,
    string,
  ]
  await writeFile(config, JSON.stringify(bootstrap(controlPlane, namespace)))
  const startedAt = performance.now()
  const child = spawn(
    found.value.path,
    [
      '-c',
      config,
      '--admin-address-path',
      admin,
      '--use-dynamic-base-id',
      '--concurrency',
      '2',
      '--log-level',
      'error',
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  )
  const gone = new Promise(resolve => child.once('exit', resolve))
  const get = async (path: string) => {
    const answer = await fetch(`http://${await readFile(admin, 'utf8')}${path}`)
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`)
    return answer.text()
  }
  const envoy: Envoy = {
    get,
    ready: () =>
      eventually(async () => {
        await get('/ready')
        return performance.now()
      }),
    call: async host => {
      const { listener_statuses: listeners } = JSON.parse(await get('/listeners?format=json')) as {
        listener_statuses: { name: string; local_address: { socket_address: { port_value: number } } }[]
      }
      const port =
        listeners.find(({ name }) => name === 'caller')?.local_address.socket_address.port_value ?? 0
      const began = performance.now()
      const status = await ask(port, host)
      if (status !== 200) throw new Error(`${host} answered ${status}`)
      return performance.now() - began
    },
    memory: () => steadyMemory(child.pid ?? 0, get),
  }
  try {
    return await use(envoy, startedAt)
  } finally {
    child.kill('SIGKILL')
    await gone
  }
}

async function steadyMemory(pid: number, get: Envoy['get']) {
  const read = async () => {
    const status = await readFile(`/proc/${pid}/status`, 'utf8')
    const { allocated } = JSON.parse(await get('/memory')) as { allocated: string }
    return {
      residentMb: Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 102.4) / 10,
      allocatedMb: Math.round(Number(allocated) / 104_857.6) / 10,
    }
  }
  let last = await read()
  for (let same = 0; same < STEADY_READINGS; ) {
    await new Promise(resolve => setTimeout(resolve, READING_MS))
    const next = await read()
    same = next.residentMb === last.residentMb ? same + 1 : 0
    last = next
  }
  return last
}

function ask(port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path: '/', headers: { host } }, response => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    sent.on('error', reject)
    sent.end()
  })
}

async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS
  for (;;) {
    try {
      return await attempt()
    } catch (failure) {
      if (performance.now() > deadline) throw new Error(`gave up: ${errorMessage(failure)}`)
    }
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

/** A sidecar's bootstrap, with a listener of its own in place of captured connections. */
function bootstrap(controlPlane: string, namespace: string) {
  const [address, port] = controlPlane.split(':')
  const socket = (host: string | undefined, portValue: number) => ({
    socketAddress: { address: host, portValue },
  })
  const http2 = {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
      explicitHttpConfig: { http2ProtocolOptions: {} },
    },
  }
  const cluster = (name: string) => ({
    name,
    type: 'STATIC',
    connectTimeout: '1s',
    typedExtensionProtocolOptions: http2,
    loadAssignment: {
      clusterName: name,
      endpoints: [{ lbEndpoints: [{ endpoint: { address: socket(address, Number(port)) } }] }],
    },
  })
  const ads = { ads: {}, resourceApiVersion: 'V3' }
  const filter = (name: string, type: string) => ({
    name,
    typedConfig: { '@type': `type.googleapis.com/${type}` },
  })
  const manager = {
    '@type':
      'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    statPrefix: 'caller',
    rds: { routeConfigName: '80', configSource: { ...ads, initialFetchTimeout: '0s' } },
    httpFilters: [
      filter('envoy.filters.http.on_demand', 'envoy.extensions.filters.http.on_demand.v3.OnDemand'),
      filter('envoy.filters.http.router', 'envoy.extensions.filters.http.router.v3.Router'),
    ],
  }
  return {
    node: {
      id: `sidecar~127.0.0.1~caller.${namespace}~${namespace}.svc.cluster.local`,
      cluster: `caller.${namespace}`,
      metadata: { NAMESPACE: namespace, SERVICE_ACCOUNT: 'caller', ON_DEMAND: 'true' },
    },
    admin: { address: socket('127.0.0.1', 0) },
    dynamicResources: {
      ldsConfig: ads,
      cdsConfig: ads,
      adsConfig: {
        apiType: 'DELTA_GRPC',
        transportApiVersion: 'V3',
        grpcServices: [{ envoyGrpc: { clusterName: 'xds' } }],
      },
    },
    staticResources: {
      clusters: ['xds', 'sds-grpc', 'otlp'].map(cluster),
      listeners: [
        {
          name: 'caller',
          address: socket('127.0.0.1', 0),
          filterChains: [
            { filters: [{ name: 'envoy.filters.network.http_connection_manager', typedConfig: manager }] },
          ],
        },
      ],
    },
  }
}
