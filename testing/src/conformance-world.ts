import { createHash, X509Certificate } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatProblem } from '@seine/kit'
import { findService, type MeshSnapshot } from '@seine/model'
import { meshOf, objectYaml, podYaml, router, serviceYaml, sidecar } from './builders.ts'
import { Capture, type Place } from './capture.ts'
import { runnableBootstrap } from './conformance-bootstrap.ts'
import {
  type CaseObject,
  type CaseProxy,
  type CaseRequest,
  type ConformanceCase,
  filledIn,
} from './conformance-case.ts'
import { type Answer, send } from './conformance-request.ts'
import { EchoBackends } from './echo-backends.ts'
import { type RunningEnvoy, startEnvoy } from './running-envoy.ts'
import { TestAuthority } from './test-authority.ts'

/** Where the mesh's pods are, and what else there is for a mesh to call. */
const PODS = new Map([
  ['127.0.1.1', 'web-v1'],
  ['127.0.1.2', 'web-v2'],
  ['127.0.1.3', 'web-v3'],
  ['127.0.2.1', 'api-v1'],
  ['127.0.2.2', 'db-v1'],
])
const OUTSIDE = new Map([
  ['127.0.3.1', 'outside-1'],
  ['127.0.3.2', 'outside-2'],
  ['127.0.3.3', 'outside-3'],
])
/** The pod that has a sidecar: its address, and where its application is in truth, and on its own loopback. */
const SERVED = { address: '127.0.4.1', application: '127.0.5.1', name: 'served' } as const
const OWN_LOOPBACK: readonly [string, string] = ['127.0.0.1', 'loopback']
const GATEWAY_ADDRESS = '127.0.6.1'
/** What names stand for that no service has. */
const UNKNOWN = '127.0.3.1'

/** What all cases share: the backends, and the authority that everybody trusts. */
export class ConformanceWorld {
  readonly #authority: TestAuthority
  readonly #backends: EchoBackends
  readonly #ports: readonly [number, number]
  readonly #folder: string

  private constructor(
    authority: TestAuthority,
    backends: EchoBackends,
    ports: readonly [number, number],
    folder: string,
  ) {
    this.#authority = authority
    this.#backends = backends
    this.#ports = ports
    this.#folder = folder
  }

  static async start(): Promise<ConformanceWorld> {
    const authority = await TestAuthority.create()
    const names = new Map([...PODS, ...OUTSIDE, OWN_LOOPBACK, [SERVED.application, SERVED.name] as const])
    const backends = new EchoBackends(names, await authority.issue('backend.example.com'), authority.root)
    backends.alsoAs('known.localhost', await authority.issue('known.localhost'))
    const ports = await backends.start()
    const folder = await mkdtemp(join(tmpdir(), 'seine-conformance-'))
    return new ConformanceWorld(authority, backends, ports, folder)
  }

  async stop(): Promise<void> {
    await this.#backends.stop()
    await rm(this.#folder, { recursive: true, force: true })
  }

  /** How many requests with an id each backend has seen. */
  arrivals(id: string): Record<string, number> {
    return this.#backends.arrivals(id)
  }

  /** Starts the Envoys of a case, and what captures for its server. */
  async run(written: ConformanceCase): Promise<RunningCase> {
    const one = await filledIn(written, word => this.#meaning(word))
    const texts = one.objects.map(object => JSON.stringify(object))
    const snapshot = meshOf(...this.#baseMesh(one), ...texts)
    const codes = snapshot.problems.map(({ code }) => code).sort()
    if (String(codes) !== String([...(one.problems ?? [])].sort()))
      throw new Error(
        `other problems than the case names: ${snapshot.problems.map(formatProblem).join('\n')}`,
      )
    const running = new RunningCase(one, snapshot, this.#authority, this.#ports)
    try {
      await running.start()
    } catch (failure) {
      await running.stop()
      throw failure
    }
    return running
  }

  /** What a word in a case stands for. */
  async #meaning(word: string): Promise<string | number | undefined> {
    const [kind = '', ...names] = word.split(' ')
    const [name = ''] = names
    switch (kind) {
      case 'port':
        return this.#ports[0]
      case 'other-port':
        return this.#ports[1]
      case 'port-text':
        return String(this.#ports[0])
      case 'other-port-text':
        return String(this.#ports[1])
      case 'socket':
        return `unix://${join(this.#folder, `${name}.sock`)}`
      case 'root':
        return this.#authority.root
      case 'certificate':
        return (await this.#authority.issue(name)).certificate
      case 'key':
        return (await this.#authority.issue(name)).key
      case 'hash':
        return digest(new X509Certificate((await this.#authority.issue(name)).certificate).raw, 'hex')
      case 'spki': {
        const { publicKey } = new X509Certificate((await this.#authority.issue(name)).certificate)
        return digest(publicKey.export({ type: 'spki', format: 'der' }), 'base64')
      }
      case 'root-file':
        return this.#file('root.pem', this.#authority.root)
      case 'certificate-file':
        return this.#file(`${name}.pem`, (await this.#authority.issue(name)).certificate)
      case 'key-file':
        return this.#file(`${name}-key.pem`, (await this.#authority.issue(name)).key)
      case 'revoked-file':
        return this.#file(`${name}-revoked.pem`, await this.#authority.revoke(...names))
      default:
        return undefined
    }
  }

  async #file(name: string, content: string): Promise<string> {
    const path = join(this.#folder, name)
    await writeFile(path, content)
    return path
  }

  /** What every case has: services and their pods, of which one may have a sidecar, and versions as subsets. */
  #baseMesh({ objects, server }: ConformanceCase): string[] {
    const [targetPort, otherPort] = this.#ports
    const ports = [
      { name: 'http', port: 80, targetPort },
      { name: 'http-more', port: 8080, targetPort },
    ]
    const pods = [...PODS].map(([address, name]) => {
      const [app = '', version = ''] = name.split('-')
      return podYaml(name, address, { meshed: false, labels: { app, version } })
    })
    const subsets = ['v1', 'v2', 'v3'].map(version => ({ name: version, labels: { version } }))
    const rule = objectYaml('networking.istio.io/v1', 'DestinationRule', 'web', { host: 'web', subsets })
    return [
      serviceYaml('web', { ports }),
      serviceYaml('api', { clusterIP: '10.96.0.11', ports }),
      serviceYaml('db', {
        clusterIP: '10.96.0.12',
        ports: [
          { name: 'tcp', port: 3306, targetPort },
          { name: 'tls', port: 443, targetPort },
        ],
      }),
      ...pods,
      ...(hasRuleFor(objects, 'web') ? [] : [rule]),
      ...(server
        ? [
            serviceYaml('served', {
              clusterIP: '10.96.0.13',
              ports: [
                { name: 'http', port: 80, targetPort },
                { name: 'tcp', port: 9000, targetPort: otherPort },
              ],
            }),
            podYaml('served-v1', SERVED.address, {
              serviceAccount: 'served',
              labels: { app: 'served', version: 'v1', ...server.labels },
            }),
          ]
        : []),
    ]
  }
}

function digest(bytes: Buffer, encoding: 'hex' | 'base64'): string {
  return createHash('sha256').update(bytes).digest(encoding)
}

function hasRuleFor(objects: readonly CaseObject[], name: string): boolean {
  return objects.some(
    ({ kind, spec }) =>
      kind === 'DestinationRule' && String((spec as { host?: string }).host).split('.')[0] === name,
  )
}

/** The Envoys of a case. */
export class RunningCase {
  /** The case, with what its words stand for. */
  readonly written: ConformanceCase
  readonly #snapshot: MeshSnapshot
  readonly #authority: TestAuthority
  readonly #ports: readonly [number, number]
  readonly #envoys = new Map<string, RunningEnvoy>()
  readonly #capture: Capture
  /** Stands at the address of the gateway, where other networks call it. */
  readonly #edge: Capture

  constructor(
    written: ConformanceCase,
    snapshot: MeshSnapshot,
    authority: TestAuthority,
    ports: readonly [number, number],
  ) {
    this.written = written
    this.#snapshot = snapshot
    this.#authority = authority
    this.#ports = ports
    this.#capture = new Capture({
      address: SERVED.address,
      application: SERVED.application,
      ports,
      inboundPort: port => this.#envoyPort('server', { address: SERVED.address, port }),
    })
    this.#edge = new Capture({
      address: GATEWAY_ADDRESS,
      ports,
      inboundPort: port => this.#envoyPort('gateway', { address: GATEWAY_ADDRESS, port }),
    })
  }

  async start(): Promise<void> {
    const { client, server, gateway, requests } = this.written
    const starting: Promise<void>[] = []
    if (requests.some(({ through = 'client' }) => through === 'client'))
      starting.push(this.#startEnvoy('client', client, '127.0.0.1'))
    if (server) {
      const labels = { app: 'served', version: 'v1', ...server.labels }
      starting.push(
        this.#startEnvoy('server', { serviceAccount: 'served', ...server, labels }, SERVED.address),
      )
      starting.push(this.#capture.start())
    }
    if (gateway) starting.push(this.#startEnvoy('gateway', gateway, GATEWAY_ADDRESS))
    if (gateway && server) starting.push(this.#edge.start())
    const failed = (await Promise.allSettled(starting)).find(({ status }) => status === 'rejected')
    if (failed) throw (failed as PromiseRejectedResult).reason
  }

  async stop(): Promise<void> {
    await Promise.all([this.#capture.stop(), this.#edge.stop()])
    await Promise.all([...this.#envoys.values()].map(envoy => envoy.stop()))
  }

  /** Sends a request as often as it says. */
  async sendAll(request: CaseRequest, id: string): Promise<Answer[]> {
    const { times = 1, together = 1, apartMs = 0, through = 'client' } = request
    const to = this.#destination(request)
    const isSocket = to.address.startsWith('unix://')
    const envoyPort = isSocket ? 0 : this.#envoyPort(through, to)
    const way = { to, envoyPort, authority: this.#authority }
    const answers: Answer[] = []
    while (answers.length < times) {
      // The case is about time that passes.
      if (answers.length > 0 && apartMs > 0) await new Promise(resolve => setTimeout(resolve, apartMs))
      const batch = Math.min(together, times - answers.length)
      answers.push(...(await Promise.all(Array.from({ length: batch }, () => send(request, id, way)))))
    }
    return answers
  }

  async #startEnvoy(role: string, written: CaseProxy, address: string): Promise<void> {
    const { namespace = 'default', labels = { app: 'client' }, serviceAccount = role, metadata } = written
    const options = { address, labels, virtualHostDiscovery: false }
    const more = { metadata: { ...metadata, SERVICE_ACCOUNT: serviceAccount } }
    const make = role === 'gateway' ? router : sidecar
    const proxy = make(`${role}.${namespace}`, { ...options, ...more })
    const identity = `spiffe://cluster.local/ns/${namespace}/sa/${serviceAccount}`
    const certificates = { own: await this.#authority.issue(identity), root: this.#authority.root }
    this.#envoys.set(role, await startEnvoy(runnableBootstrap(this.#snapshot, proxy, certificates)))
  }

  /** Where a request is on its way to when an Envoy takes it. */
  #destination({ url, to, through }: CaseRequest): Place {
    if (to?.startsWith('unix://')) return { address: to, port: 0 }
    if (to !== undefined) {
      const colon = to.lastIndexOf(':')
      return { address: to.slice(0, colon), port: Number(to.slice(colon + 1)) }
    }
    if (through === 'server') return { address: SERVED.address, port: this.#ports[0] }
    const { hostname, protocol, port } = new URL(url)
    const number = Number(port || (protocol === 'https:' ? 443 : 80))
    const address = through === 'gateway' ? GATEWAY_ADDRESS : this.#addressOf(hostname)
    return { address, port: number }
  }

  /** As the agent answers for names of the mesh. */
  #addressOf(name: string): string {
    const { namespace = 'default' } = this.written.client
    const forms = [name, `${name}.${namespace}.svc.cluster.local`, `${name}.svc.cluster.local`]
    const { services } = this.#snapshot
    const service = forms.map(form => services.get(form)).find(one => one !== undefined)
    return service?.addresses[0] ?? findService(services, name)?.lookupAddresses[0] ?? UNKNOWN
  }

  /** The port of the listener that has a connection: that of its address, of its port, or the one for the rest. */
  #envoyPort(role: string, { address, port }: Place): number {
    const envoy = this.#envoys.get(role)
    if (!envoy) throw new Error(`the case has no ${role}`)
    const rest = role === 'server' ? 'virtualInbound' : 'virtualOutbound'
    const wanted = role === 'server' ? [`${address}_${port}`] : [`${address}_${port}`, `0.0.0.0_${port}`]
    return envoy.portOf(wanted.find(name => envoy.listeners.includes(name)) ?? rest)
  }
}
