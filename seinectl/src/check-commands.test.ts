import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { NO_SERVER, runCaptured } from './testing-terminal.ts'

// The first command to run loads the schemas, which takes its time on a busy machine.
const SLOW = 30_000

let folder: string
const write = (name: string, text: string): string => {
  const file = join(folder, name)
  writeFileSync(file, text)
  return file
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'seinectl-check-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const GOOD = `apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http: [{route: [{destination: {host: reviews}}]}]
`
const BAD = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ratings, namespace: shop}
spec:
  hosts: [ratings]
  http:
    - timeOut: 1s
      route: [{destination: {host: reviews}, weight: -1}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside}
spec: {hosts: [example.com], ports: [{number: 443, name: https, protocol: HTTPS}], resolution: STATIC}
---
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: public}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  url: https://example.com/filter.wasm
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
`

describe('validate', () => {
  it(
    'lists every object with what is wrong with it',
    async () => {
      const { code, out, err } = await runCaptured(['validate', '-f', '-', '-o', 'json'], { stdin: BAD })
      expect(JSON.parse(out)).toEqual([
        {
          kind: 'VirtualService',
          namespace: 'shop',
          name: 'ratings',
          valid: false,
          errors: [
            {
              path: 'spec.http[0].timeOut',
              message: 'there is no field "timeOut" here: did you mean "timeout"?',
            },
            { path: 'spec.http[0].route[0].weight', message: 'a weight is 0 or more' },
          ],
          warnings: [],
        },
        {
          kind: 'ServiceEntry',
          namespace: 'default',
          name: 'outside',
          valid: true,
          errors: [],
          warnings: [
            {
              path: 'spec.resolution',
              message: 'STATIC without endpoints and workloadSelector leads nowhere',
            },
          ],
        },
        {
          kind: 'WasmPlugin',
          namespace: 'default',
          name: 'public',
          valid: false,
          errors: [{ path: '', message: 'WasmPlugin is not supported yet' }],
          warnings: [],
        },
        {
          kind: 'Role',
          namespace: '',
          name: 'reader',
          valid: true,
          errors: [],
          warnings: [{ path: 'kind', message: 'the mesh does not use Role; it is left alone' }],
        },
      ])
      expect({ code, err }).toEqual({ code: 1, err: '' })
    },
    SLOW,
  )

  it('ends with 0 where all is valid', async () => {
    const { code, out } = await runCaptured(['validate', '-f', '-', '-o', 'json'], { stdin: GOOD })
    expect({ code, valid: (JSON.parse(out) as { valid: boolean }[]).map(({ valid }) => valid) }).toEqual({
      code: 0,
      valid: [true, true],
    })
  })

  it('shows people the place of each mistake', async () => {
    const file = write('bad.yaml', BAD)
    const { code, out } = await runCaptured(['validate', '-f', file])
    expect(
      out
        .replaceAll(file, 'bad.yaml')
        .split('\n')
        .map(line => line.split(/ {2,}/)),
    ).toEqual([
      ['POSITION', 'LEVEL', 'OBJECT', 'FIELD', 'MESSAGE'],
      [
        'bad.yaml:7:7',
        'error',
        'VirtualService shop/ratings',
        'spec.http[0].timeOut',
        'there is no field "timeOut" here: did you mean "timeout"?',
      ],
      [
        'bad.yaml:8:46',
        'error',
        'VirtualService shop/ratings',
        'spec.http[0].route[0].weight',
        'a weight is 0 or more',
      ],
      [
        'bad.yaml:13:84',
        'warning',
        'ServiceEntry default/outside',
        'spec.resolution',
        'STATIC without endpoints and workloadSelector leads nowhere',
      ],
      ['bad.yaml:15:1', 'error', 'WasmPlugin default/public', 'WasmPlugin is not supported yet'],
      ['bad.yaml:23:1', 'warning', 'Role reader', 'kind', 'the mesh does not use Role; it is left alone'],
      ['4 objects, 2 invalid'],
      [''],
    ])
    expect(code).toBe(1)
  })

  it('reads files and folders, and warns of what is there twice', async () => {
    const own = join(folder, 'own')
    mkdirSync(own)
    write('own/a.yaml', GOOD)
    const twice = write('twice.yaml', GOOD.split('---')[0] ?? '')
    const { code, out } = await runCaptured(['validate', '-f', own, '-f', twice, '-o', 'json'])
    const objects = JSON.parse(out) as { kind: string; warnings: { message: string }[] }[]
    expect(objects.map(({ kind, warnings }) => [kind, warnings.length])).toEqual([
      ['Service', 0],
      ['VirtualService', 0],
      ['Service', 1],
    ])
    expect(objects[2]?.warnings[0]?.message).toContain(join(own, 'a.yaml'))
    expect(code).toBe(0)
  })

  it('reports what is no YAML with its place, and a file that is not there', async () => {
    const missing = join(folder, 'missing.yaml')
    const ran = await runCaptured(['validate', '-f', '-', '-f', missing], { stdin: 'a: [1\n' })
    expect(ran.code).toBe(1)
    expect(ran.err).toContain(missing)
    expect(ran.out).toMatch(/stdin:2:1 +error .*\n.*1 object, 1 invalid/s)
  })

  it('looks into the settings of the mesh', async () => {
    const stdin = `apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    outboundTrafficPolicy: {mode: SOMETIMES}
`
    const { code, out } = await runCaptured(['validate', '-f', '-', '-o', 'json'], { stdin })
    expect(JSON.parse(out)).toMatchObject([
      { valid: false, errors: [{ path: 'outboundTrafficPolicy.mode' }] },
    ])
    expect(code).toBe(1)
  })

  it('needs files', async () => {
    expect((await runCaptured(['validate'])).code).toBe(2)
  })
})

const FINDINGS = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ratings, namespace: shop}
spec:
  hosts: [ratings]
  http: [{route: [{destination: {host: ratings}}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {ports: [{name: web, port: 80}]}
`

describe('analyze', () => {
  it(
    'lists findings with their codes, and ends with 0 where data is asked for',
    async () => {
      const { code, out, err } = await runCaptured(['analyze', '-f', '-', '-o', 'json'], { stdin: FINDINGS })
      expect(JSON.parse(out)).toEqual([
        {
          code: 'IST0101',
          level: 'Error',
          resource: 'VirtualService shop/ratings',
          message: 'there is no host ratings',
          path: 'spec.http[0].route[0].destination.host',
        },
        {
          code: 'IST0118',
          level: 'Info',
          resource: 'Service shop/web',
          message:
            'the name "web" of port 80 tells no protocol, so it is detected: set appProtocol, or begin the name with the protocol, as in http-web',
          path: 'spec.ports[0]',
        },
      ])
      expect({ code, err }).toEqual({ code: 0, err: '' })
    },
    SLOW,
  )

  it('shows people the places, and ends with 1 where there is an Error', async () => {
    const { code, out } = await runCaptured(['analyze', '-f', '-'], { stdin: FINDINGS })
    expect(out).toMatch(/^Error +IST0101 +stdin:6:34 +VirtualService shop\/ratings +spec\.http/m)
    expect(code).toBe(1)
    const ran = await runCaptured(['analyze', '-f', '-'], { stdin: FINDINGS.split('---')[1] ?? '' })
    expect({ code: ran.code, isInfo: /^Info +IST0118/m.test(ran.out) }).toEqual({ code: 0, isInfo: true })
  })

  it('finds patches without effect where workloads are in the files', async () => {
    const patch = (filter: string) => `    - applyTo: HTTP_FILTER
      match: {context: SIDECAR_OUTBOUND, listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager, subFilter: {name: ${filter}}}}}}
      patch: {operation: REMOVE}
`
    const stdin = `${GOOD}---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {containers: [{name: web}]}
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: own}
spec:
  priority: 1
  configPatches:
${patch('there.is.none')}${patch('envoy.filters.http.cors')}`
    const ran = await runCaptured(['analyze', '-f', '-', '-o', 'json'], { stdin })
    const found = JSON.parse(ran.out).filter(({ code }: { code: string }) => code === 'patch-unused')
    expect(found).toEqual([
      {
        code: 'patch-unused',
        level: 'Warning',
        resource: 'EnvoyFilter default/own',
        message: expect.stringContaining('no HTTP_FILTER'),
        path: 'spec.configPatches[0].match',
      },
    ])
    const meant = stdin.replace(
      'metadata: {name: own}',
      'metadata: {name: own, annotations: {galley.istio.io/analyze-suppress: "IST0151, patch-unused"}}',
    )
    expect((await runCaptured(['analyze', '-f', '-', '-o', 'json'], { stdin: meant })).out).not.toContain(
      'patch-unused',
    )
  })

  it('says so when it finds nothing', async () => {
    expect(await runCaptured(['analyze', '-f', '-'], { stdin: GOOD })).toEqual({
      code: 0,
      out: 'nothing found\n',
      err: '',
    })
  })

  it('tells of documents that are none, and of what is not supported yet', async () => {
    const ran = await runCaptured(['analyze', '-f', '-', '-o', 'json'], { stdin: `${BAD}---\na: [1\n` })
    expect(ran.err).toMatch(/^error: stdin:\d+:\d+: .* \[yaml-syntax\]$/m)
    expect(ran.err).toContain('1 object uses what this version does not support yet')
    expect(ran.code).toBe(1)
  })

  it('looks at certificates', async () => {
    const stdin = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: public}
spec:
  selector: {istio: ingressgateway}
  servers:
    - port: {number: 443, name: https, protocol: HTTPS}
      hosts: ["*"]
      tls: {mode: SIMPLE, credentialName: cert}
---
apiVersion: v1
kind: Secret
metadata: {name: cert, namespace: istio-system}
stringData:
  tls.crt: "-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----"
  tls.key: "-----BEGIN PRIVATE KEY-----\\nAAAA\\n-----END PRIVATE KEY-----"
`
    const { out } = await runCaptured(['analyze', '-f', '-', '-o', 'json'], { stdin })
    expect(JSON.parse(out)).toMatchObject([
      {
        code: 'IST0161',
        path: 'spec.servers[0].tls.credentialName',
        message: expect.stringContaining("can't be read"),
      },
    ])
  })

  it('asks the running mesh where no files are named', async () => {
    const problems = [
      {
        code: 'IST0118',
        severity: 'info',
        kind: 'Service',
        namespace: 'shop',
        name: 'web',
        message: 'm',
        path: 'spec.ports[0]',
      },
      { code: 'not-ready', severity: 'warning', kind: 'Pod', namespace: 'shop', name: 'web-1', message: 'n' },
    ]
    const asked: (string | undefined)[] = []
    const server = createServer((request, response) => {
      asked.push(request.url)
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(problems))
    })
    await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
    try {
      const { port } = server.address() as AddressInfo
      const { code, out } = await runCaptured([
        'analyze',
        '-o',
        'json',
        '--server',
        `http://127.0.0.1:${port}`,
      ])
      expect(JSON.parse(out)).toEqual([
        { code: 'IST0118', level: 'Info', resource: 'Service shop/web', message: 'm', path: 'spec.ports[0]' },
      ])
      expect({ code, asked }).toEqual({ code: 0, asked: ['/api/v1/problems'] })
    } finally {
      server.close()
    }
  })

  it('fails where there is neither a mesh nor a file', async () => {
    const ran = await runCaptured(['analyze', '--server', NO_SERVER])
    expect(ran.code).toBe(1)
    expect(ran.err).toContain('or name files with -f')
  })
})

describe('status', () => {
  const SERVICE = `apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.5, ports: [{name: http, port: 80}]}
`
  const ROUTE = `---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  parentRefs: [{group: "", kind: Service, name: web, port: 80}]
  rules: [{backendRefs: [{name: web, port: 80}]}]
`

  it('prints what is as it should be, and the exit code is 0', async () => {
    const { code, out, err } = await runCaptured(['status', '-f', '-'], { stdin: SERVICE + ROUTE })
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(
      /HTTPRoute default\/r +Service web, port 80 +Accepted +True +Accepted +the route is attached/,
    )
  })

  it('prints what is not, for the parent that it is about, and the exit code is 1', async () => {
    const { code, out } = await runCaptured(['status', '-f', '-'], { stdin: ROUTE })
    expect(code).toBe(1)
    expect(out).toMatch(/Accepted +False +NoMatchingParent +there is no Service default\/web/)
  })

  it('prints statuses as Kubernetes has them', async () => {
    const { out } = await runCaptured(['status', '-f', '-', '-o', 'json'], { stdin: SERVICE + ROUTE })
    expect(JSON.parse(out)).toMatchObject([
      {
        kind: 'HTTPRoute',
        metadata: { name: 'r', namespace: 'default' },
        status: { parents: [{ parentRef: { group: '', kind: 'Service', name: 'web', port: 80 } }] },
      },
    ])
  })

  it('prints listeners and addresses of a Gateway', async () => {
    const gateway = `---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: public}
spec:
  gatewayClassName: seine
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
apiVersion: v1
kind: Service
metadata: {name: public}
spec:
  clusterIP: 10.96.0.6
  selector: {gateway.networking.k8s.io/gateway-name: public}
  ports: [{name: http, port: 80}]
`
    const { code, out, err } = await runCaptured(['status', '-f', '-'], { stdin: gateway })
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(/Gateway default\/public +Accepted +True +Accepted +the gateway is valid/)
    expect(out).toMatch(/Gateway default\/public +listener http +Conflicted +False +NoConflicts/)
    const config = mkdtempSync(join(folder, 'gateway-'))
    writeFileSync(join(config, 'gateway.yaml'), gateway)
    const shown = await runCaptured(['get', 'gateways.gateway.networking.k8s.io', '--config', config])
    expect(shown.out).toMatch(/^public +seine +10\.96\.0\.6 +True$/m)
  })

  it('is what get shows of objects of the folder', async () => {
    const config = mkdtempSync(join(folder, 'status-'))
    writeFileSync(join(config, 'route.yaml'), ROUTE)
    const { out } = await runCaptured(['get', 'httproutes', '--config', config])
    expect(out).toMatch(/^r +<none> +0\/1$/m)
    const yaml = await runCaptured(['get', 'httproute', 'r', '-o', 'yaml', '--config', config])
    expect(yaml.out).toContain('reason: NoMatchingParent')
  })
})
