import { refOf } from '@seine/api'
import { formatProblem } from '@seine/kit'
import { objectYaml, podYaml, resourcesOf } from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'
import { MeshModel } from './mesh-model.ts'

const networks = (meshNetworks: object) =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'istio', namespace: 'istio-system' },
    data: { meshNetworks: JSON.stringify({ networks: meshNetworks }) },
  })
const root = (network: string) =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'istio-system', labels: { 'topology.istio.io/network': network } },
  })
const gateway = (labels: Record<string, string>, spec: object, status?: object) =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'gateway', namespace: 'edge', labels },
    spec: { clusterIP: '10.96.0.9', ports: [{ name: 'tls', port: 15443 }], ...spec },
    ...(status ? { status } : {}),
  })
const EAST = { 'topology.istio.io/network': 'east' }

function model(...texts: string[]) {
  const own = new MeshModel()
  const write = (...more: string[]) => own.apply({ upserts: resourcesOf(...more), deletes: [] })
  write(...texts)
  return {
    write,
    remove: (text: string) => own.apply({ upserts: [], deletes: resourcesOf(text).map(refOf) }),
    networkOf: (name: string) => own.snapshot.workloads.get(`default/${name}`)?.membership?.network,
    get gateways() {
      return [...own.snapshot.networks.gateways].map(([network, list]) =>
        [network, ...list.map(({ address, port }) => `${address}:${port}`)].join(' '),
      )
    },
    get problems() {
      return own.snapshot.problems.map(formatProblem)
    },
  }
}

describe('the network of a workload', () => {
  const pods = [
    podYaml('labelled', '10.2.0.1', { labels: { 'topology.istio.io/network': 'own' } }),
    podYaml('narrow', '10.2.128.1'),
    podYaml('wide', '10.2.0.2'),
    podYaml('other', '10.9.0.1'),
    objectYaml('networking.istio.io/v1', 'WorkloadEntry', 'entry', {
      address: '10.2.0.3',
      network: 'field',
      labels: { 'topology.istio.io/network': 'label' },
    }),
  ]
  const all = (mesh: ReturnType<typeof model>) =>
    ['labelled', 'narrow', 'wide', 'other', 'entry'].map(name => mesh.networkOf(name))
  const ranges = {
    wide: { endpoints: [{ fromCidr: '10.2.0.0/16' }] },
    narrow: { endpoints: [{ fromCidr: '10.2.128.0/17' }] },
  }

  it('is its own, else that of the narrowest range, of the registry, of the root namespace', () => {
    const mesh = model(...pods)
    expect(all(mesh)).toEqual(['own', undefined, undefined, undefined, 'field'])
    mesh.write(root('default'))
    expect(all(mesh)).toEqual(['own', 'default', 'default', 'default', 'field'])
    mesh.write(networks(ranges))
    expect(all(mesh)).toEqual(['own', 'narrow', 'wide', 'default', 'field'])
    mesh.write(networks({ ...ranges, rest: { endpoints: [{ fromRegistry: 'Kubernetes' }] } }))
    expect(all(mesh)).toEqual(['own', 'narrow', 'wide', 'rest', 'field'])
    mesh.remove(networks({}))
    mesh.remove(root('default'))
    expect(all(mesh)).toEqual(['own', undefined, undefined, undefined, 'field'])
  })

  it('stays, and is reported, where the settings become ones that can not be read', () => {
    const mesh = model(...pods, networks(ranges))
    mesh.write(networks({ wide: { endpoints: [{ fromRegistry: 'elsewhere' }] } }))
    expect(all(mesh)).toEqual(['own', 'narrow', 'wide', undefined, 'field'])
    expect(mesh.problems).toEqual([expect.stringContaining('[mesh-networks]')])
  })

  it('is no network of the mesh for what is outside, unless that is said', () => {
    const entry = objectYaml('networking.istio.io/v1', 'ServiceEntry', 'out', {
      hosts: ['example.com'],
      resolution: 'STATIC',
      ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
      endpoints: [{ address: '192.0.2.1' }, { address: '192.0.2.2', network: 'said' }],
    })
    const own = new MeshModel()
    own.apply({ upserts: resourcesOf(entry, root('default')), deletes: [] })
    expect(own.snapshot.endpoints.get('example.com')?.networks).toEqual(['said'])
  })
})

describe('the gateways of a network', () => {
  it('are those of the settings, and of Services with its label', () => {
    const settings = networks({ east: { gateways: [{ address: '192.0.2.9', port: 443 }] } })
    const mesh = model(settings, gateway(EAST, { externalIPs: ['192.0.2.8'] }))
    expect(mesh.gateways).toEqual(['east 192.0.2.8:15443 192.0.2.9:443'])
    mesh.remove(settings)
    expect(mesh.gateways).toEqual(['east 192.0.2.8:15443'])
    mesh.remove(gateway(EAST, {}))
    expect(mesh.gateways).toEqual([])
  })

  it('are at the address that the load balancer was given, or else is to be given', () => {
    const spec = { type: 'LoadBalancer', loadBalancerIP: '192.0.2.1' }
    const mesh = model(gateway(EAST, spec))
    expect(mesh.gateways).toEqual(['east 192.0.2.1:15443'])
    const status = { loadBalancer: { ingress: [{ ip: '192.0.2.2' }] } }
    mesh.write(gateway(EAST, spec, status))
    expect(mesh.gateways).toEqual(['east 192.0.2.2:15443'])
    mesh.write(gateway(EAST, { ...spec, type: 'NodePort' }, status))
    expect(mesh.gateways).toEqual([])
  })

  it('may be a Service that the settings name, once it is there', () => {
    const hostname = 'gateway.edge.svc.cluster.local'
    const mesh = model(networks({ east: { gateways: [{ registryServiceName: hostname, port: 15443 }] } }))
    expect(mesh.gateways).toEqual([])
    expect(mesh.problems).toEqual([expect.stringContaining('there is no such service [network-gateway]')])
    mesh.write(gateway({}, { externalIPs: ['192.0.2.8'] }))
    expect(mesh.gateways).toEqual(['east 192.0.2.8:15443'])
    expect(mesh.problems).toEqual([])
  })

  it.each([
    [
      'it has no port 80',
      { ...EAST, 'networking.istio.io/gatewayPort': '80' },
      { externalIPs: ['192.0.2.8'] },
    ],
    ['it has no external address', EAST, {}],
    ['names are not looked up', EAST, { type: 'LoadBalancer' }],
  ])('are reported where nobody can go by them: %s', (why, labels, spec) => {
    const status = { loadBalancer: { ingress: [{ hostname: 'lb.example.com' }] } }
    const mesh = model(gateway(labels, spec, status))
    expect(mesh.gateways).toEqual([])
    expect(mesh.problems).toEqual([expect.stringContaining(why)])
    expect(mesh.problems[0]).toMatch(/^test.yaml:1:\d+: warning: Service edge\/gateway/)
  })

  it('are told apart from those of other networks by a change', () => {
    const mesh = model(gateway(EAST, { externalIPs: ['192.0.2.8'] }))
    const more = networks({ west: { gateways: [{ address: '192.0.2.9', port: 443 }] } })
    expect([...mesh.write(more).changes.networks]).toEqual(['west'])
    const { changes } = mesh.write(gateway(EAST, { externalIPs: ['192.0.2.7'] }))
    expect([...changes.networks]).toEqual(['east'])
  })
})

describe('endpoints that clients of other networks can not reach', () => {
  const service = (name: string, more: object = {}) =>
    objectYaml('v1', 'Service', name, {
      clusterIP: '10.96.0.1',
      selector: { app: 'web' },
      ports: [{ name: 'http', port: 80 }],
      ...more,
    })
  const east = { app: 'web', ...EAST }
  const plain = podYaml('plain', '10.2.0.1', { meshed: false, labels: east })
  const meshed = podYaml('meshed', '10.2.0.2', { labels: east })
  const edge = gateway(EAST, { externalIPs: ['192.0.2.8'] })

  it('are reported while there are such clients, and a gateway', () => {
    const mesh = model(service('web'), plain, meshed)
    expect(mesh.problems).toEqual([])
    mesh.write(edge)
    expect(mesh.problems).toEqual([])
    mesh.write(podYaml('client', '10.1.0.1'))
    expect(mesh.problems).toEqual([
      expect.stringMatching(/can't reach Pod default\/plain of web\..* \[unreachable-endpoints\]$/),
    ])
    mesh.remove(edge)
    expect(mesh.problems).toEqual([])
  })

  it('are all of a headless service', () => {
    const mesh = model(service('web', { clusterIP: 'None' }), meshed, edge, podYaml('client', '10.1.0.1'))
    expect(mesh.problems).toEqual([expect.stringContaining('it is a headless service')])
  })
})
