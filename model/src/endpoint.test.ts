import { objectYaml, podYaml, resourcesOf, serviceYaml } from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'
import { MeshModel } from './mesh-model.ts'

const NETWORKING = 'networking.istio.io/v1'

function endpointsOf(hostname: string, ...texts: string[]) {
  const { snapshot } = new MeshModel().apply({ upserts: resourcesOf(...texts), deletes: [] })
  return snapshot.endpoints.get(hostname)
}

/** `address:port`, with `+` where mutual TLS is taken, for one port of a service. */
function shown(hostname: string, port: number, ...texts: string[]): string[] {
  const found = endpointsOf(hostname, ...texts)?.byPort.get(port) ?? []
  return found.map(one => `${one.address}:${one.port}${one.meshed ? '+' : ''}`)
}

const WEB = 'web.default.svc.cluster.local'
const web = (targetPort?: number | string) =>
  serviceYaml('web', { ports: [{ name: 'http', port: 80, ...(targetPort ? { targetPort } : {}) }] })

interface SliceOptions {
  readonly addresses?: readonly string[]
  readonly ready?: boolean | null
  readonly port?: number
  readonly addressType?: string
}

function slice(name: string, options: SliceOptions = {}): string {
  const { addresses = ['10.1.0.1'], ready = true, port = 8080, addressType = 'IPv4' } = options
  return JSON.stringify({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace: 'default', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType,
    endpoints: [{ addresses, conditions: { ready } }],
    ports: [{ name: 'http', port }],
  })
}

describe('endpoints from pods', () => {
  const pods = [
    podYaml('web', '10.1.0.2'),
    podYaml('web-b', '10.1.0.1', { labels: { app: 'web' }, meshed: false }),
  ]

  it('are those of the namespace that the selector takes, in the order of their addresses', () => {
    const others = [podYaml('api', '10.1.0.3'), podYaml('web', '10.1.0.4', { namespace: 'b' })]
    expect(shown(WEB, 80, web(8080), ...pods, ...others)).toEqual(['10.1.0.1:8080', '10.1.0.2:8080+'])
  })

  it('have the service’s port where it names no other', () => {
    expect(shown(WEB, 80, web(), ...pods)).toEqual(['10.1.0.1:80', '10.1.0.2:80+'])
  })

  it('have the port that the pod gives the name, and are left out where it has none', () => {
    const named = podYaml('web', '10.1.0.2', { ports: [{ name: 'main', containerPort: 9090 }] })
    expect(shown(WEB, 80, web('main'), named, pods[1] ?? '')).toEqual(['10.1.0.2:9090+'])
  })

  it('must be ready, unless the service takes them anyway', () => {
    const unready = podYaml('web', '10.1.0.2', { ready: false })
    expect(shown(WEB, 80, web(), unready)).toEqual([])
    const service = JSON.parse(web())
    const eager = JSON.stringify({ ...service, spec: { ...service.spec, publishNotReadyAddresses: true } })
    expect(shown(WEB, 80, eager, unready)).toEqual(['10.1.0.2:80+'])
  })

  it('tell whether all, some or none take mutual TLS', () => {
    const [meshed = '', plain = ''] = pods
    expect(endpointsOf(WEB, web(), meshed)?.meshed).toBe('all')
    expect(endpointsOf(WEB, web(), plain)?.meshed).toBe('none')
    expect(endpointsOf(WEB, web(), meshed, plain)?.meshed).toBe('some')
    expect(endpointsOf(WEB, web())?.meshed).toBe('all')
  })

  it('take no mutual TLS where policy turns it off, for the pod or for the port', () => {
    const policy = (spec: object) => objectYaml('security.istio.io/v1', 'PeerAuthentication', 'web', spec)
    const selector = { matchLabels: { app: 'web' } }
    const off = { mode: 'DISABLE' }
    const [meshed = ''] = pods
    expect(shown(WEB, 80, web(8080), meshed, policy({ selector, mtls: off }))).toEqual(['10.1.0.2:8080'])
    expect(shown(WEB, 80, web(8080), meshed, policy({ selector, portLevelMtls: { 8080: off } }))).toEqual([
      '10.1.0.2:8080',
    ])
    expect(shown(WEB, 80, web(8080), meshed, policy({ selector, portLevelMtls: { 80: off } }))).toEqual([
      '10.1.0.2:8080+',
    ])
  })

  it('give the identities that may serve it, sorted', () => {
    const more = podYaml('web-c', '10.1.0.3', { labels: { app: 'web' }, serviceAccount: 'canary' })
    expect(endpointsOf(WEB, web(), ...pods, more)?.identities).toEqual([
      'ns/default/sa/canary',
      'ns/default/sa/web',
    ])
  })
})

describe('endpoints from EndpointSlices', () => {
  it('come before the selector, and are joined with the pods of their addresses', () => {
    const pods = [podYaml('web', '10.1.0.1'), podYaml('web-b', '10.1.0.9', { labels: { app: 'web' } })]
    const texts = [web(), slice('web-x', { addresses: ['10.1.0.5', '10.1.0.1'] }), ...pods]
    expect(shown(WEB, 80, ...texts)).toEqual(['10.1.0.1:8080+', '10.1.0.5:8080'])
  })

  it('count once where slices overlap', () => {
    expect(shown(WEB, 80, web(), slice('web-x'), slice('web-y'))).toEqual(['10.1.0.1:8080'])
  })

  it('are those that are ready, or say nothing of it', () => {
    expect(shown(WEB, 80, web(), slice('web-x', { ready: false }))).toEqual([])
    expect(shown(WEB, 80, web(), slice('web-x', { ready: null }))).toEqual(['10.1.0.1:8080'])
  })

  it('are not names, which no proxy could connect to', () => {
    expect(
      shown(WEB, 80, web(), slice('web-x', { addressType: 'FQDN', addresses: ['a.example.com'] })),
    ).toEqual([])
  })

  it('serve a service without a selector', () => {
    const bare = serviceYaml('web', { selector: {}, ports: [{ name: 'http', port: 80 }] })
    expect(shown(WEB, 80, bare, slice('web-x'), podYaml('web', '10.1.0.2'))).toEqual(['10.1.0.1:8080'])
  })
})

describe('endpoints of a ServiceEntry', () => {
  const entry = (spec: object) =>
    objectYaml(NETWORKING, 'ServiceEntry', 'out', {
      hosts: ['out.example.com'],
      ports: [{ number: 80, name: 'http', targetPort: 8080 }],
      ...spec,
    })

  it('are those it lists, each with its own port where it has one', () => {
    const endpoints = [
      { address: '10.2.0.2', ports: { http: 9090 }, weight: 3 },
      { address: '10.2.0.1', labels: { 'security.istio.io/tlsMode': 'istio' }, serviceAccount: 'out' },
    ]
    const text = entry({ resolution: 'STATIC', endpoints })
    expect(shown('out.example.com', 80, text)).toEqual(['10.2.0.1:8080+', '10.2.0.2:9090'])
    const found = endpointsOf('out.example.com', text)
    expect(found?.byPort.get(80)?.map(({ weight }) => weight)).toEqual([1, 3])
    expect(found?.identities).toEqual(['ns/default/sa/out'])
  })

  it('are the WorkloadEntries and pods that its selector takes', () => {
    const text = entry({ resolution: 'STATIC', workloadSelector: { labels: { app: 'vm' } } })
    const vm = objectYaml(NETWORKING, 'WorkloadEntry', 'vm', {
      address: '10.2.0.9',
      labels: { app: 'vm' },
      ports: { http: 7070 },
    })
    expect(shown('out.example.com', 80, text, vm, podYaml('vm', '10.1.0.1'))).toEqual([
      '10.1.0.1:8080+',
      '10.2.0.9:7070',
    ])
  })

  it.each([
    [{ serviceAccount: 'vm' }, true],
    [{}, false],
    [{ serviceAccount: 'vm', labels: { 'security.istio.io/tlsMode': 'disabled' } }, false],
    [{ labels: { 'security.istio.io/tlsMode': 'istio' } }, true],
  ])('take mutual TLS where they have an identity, or say otherwise: %j', (more, meshed) => {
    const one = { address: '10.2.0.9', ...more }
    const plus = meshed ? '+' : ''
    expect(shown('out.example.com', 80, entry({ resolution: 'STATIC', endpoints: [one] }))).toEqual([
      `10.2.0.9:8080${plus}`,
    ])
    const selected = { resolution: 'STATIC', workloadSelector: { labels: { app: 'vm' } } }
    const vm = objectYaml(NETWORKING, 'WorkloadEntry', 'vm', {
      ...one,
      labels: { ...one.labels, app: 'vm' },
    })
    expect(shown('out.example.com', 80, entry(selected), vm)).toEqual([`10.2.0.9:8080${plus}`])
  })

  it('are names only where DNS finds them', () => {
    const vm = objectYaml(NETWORKING, 'WorkloadEntry', 'vm', {
      address: 'vm.example.com',
      labels: { app: 'vm' },
    })
    const selected = { workloadSelector: { labels: { app: 'vm' } } }
    expect(shown('out.example.com', 80, entry({ resolution: 'DNS', ...selected }), vm)).toEqual([
      'vm.example.com:8080',
    ])
    expect(shown('out.example.com', 80, entry({ resolution: 'STATIC', ...selected }), vm)).toEqual([])
  })

  it('count as outside the mesh while there are none, unless it says inside', () => {
    const none = { resolution: 'STATIC', workloadSelector: { labels: { app: 'vm' } } }
    expect(endpointsOf('out.example.com', entry(none))?.meshed).toBe('none')
    expect(endpointsOf('out.example.com', entry({ ...none, location: 'MESH_INTERNAL' }))?.meshed).toBe('all')
  })
})
