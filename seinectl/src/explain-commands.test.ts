import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCaptured } from './testing-terminal.ts'

function pod(workload: string, version: string, ip: string): string {
  return `apiVersion: v1
kind: Pod
metadata:
  name: ${workload}-${version}-x
  labels: {app: ${workload}, version: ${version}, pod-template-hash: x, security.istio.io/tlsMode: istio}
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: ${workload}-${version}-x, uid: u}]
spec: {serviceAccountName: ${workload}, containers: [{name: app}]}
status: {podIP: ${ip}, phase: Running, conditions: [{type: Ready, status: "True"}]}
`
}

function service(name: string, ip: string): string {
  return `apiVersion: v1
kind: Service
metadata: {name: ${name}}
spec: {clusterIP: ${ip}, selector: {app: ${name}}, ports: [{name: http, port: 80, targetPort: 8080}]}
`
}

const ROUTES = `apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets:
    - {name: v1, labels: {version: v1}}
    - {name: v2, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
    - name: testers
      match:
        - headers: {end-user: {exact: jason}}
      timeout: 2s
      route:
        - destination: {host: reviews, subset: v2}
    - name: all
      route:
        - destination: {host: reviews, subset: v1}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: reviews}
spec:
  selector: {matchLabels: {app: reviews}}
  rules:
    - to: [{operation: {methods: [GET]}}]
      from: [{source: {principals: [cluster.local/ns/default/sa/web]}}]
`

const HTTP_ROUTE = `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: reviews}
spec:
  parentRefs:
    - {group: "", kind: Service, name: reviews}
  rules:
    - matches:
        - path: {value: /new}
      filters:
        - type: RequestRedirect
          requestRedirect:
            path:
              type: ReplacePrefixMatch
              replacePrefixMatch: /old
    # There is no such service.
    - backendRefs:
        - {name: nowhere, port: 80}
`

const GATEWAY = `apiVersion: v1
kind: Service
metadata: {name: edge}
spec: {clusterIP: 10.96.0.9, selector: {app: edge}, ports: [{name: http, port: 80, targetPort: 8080}, {name: https, port: 443, targetPort: 8443}]}
---
apiVersion: v1
kind: Pod
metadata: {name: edge-1, labels: {app: edge}, annotations: {inject.istio.io/templates: gateway}}
spec: {serviceAccountName: edge, containers: [{name: istio-proxy, image: auto}]}
status: {podIP: 10.1.0.9, phase: Running, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {app: edge}
  servers:
    - port: {number: 80, name: http, protocol: HTTP}
      hosts: ["*"]
      tls: {httpsRedirect: true}
    - port: {number: 443, name: https, protocol: HTTPS}
      hosts: [shop.example.com]
      tls: {mode: SIMPLE, credentialName: shop}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge}
spec:
  hosts: [shop.example.com]
  gateways: [edge]
  http:
    - route:
        - destination: {host: reviews, port: {number: 80}}
`

const NETWORKS = `apiVersion: v1
kind: Service
metadata:
  name: between
  labels:
    topology.istio.io/network: east
spec: {clusterIP: 10.96.0.8, externalIPs: [192.0.2.1], selector: {app: between}, ports: [{name: tls, port: 15443, targetPort: 8443}]}
---
apiVersion: v1
kind: Pod
metadata: {name: between-1, labels: {app: between, topology.istio.io/network: east}, annotations: {inject.istio.io/templates: gateway}}
spec: {serviceAccountName: between, containers: [{name: istio-proxy, image: auto}]}
status: {podIP: 10.2.0.8, phase: Running, conditions: [{type: Ready, status: "True"}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: between}
spec:
  selector: {app: between}
  servers:
    - port: {number: 15443, name: tls, protocol: TLS}
      hosts: ["*.local"]
      tls: {mode: AUTO_PASSTHROUGH}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  meshNetworks: |
    networks: {east: {endpoints: [{fromCidr: 10.1.0.2/31}]}, west: {endpoints: [{fromRegistry: Kubernetes}]}}
`

let folder: string
let changed: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'seinectl-explain-'))
  const objects = [
    service('reviews', '10.96.0.1'),
    service('web', '10.96.0.2'),
    pod('web', 'v1', '10.1.0.1'),
    pod('reviews', 'v1', '10.1.0.2'),
    pod('reviews', 'v2', '10.1.0.3'),
  ]
  writeFileSync(join(folder, 'mesh.yaml'), objects.join('---\n'))
  writeFileSync(join(folder, 'routes.yaml'), ROUTES)
  changed = join(mkdtempSync(join(tmpdir(), 'seinectl-diff-')), 'changed.yaml')
})
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
  rmSync(join(changed, '..'), { recursive: true, force: true })
})

const explain = (...args: string[]) =>
  runCaptured(['explain', '--from', 'web-v1', ...args, '--config', folder])

interface Explained {
  readonly parts: readonly {
    readonly direction: string
    readonly workload: string
    readonly verdict: { readonly outcome: string; readonly status?: number; readonly reason?: string }
    readonly steps: readonly {
      readonly stage: string
      readonly name: string
      readonly causes: readonly {
        readonly kind: string
        readonly path?: string
        readonly position?: string
      }[]
    }[]
  }[]
}

describe('explain', () => {
  it('names the route, the endpoints and the line that decided', async () => {
    const ran = await explain('GET', 'http://reviews/x', '-H', 'end-user: jason')
    expect({ code: ran.code, err: ran.err }).toEqual({ code: 0, err: '' })
    expect(ran.out).toContain('web-v1.default sends GET http://reviews/x (to 10.96.0.1:80)')
    expect(ran.out).toContain('must be answered within 2s')
    expect(ran.out).toContain('10.1.0.3:8080')
    expect(ran.out).not.toContain('10.1.0.2:8080')
    expect(ran.out).toContain(
      `because of VirtualService default/reviews spec.http[0].match[0] (${join(folder, 'routes.yaml')}:18:11)`,
    )
  })

  it('says what is looked up with each request, and where that connects to', async () => {
    const file = join(folder, 'dynamic.yaml')
    writeFileSync(
      file,
      `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wikipedia}
spec:
  hosts: ["*.wikipedia.org"]
  resolution: DYNAMIC_DNS
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}, {number: 443, name: tls, protocol: TLS}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: books}
spec:
  hosts: [books.example]
  http: [{route: [{destination: {host: en.wikipedia.org, port: {number: 80}}}]}]
`,
    )
    const of = async (url: string) => (await explain('GET', url)).out
    expect(await of('http://de.wikipedia.org/')).toContain(
      "looks up the request's host, and connects to the port 8080",
    )
    expect(await of('http://books.example/')).toContain(
      'looks up en.wikipedia.org, and connects to the port 8080',
    )
    const secured = await of('https://de.wikipedia.org/')
    expect(secured).toContain('goes to the address that DNS gives for the name that is asked for')
    expect(secured).toContain('forwarded to outbound|443||*.wikipedia.org')
    rmSync(file)
  })

  it('follows what comes to a gateway, by the ports of its Service', async () => {
    writeFileSync(join(folder, 'gateway.yaml'), GATEWAY)
    const at = async (url: string) => {
      const ran = await runCaptured(['explain', '--from', 'edge-1', 'GET', url, '--config', folder])
      expect({ code: ran.code, err: ran.err }).toEqual({ code: 0, err: '' })
      return ran.out
    }
    const file = join(folder, 'gateway.yaml')
    const secure = await at('https://shop.example.com/x')
    expect(secure).toContain(
      'GET https://shop.example.com/x comes to the gateway edge-1.default (10.1.0.9:443)',
    )
    expect(secure).toContain('filter chain   https-0: ends TLS and reads HTTP requests')
    expect(secure).toContain(`because of Gateway default/edge spec.servers[1] (${file}:21:7)`)
    expect(secure).toContain('→ forwarded to outbound|80||reviews.default.svc.cluster.local')
    expect(await at('https://other.example.com/')).toContain('→ the connection is closed')
    const plain = await at('http://shop.example.com/x')
    expect(plain).toContain('→ redirected with 301 to https://shop.example.com/x')
    expect(plain).toContain(
      `because of Gateway default/edge spec.servers[0].tls.httpsRedirect (${file}:20:13)`,
    )
    expect(await at('http://shop.example.com:81/')).toContain('no Gateway has the workload listen on port 81')
    rmSync(file)
  })

  it('goes by the gateway of another network, and follows it with --inbound', async () => {
    const file = join(changed, '..', 'networks.yaml')
    writeFileSync(file, NETWORKS)
    const files = ['-f', join(folder, 'mesh.yaml'), '-f', join(folder, 'routes.yaml'), '-f', file]
    const ran = await runCaptured([
      'explain',
      '--from',
      'web-v1',
      '--inbound',
      'GET',
      'http://reviews/',
      ...files,
    ])
    expect({ code: ran.code, err: ran.err }).toEqual({ code: 0, err: '' })
    expect(ran.out).toContain(
      '192.0.2.1:15443, the gateway of the network east, for an endpoint there (reviews-v1.default)',
    )
    expect(ran.out).toContain(
      `because of Service default/between metadata.labels["topology.istio.io/network"] (${file}:6:5)`,
    )
    expect(ran.out).toContain(
      `because of ConfigMap istio-system/istio data.meshNetworks.networks.east.endpoints[0].fromCidr (${file}:29:3)`,
    )
    const name = 'outbound_.80_.v1_.reviews.default.svc.cluster.local'
    expect(ran.out).toContain('filter chain   tls-0: passes bytes on')
    expect(ran.out).toContain(`cluster        ${name}: endpoints come from the mesh`)
    expect(ran.out).toContain("the caller's own TLS is passed on")
    expect(ran.out).toContain('allowed by default/reviews')
    const at = ['explain', '--from', 'between-1', 'GET', `https://${name}:15443/`, ...files]
    expect((await runCaptured(at)).out).toContain(`→ forwarded to ${name}`)
  })

  it('says of each route before why it did not match', async () => {
    const ran = await explain('GET', 'http://reviews/x', '-H', 'end-user: jane')
    expect(ran.out).toContain('not testers: the request has end-user "jane", wanted is: end-user is "jason"')
    expect(ran.out).toContain('10.1.0.2:8080')
  })

  it('names the line of an HTTPRoute that decided', async () => {
    const routes = join(changed, '..', 'http-route.yaml')
    writeFileSync(routes, HTTP_ROUTE)
    const mesh = join(folder, 'mesh.yaml')
    const from = ['explain', '--from', 'web-v1', '-f', mesh, '-f', routes]
    const ran = await runCaptured([...from, 'GET', 'http://reviews/new/x'])
    expect(ran.out).toContain('redirected to http://reviews/old/x')
    expect(ran.out).toContain(
      `because of HTTPRoute default/reviews spec.rules[0].matches[0] (${routes}:9:11)`,
    )
    const broken = await runCaptured([...from, 'GET', 'http://reviews/newer'])
    expect(broken.out).toContain('answered with 500')
    expect(broken.out).toContain(
      `because of HTTPRoute default/reviews spec.rules[1].matches[0] (${routes}:17:7)`,
    )
  })

  it('explains the receiving side, with the policy that decides', async () => {
    const allowed = JSON.parse(
      (await explain('--inbound', 'GET', 'http://reviews/', '-o', 'json')).out,
    ) as Explained
    const [, inbound] = allowed.parts
    expect(inbound).toMatchObject({ direction: 'inbound', workload: 'reviews-v1.default' })
    expect(inbound?.verdict.outcome).toBe('forwarded')
    expect(inbound?.steps.find(({ stage }) => stage === 'authorization')?.causes).toEqual([
      {
        kind: 'AuthorizationPolicy',
        namespace: 'default',
        name: 'reviews',
        path: 'spec.rules[0]',
        position: `${join(folder, 'routes.yaml')}:32:7`,
      },
    ])
    const refused = JSON.parse(
      (await explain('--inbound', 'POST', 'http://reviews/', '-o', 'json')).out,
    ) as Explained
    expect(refused.parts[1]?.verdict).toMatchObject({ outcome: 'answered', status: 403 })
  })

  it('follows TCP connections and hosts that nothing is known of', async () => {
    expect((await explain('CONNECT', 'tcp://reviews:9999')).out).toContain(
      '→ forwarded to PassthroughCluster',
    )
    expect((await explain('GET', 'http://elsewhere.example/')).out).toContain(
      '→ forwarded to PassthroughCluster',
    )
  })

  it('refuses questions that make no sense, and says how to ask', async () => {
    const { err, code } = await runCaptured([
      'explain',
      '--from',
      'nobody',
      'GET',
      'http://reviews',
      '--config',
      folder,
    ])
    expect(code).toBe(2)
    expect(err).toContain(
      'there is no workload "nobody"; there are reviews-v1.default, reviews-v2.default, web-v1.default',
    )
    expect((await explain('GET', 'reviews')).err).toContain('is no URL')
    expect((await explain('GET', 'http://reviews', '-H', 'nonsense')).err).toContain('is no header')
  })
})

describe('manifests as people write them, with Deployments and without addresses', () => {
  const deployment = (app: string, version: string) => `apiVersion: apps/v1
kind: Deployment
metadata: {name: ${app}-${version}}
spec:
  template:
    metadata: {labels: {app: ${app}, version: ${version}}}
    spec: {serviceAccountName: ${app}, containers: [{name: app}]}
`
  const manifests = [
    service('reviews', '').replace('clusterIP: , ', ''),
    deployment('web', 'v1'),
    deployment('reviews', 'v1'),
    deployment('reviews', 'v2'),
    ROUTES,
  ].join('---\n')
  const path = () => join(changed, '..', 'manifests.yaml')
  beforeAll(() => writeFileSync(path(), manifests))

  it('explain finds the pods that they will have', async () => {
    const ran = await runCaptured([
      ...['explain', '--from', 'web-v1', '--inbound', 'POST', 'http://reviews/'],
      ...['-H', 'end-user: jason', '-f', path()],
    ])
    expect({ code: ran.code, err: ran.err }).toEqual({ code: 0, err: '' })
    expect(ran.out).toMatch(/198\.19\.\d+\.\d+:8080 \(reviews-v2\.default\)/)
    expect(ran.out).toContain('→ answered with 403')
  })

  it('diff compares what their proxies would get', async () => {
    writeFileSync(changed, ROUTES.replace('timeout: 2s', 'timeout: 5s'))
    const ran = await runCaptured(['diff', '-f', changed, '--config', path()])
    expect(ran.out).toContain('reviews-v1.default, reviews-v2.default, web-v1.default\n  ~ route 80')
  })

  it('render gives the proxy of a Deployment what its labels ask for', async () => {
    const proxy = 'sidecar~10.0.0.9~reviews-v2.default~default.svc.cluster.local'
    const ran = await runCaptured(['render', '--proxy', proxy, '-f', path()])
    expect({ code: ran.code, err: ran.err }).toEqual({ code: 0, err: '' })
    expect(ran.out).toContain('inbound|8080||')
    expect(ran.out).toContain('ns[default]-policy[reviews]')
  })
})

describe('diff', () => {
  const diff = (yaml: string, ...args: string[]) => {
    writeFileSync(changed, yaml)
    return runCaptured(['diff', '-f', changed, '--config', folder, ...args])
  }

  it('says that nothing changes, with exit code 0', async () => {
    const ran = await diff(ROUTES)
    expect(ran).toMatchObject({ code: 0, out: 'nothing changes for any of 3 proxies\n' })
  })

  it('names the proxies, the resources and the fields', async () => {
    const ran = await diff(ROUTES.replace('timeout: 2s', 'timeout: 5s'))
    expect(ran.code).toBe(1)
    expect(ran.out).toContain('reviews-v1.default, reviews-v2.default, web-v1.default\n  ~ route 80')
    expect(ran.out).toContain('.route.timeout: "2s" → "5s"')
  })

  it('tells proxies that differ apart', async () => {
    const policy = ROUTES.slice(ROUTES.lastIndexOf('apiVersion')).replace('[GET]', '[GET, POST]')
    const ran = await diff(policy, '-o', 'json')
    const { groups, unchanged } = JSON.parse(ran.out) as {
      groups: { proxies: string[]; changes: { name: string }[] }[]
      unchanged: string[]
    }
    expect(groups.map(({ proxies }) => proxies)).toEqual([['reviews-v1.default', 'reviews-v2.default']])
    expect(groups[0]?.changes.map(({ name }) => name)).toEqual(['virtualInbound'])
    expect(unchanged).toEqual(['web-v1.default'])
  })

  it('shows what would be wrong afterwards', async () => {
    const ran = await diff(ROUTES.replace('subset: v2', 'subset: v9'))
    expect(ran.code).toBe(1)
    expect(ran.err).toContain('IST0101')
  })
})
