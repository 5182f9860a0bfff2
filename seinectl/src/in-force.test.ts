import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type MeshResource, parseYaml, refOf, toObject, withoutSecrets } from '@seine/api'
import { MeshModel } from '@seine/model'
import { CERTIFICATE } from '@seine/testing/unit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runCaptured } from './testing-terminal.ts'

const pod = (name: string, ip: string, more = '') => `apiVersion: v1
kind: Pod
metadata: {name: ${name}, labels: {app: ${name.replace(/-.*/, '')}, version: ${name.replace(/.*-/, '')}, security.istio.io/tlsMode: istio}${more}}
spec: {serviceAccountName: ${name}, containers: [{name: app}]}
status: {podIP: ${ip}, phase: Running, conditions: [{type: Ready, status: "True"}]}
`
const BASE = `${pod('web', '10.1.0.1')}---
${pod('shop', '10.1.0.2')}---
${pod('reviews-v1', '10.1.0.11')}---
${pod('reviews-v2', '10.1.0.12')}---
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {clusterIP: 10.96.0.1, selector: {app: reviews}, ports: [{name: http, port: 80}]}
`
const rule = (...subsets: string[]) => `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets: [${subsets.map(name => `{name: ${name}, labels: {version: ${name}}}`).join(', ')}]
`
const route = (subset: string, annotations = '') => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews${annotations}}
spec:
  hosts: [reviews]
  http:
    - route: [{destination: {host: reviews, subset: ${subset}}}]
`

/** A mesh that runs, as far as a hub tells of it; the files of its folder are as they were written last. */
class RunningMesh {
  readonly folder: string
  readonly model = new MeshModel()
  readonly #hub: Server
  /** What the hub says besides of objects, by kind and name. */
  readonly reasons: Record<string, string[]> = {}
  tells = true
  /** The folder that it says it reads. */
  servedFolder: string

  private constructor(folder: string) {
    this.folder = folder
    this.servedFolder = folder
    this.#hub = createServer((request, response) => {
      if (request.url === '/api/v1/version')
        return response.end(JSON.stringify({ version: '0', configFolders: [this.servedFolder] }))
      if (request.url === '/api/v1/objects' && this.tells) return response.end(JSON.stringify(this.#rows()))
      return response.writeHead(404).end()
    })
  }

  static async start(): Promise<RunningMesh> {
    const mesh = new RunningMesh(await mkdtemp(join(tmpdir(), 'seine-in-force-')))
    await new Promise<void>(resolve => mesh.#hub.listen(0, '127.0.0.1', resolve))
    return mesh
  }

  async close(): Promise<void> {
    this.#hub.closeAllConnections()
    this.#hub.close()
    await rm(this.folder, { recursive: true })
  }

  /** Writes a file, which the mesh reads. */
  async write(name: string, text: string): Promise<void> {
    const path = join(this.folder, `${name}.yaml`)
    await writeFile(path, text)
    this.model.apply({ upserts: parseYaml(text, path).resources, deletes: [] })
  }

  #rows(): unknown[] {
    return [...this.model.objects()].map(({ written, inForce }) => {
      const { origin, kind, metadata } = (written ?? inForce) as MeshResource
      const problems = this.model.snapshot.problems.filter(
        ({ resource }) => resource?.kind === kind && resource.name === metadata.name,
      )
      return {
        file: origin?.file,
        line: origin?.line,
        ...(inForce ? { inForce: toObject(withoutSecrets(inForce)) } : {}),
        ...(written && written !== inForce ? { written: toObject(withoutSecrets(written)) } : {}),
        reasons: [
          ...(written === inForce ? [] : problems.map(({ message }) => message)),
          ...(this.reasons[`${kind} ${metadata.name}`] ?? []),
        ],
      }
    })
  }

  run(...args: string[]) {
    const server = `http://127.0.0.1:${(this.#hub.address() as AddressInfo).port}`
    return runCaptured([...args, '--server', server])
  }

  explain(from: string, ...args: string[]) {
    return this.run('explain', '--from', from, 'GET', 'http://reviews/', ...args)
  }
}

describe('a running mesh', () => {
  let mesh: RunningMesh

  beforeEach(async () => {
    mesh = await RunningMesh.start()
    await mesh.write('base', BASE)
    await mesh.write('rule', rule('v1'))
    await mesh.write('route', route('v1'))
  })

  afterEach(() => mesh.close())

  const target = (out: string) => /→ forwarded to (\S+)/.exec(out)?.[1]
  const [V1, V2] = ['v1', 'v2'].map(subset => `outbound|80|${subset}|reviews.default.svc.cluster.local`)

  it('is explained by what its files say, where that is in force', async () => {
    const { code, out, err } = await mesh.explain('web')
    expect([code, err]).toEqual([0, ''])
    expect(target(out)).toBe(V1)
    expect(out).toContain(`(${join(mesh.folder, 'route.yaml')}:7:`)
    expect(out).not.toContain('in force is not')
  })

  it('is explained by the last good version, and why it is that', async () => {
    await mesh.write('route', route('v2'))
    const { out, err } = await mesh.explain('web')
    expect(target(out)).toBe(V1)
    expect(out).toContain('in force is not what the file says: ')
    expect(out).toContain('v2')
    expect(err).toContain('not-in-force')
    const { parts } = JSON.parse((await mesh.explain('web', '-o', 'json')).out)
    const causes = parts[0].steps.flatMap(({ causes: all }: { causes: object[] }) => all)
    expect(causes).toContainEqual(
      expect.objectContaining({ kind: 'VirtualService', notInForce: [expect.stringContaining('v2')] }),
    )
  })

  it('is explained by what was in a file before it could not be read any more', async () => {
    mesh.reasons['VirtualService reviews'] = ['spec.http: is no list']
    await writeFile(join(mesh.folder, 'route.yaml'), route('v1').replace('- route', 'route'))
    const { out } = await mesh.explain('web')
    expect(target(out)).toBe(V1)
    expect(out).toContain('in force is not what the file says: spec.http: is no list')
  })

  it('is explained to the workloads of a canary by their versions', async () => {
    await mesh.write('rule', rule('v1', 'v2'))
    await mesh.write('canary', route('v2', ', annotations: {seine.dev/canary: shop}'))
    expect(target((await mesh.explain('shop')).out)).toBe(V2)
    expect(target((await mesh.explain('web')).out)).toBe(V1)
  })

  it('is explained with the workloads that have registered', async () => {
    const entry = `apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vms-10.9.0.1}
spec: {address: 10.9.0.1, labels: {app: reviews, version: v1}}
`
    mesh.model.apply({ upserts: parseYaml(entry, 'x').resources, deletes: [] })
    expect((await mesh.explain('web')).out).toContain('10.9.0.1:80')
  })

  it('does not tell secrets: what this machine has of them counts', async () => {
    const [certificate, key] = [CERTIFICATE, 'a key'].map(text => Buffer.from(text).toString('base64'))
    await mesh.write(
      'edge',
      `${pod('edge', '10.1.0.9', ', annotations: {inject.istio.io/templates: gateway}')}---
apiVersion: v1
kind: Secret
metadata: {name: shop}
type: kubernetes.io/tls
data: {tls.crt: ${certificate}, tls.key: ${key}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {app: edge}
  servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: [shop.example.com], tls: {mode: SIMPLE, credentialName: shop}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge}
spec: {hosts: [shop.example.com], gateways: [edge], http: [{route: [{destination: {host: reviews}}]}]}
`,
    )
    const ran = await mesh.run('explain', '--from', 'edge', 'GET', 'https://shop.example.com/')
    expect(ran.out).toContain('→ forwarded to outbound|80||reviews.default.svc.cluster.local')
    const server = await mesh.run('get', 'secrets')
    expect(server.out).not.toContain(key)
  })

  it('is compared with what would be, from what is in force', async () => {
    await mesh.write('route', route('v2'))
    const wanted = join(mesh.folder, '..', `${mesh.folder.split('/').pop()}-new.yaml`)
    await writeFile(wanted, rule('v1', 'v2'))
    const { code, out } = await mesh.run('diff', '-f', wanted)
    await rm(wanted)
    expect(code).toBe(1)
    // The route that waits for the subset comes into force with it.
    expect(out).toContain('spec.http[0]')
    expect(out).toContain('"outbound|80|v1|reviews.default.svc.cluster.local" → "outbound|80|v2|')
  })

  it('is explained without its files, where they are on another machine', async () => {
    mesh.servedFolder = '/nowhere/config'
    const { code, out } = await mesh.explain('web')
    expect([code, target(out)]).toEqual([0, V1])
    expect(out).toContain(
      `VirtualService default/reviews spec.http[0] (${join(mesh.folder, 'route.yaml')}:1)`,
    )
    mesh.tells = false
    expect((await mesh.explain('web')).err).toContain('which this machine does not have')
  })

  it('is explained by its files where it does not tell, and that is said', async () => {
    mesh.tells = false
    const { out, err } = await mesh.explain('web')
    expect(target(out)).toBe(V1)
    expect(err).toContain('what the mesh has in force is not known')
  })

  it('keeps a rule in force that was removed while its subset is routed to', async () => {
    const [removed] = parseYaml(rule('v1'), 'x').resources
    mesh.model.apply({ upserts: [], deletes: removed ? [refOf(removed)] : [] })
    await rm(join(mesh.folder, 'rule.yaml'))
    expect(target((await mesh.explain('web')).out)).toBe(V1)
  })
})
