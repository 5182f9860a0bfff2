import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { countBy, eventually, expectShare } from '../harness/index.ts'
import { whyNoMesh } from '../harness/machine.ts'
import { OwnMesh } from '../resilience/own-mesh.ts'
import type { OwnProcess } from '../resilience/own-process.ts'
import { type Called, type Question, startAgent, startClient, startServer, type Workload } from './pods.ts'

const WAIT = { timeoutMs: 20_000, everyMs: 100 }
const MTLS = { 'security.istio.io/tlsMode': 'istio' }

const CLIENT: Workload = {
  name: 'client',
  address: '127.0.1.9',
  port: 0,
  account: 'client',
  labels: { app: 'client' },
}
const V1: Workload = server('greeter-v1', '127.0.1.1', 17_001, { app: 'greeter', version: 'v1' })
const V2: Workload = server('greeter-v2', '127.0.1.2', 17_002, { app: 'greeter', version: 'v2' })
/** Says to the registry that it is `greeter`, and has the certificate of somebody else. */
const IMPOSTOR: Workload = {
  ...server('impostor', '127.0.1.3', 17_003, { app: 'impostor' }),
  account: 'mallory',
}
const BEHIND: Workload = {
  name: 'behind',
  address: '127.0.1.4',
  port: 17_004,
  account: 'behind',
  labels: { ...MTLS, app: 'behind' },
}
const PLAIN: Workload = {
  name: 'plain',
  address: '127.0.1.5',
  port: 17_005,
  account: 'plain',
  labels: { app: 'plain' },
}

function server(name: string, address: string, port: number, labels: Record<string, string>): Workload {
  return { name, address, port, account: 'greeter', labels: { ...MTLS, ...labels } }
}

function podYaml({ name, address, port, labels, account }: Workload, proxyless = true): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'shop',
      labels,
      ...(proxyless ? { annotations: { 'inject.istio.io/templates': 'grpc-agent' } } : {}),
    },
    spec: {
      serviceAccountName: account,
      containers: [{ name: 'app', ports: [{ name: 'grpc', containerPort: port }] }],
    },
    status: { podIP: address, phase: 'Running' },
  })
}

function serviceYaml(name: string, clusterIP: string): string {
  return `{apiVersion: v1, kind: Service, metadata: {name: ${name}, namespace: shop},
 spec: {clusterIP: ${clusterIP}, selector: {app: ${name}}, ports: [{name: grpc, port: 7070, targetPort: grpc}]}}`
}

function weighted(v1: number, v2: number): string {
  return `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: greeter, namespace: shop}
spec:
  hosts: [greeter]
  http:
    - match: [{headers: {x-user: {exact: alice}}}]
      route: [{destination: {host: greeter, subset: v2}}]
    - match: [{headers: {x-user: {exact: broken}}}]
      fault: {abort: {grpcStatus: DATA_LOSS, percentage: {value: 100}}}
      route: [{destination: {host: greeter, subset: v1}}]
    - route:
        - {destination: {host: greeter, subset: v1}, weight: ${v1}}
        - {destination: {host: greeter, subset: v2}, weight: ${v2}}
`
}

const SUBSETS = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: greeter, namespace: shop}
spec: {host: greeter, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
`
const DISABLED = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: greeter, namespace: shop}
spec: {selector: {matchLabels: {app: greeter}}, mtls: {mode: DISABLE}}
`
const POLICY = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: greeter, namespace: shop}
spec:
  selector: {matchLabels: {app: greeter}}
  rules:
    - from: [{source: {principals: [cluster.local/ns/shop/sa/client]}}]
      to: [{operation: {paths: [/hello.Greeter/SayHello]}}]
`
/** A sidecar in the way that needs no captured traffic: it has a socket of its own, and takes nothing but mutual TLS. */
const SIDECAR = `
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: behind, namespace: shop}
spec:
  workloadSelector: {labels: {app: behind}}
  ingress:
    - port: {number: 17004, protocol: GRPC, name: grpc}
      bind: 127.0.1.4
      captureMode: NONE
      defaultEndpoint: 127.0.0.1:27071
  egress: [{hosts: ['~/*']}]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: behind, namespace: shop}
spec: {selector: {matchLabels: {app: behind}}, mtls: {mode: STRICT}}
`

const reason = await whyNoMesh()
if (reason !== undefined) console.log(`the tests of proxyless gRPC are skipped: ${reason}`)

describe.skipIf(reason !== undefined)('an application that is its own proxy', () => {
  let mesh: OwnMesh
  let seined: OwnProcess
  let ask: (question: Question) => Promise<readonly Called[]>

  const write = (name: string, ...documents: string[]) =>
    writeFile(join(mesh.configFolder, `${name}.yaml`), documents.join('\n---\n'))
  const remove = (name: string) => rm(join(mesh.configFolder, `${name}.yaml`))
  /** How many of some calls each server answered, by its name; failures by their codes. */
  const shares = async (question: Partial<Question> = {}) => {
    const answers = await ask({ target: 'xds:///greeter:7070', count: 20, ...question })
    return countBy(
      answers,
      ({ name, code, details }) => name ?? (code === 14 ? `14 ${details}` : `code ${code}`),
    )
  }

  beforeAll(async () => {
    mesh = await OwnMesh.make()
    await write(
      'mesh',
      serviceYaml('greeter', '10.96.0.1'),
      serviceYaml('impostor', '10.96.0.2'),
      serviceYaml('behind', '10.96.0.3'),
      serviceYaml('plain', '10.96.0.4'),
      podYaml(V1),
      podYaml({ ...IMPOSTOR, account: 'greeter' }),
      podYaml(BEHIND, false),
      podYaml(PLAIN, false),
      SIDECAR,
    )
    await write('v2', podYaml(V2))
    seined = await mesh.seined()
    for (const workload of [V1, V2, IMPOSTOR]) {
      const bootstrap = await startAgent(mesh, workload)
      await startServer(mesh, workload.name, `${workload.address}:${workload.port}`, bootstrap)
    }
    await startAgent(mesh, BEHIND, true)
    await startServer(mesh, BEHIND.name, '127.0.0.1:27071')
    await startServer(mesh, PLAIN.name, `${PLAIN.address}:${PLAIN.port}`)
    ask = await startClient(mesh, 15_555, await startAgent(mesh, CLIENT))
  })
  afterAll(() => mesh?.close())

  test.each([
    'greeter',
    'greeter.shop',
    'greeter.shop.svc',
    'greeter.shop.svc.cluster.local',
  ])('calls a service by the name %s, its endpoints in turn', async name => {
    const answered = () => shares({ target: `xds:///${name}:7070` })
    // The first calls go to the endpoint to which there is a connection first.
    await eventually(
      async () => expect(await answered()).toEqual({ 'greeter-v1': 10, 'greeter-v2': 10 }),
      WAIT,
    )
  })

  test('follows routes: shares that change while it runs, headers, faults', async () => {
    await write('routes', SUBSETS, weighted(90, 10))
    await eventually(
      async () => expect(await shares({ header: 'x-user:alice' })).toEqual({ 'greeter-v2': 20 }),
      WAIT,
    )
    const before = await shares({ count: 300 })
    expectShare(before['greeter-v1'] ?? 0, 300, 0.9)
    expect((before['greeter-v1'] ?? 0) + (before['greeter-v2'] ?? 0)).toBe(300)
    expect(await shares({ header: 'x-user:broken', count: 3 })).toEqual({ 'code 15': 3 })

    await write('routes', SUBSETS, weighted(10, 90))
    // By chance alone, 20 calls go to v1 three times at most in nine cases of ten.
    await eventually(async () => expect((await shares())['greeter-v2'] ?? 0).toBeGreaterThan(13), WAIT)
    const after = await shares({ count: 300 })
    expectShare(after['greeter-v2'] ?? 0, 300, 0.9)
    await remove('routes')
    await eventually(async () => expect(await shares()).toEqual({ 'greeter-v1': 10, 'greeter-v2': 10 }), WAIT)
  })

  test('calls no endpoint that has gone, though it still serves, and calls it again when it is back', async () => {
    await remove('v2')
    await eventually(async () => expect(await shares()).toEqual({ 'greeter-v1': 20 }), WAIT)
    expect(await shares({ count: 100 })).toEqual({ 'greeter-v1': 100 })
    await write('v2', podYaml(V2))
    await eventually(async () => expect(await shares()).toEqual({ 'greeter-v1': 10, 'greeter-v2': 10 }), WAIT)
  })

  test('ends calls to a service that has gone at once, and makes them when it is back as it was', async () => {
    const target = 'xds:///passing:7070'
    const passing = serviceYaml('passing', '10.96.0.5').replace('{app: passing}', '{app: plain}')
    for (let time = 0; time < 2; time++) {
      await write('passing', passing)
      await eventually(async () => expect(await shares({ target, count: 2 })).toEqual({ plain: 2 }), WAIT)
      await remove('passing')
      await eventually(
        async () =>
          expect(Object.keys(await shares({ target, count: 2 }))).toEqual([
            '14 Failed to route call to method /hello.Greeter/SayHello',
          ]),
        WAIT,
      )
    }
  })

  test('and its server know each other by mutual TLS', async () => {
    const [answer] = await ask({ target: 'xds:///greeter:7070' })
    expect(answer?.caller).toContain('URI:spiffe://cluster.local/ns/shop/sa/client')
    // Without a certificate there is no way in.
    const [refused] = await ask({ target: `dns:${V1.address}:${V1.port}`, timeout: 2000 })
    expect(refused).toMatchObject({ code: 14 })
  })

  test('does not talk to a server that has the identity of somebody else', async () => {
    const [refused] = await ask({ target: 'xds:///impostor:7070', timeout: 3000 })
    expect(refused).toMatchObject({
      code: 14,
      details: expect.stringContaining('No matching subject alternative name'),
    })
  })

  test('calls a server without a proxy in plaintext', async () => {
    expect(await ask({ target: 'xds:///plain:7070' })).toEqual([{ name: 'plain', caller: '', forwarded: '' }])
  })

  test('calls a workload with a STRICT sidecar by mutual TLS, and the sidecar knows who it is', async () => {
    const [answer] = await ask({ target: 'xds:///behind:7070' })
    expect(answer).toMatchObject({
      name: 'behind',
      forwarded: expect.stringContaining('URI=spiffe://cluster.local/ns/shop/sa/client'),
    })
  })

  test('as a server lets in whom and what policy allows', async () => {
    const secret = { method: 'Secret', count: 4 } as const
    expect(Object.keys(await shares(secret)).sort()).toEqual(['greeter-v1', 'greeter-v2'])
    await write('policy', POLICY)
    await eventually(async () => expect(await shares(secret)).toEqual({ 'code 7': 4 }), WAIT)
    expect(await shares()).toEqual({ 'greeter-v1': 10, 'greeter-v2': 10 })
    await write('policy', POLICY.replace('sa/client', 'sa/other'))
    await eventually(async () => expect(await shares({ count: 4 })).toEqual({ 'code 7': 4 }), WAIT)
    await remove('policy')
    await eventually(async () => expect(await shares(secret)).not.toHaveProperty('code 7'), WAIT)
  })

  test('and its server go to plaintext together, and back, as PeerAuthentication says', async () => {
    const callers = async () =>
      countBy(await ask({ target: 'xds:///greeter:7070', count: 6 }), ({ caller, code }) =>
        caller === undefined ? `code ${code}` : caller === '' ? 'plaintext' : 'mutual TLS',
      )
    await write('peers', DISABLED)
    await eventually(async () => expect(await callers()).toEqual({ plaintext: 6 }), WAIT)
    await remove('peers')
    await eventually(async () => expect(await callers()).toEqual({ 'mutual TLS': 6 }), WAIT)
  })

  test('is seen by seinectl, with what its library can not do', async () => {
    await write(
      'routes',
      SUBSETS,
      weighted(50, 50).replace('fault:', 'rewrite: {authority: x}\n      fault:'),
    )
    const status = await mesh.seinectl('proxy-status')
    expect(status.stdout).toMatch(/client\.shop .*SYNCED/)
    await eventually(async () => {
      const problems = await mesh.get(15080, '/api/v1/problems')
      expect(problems).toContain(
        'proxyless gRPC clients do not do this: gRPC clients send paths and authorities',
      )
    }, WAIT)
    await remove('routes')
    await eventually(async () => expect(await shares()).toEqual({ 'greeter-v1': 10, 'greeter-v2': 10 }), WAIT)
  })

  test('goes on while the control plane is away, and follows it again when it is back', async () => {
    await seined.stop('SIGKILL')
    expect(await shares({ count: 40 })).toEqual({ 'greeter-v1': 20, 'greeter-v2': 20 })
    await remove('v2')
    seined = await mesh.seined()
    await eventually(async () => expect(await shares()).toEqual({ 'greeter-v1': 20 }), {
      ...WAIT,
      timeoutMs: 60_000,
    })
  })
})
