import { fromBinary } from '@bufbuild/protobuf'
import { refOf } from '@seine/api'
import { TypeUrl } from '@seine/envoy'
import { ClusterLoadAssignmentSchema } from '@seine/envoy/envoy/config/endpoint/v3/endpoint'
import { ListenerSchema } from '@seine/envoy/envoy/config/listener/v3/listener'
import { type Endpoint, MeshModel, type NetworkGateway } from '@seine/model'
import {
  mixerPlugins,
  objectYaml,
  podYaml,
  resourcesOf,
  router,
  serviceYaml,
  sidecar,
} from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'
import { explainAtGateway, explainOutbound, readConfiguration } from './explain/index.ts'
import { TrafficGenerator } from './generator.ts'
import type { EndpointGroup } from './locality.ts'
import { throughGateways } from './networks.ts'
import type { Proxy } from './proxy.ts'
import { renderProxy } from './render.ts'

const cause = { kind: 'Service', namespace: 'edge', name: 'gateway', path: 'metadata.labels' }
const gateway = (network: string, address: string): NetworkGateway => ({
  network,
  address,
  port: 15443,
  locality: '',
  cause,
})
const endpoint = (address: string, network: string, more: Partial<Endpoint> = {}): Endpoint => ({
  address,
  additionalAddresses: [],
  port: 80,
  labels: {},
  weight: 1,
  meshed: true,
  serviceAccount: undefined,
  namespace: 'default',
  workload: undefined,
  locality: '',
  membership: network ? { network, cause } : undefined,
  ...more,
})
const group = (
  locality: string,
  priority: number,
  endpoints: readonly Endpoint[],
  weight = endpoints.reduce((sum, one) => sum + one.weight, 0),
): EndpointGroup => ({ locality, priority, weight, endpoints })

/** Three gateways lead to the east, two to the south. */
const VIEW = {
  network: 'west',
  families: 'ipv4',
  gateways: new Map([
    ['east', ['10.9.0.1', '10.9.0.2', '10.9.0.3'].map(address => gateway('east', address))],
    ['south', ['10.8.0.1', '10.8.0.2', '2001:db8::8'].map(address => gateway('south', address))],
  ]),
} as const

const weights = (groups: readonly EndpointGroup[]) =>
  throughGateways(groups, VIEW).map(({ locality, priority, weight, reached }) => [
    locality,
    priority,
    weight,
    Object.fromEntries(reached.map(one => [one.endpoint.address, one.weight])),
  ])

describe('endpoints in other networks', () => {
  it('give their weights to the gateways of their network, in equal parts', () => {
    const local = endpoint('10.1.0.1', 'west')
    const far = [endpoint('10.2.0.1', 'east', { weight: 2 }), endpoint('10.3.0.1', 'south')]
    expect(weights([group('', 0, [local, ...far])])).toEqual([
      [
        '',
        0,
        24,
        { '10.1.0.1': 6, '10.9.0.1': 4, '10.9.0.2': 4, '10.9.0.3': 4, '10.8.0.1': 3, '10.8.0.2': 3 },
      ],
    ])
  })

  it('are as they were where none of them is', () => {
    const own = [endpoint('10.1.0.1', 'west', { weight: 3 }), endpoint('10.4.0.1', '')]
    expect(weights([group('r1', 0, own)])).toEqual([['r1', 0, 4, { '10.1.0.1': 3, '10.4.0.1': 1 }]])
  })

  it('have a gateway once: Envoy passes over an address that it has already', () => {
    const east = (weight: number) => endpoint(`10.2.0.${weight}`, 'east', { weight })
    expect(
      weights([group('r1', 0, [east(1)]), group('r2', 0, [east(2)]), group('r3', 1, [east(3)])]),
    ).toEqual([['r1', 0, 9, { '10.9.0.1': 3, '10.9.0.2': 3, '10.9.0.3': 3 }]])
  })

  it('leave no gap in the priorities', () => {
    const groups = [
      group('r1', 0, [endpoint('10.2.0.1', 'east')]),
      group('r2', 1, [endpoint('10.2.0.2', 'east')]),
      group('r3', 2, [endpoint('10.1.0.1', 'west')]),
    ]
    expect(weights(groups).map(([locality, priority]) => [locality, priority])).toEqual([
      ['r1', 0],
      ['r3', 1],
    ])
  })

  it('keep the shares of places', () => {
    const groups = [
      group('r1', 0, [endpoint('10.1.0.1', 'west'), endpoint('10.2.0.1', 'east')], 80),
      group('r2', 0, [endpoint('10.2.0.2', 'east')], 20),
    ]
    const [[, , total, shares] = []] = weights(groups)
    expect(Object.values(shares as Record<string, number>).map(one => one / Number(total))).toEqual([
      0.4, 0.2, 0.2, 0.2,
    ])
  })
})

const EAST = { 'topology.istio.io/network': 'east' }
const service = (name: string, address: string, app = name) =>
  serviceYaml(name, { clusterIP: address, selector: { app } })
const edge = (address: string) =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'gateway', namespace: 'edge', labels: EAST },
    spec: { externalIPs: [address], selector: { istio: 'eastwest' }, ports: [{ name: 'tls', port: 15443 }] },
  })
const between = objectYaml('networking.istio.io/v1', 'Gateway', 'between.edge', {
  selector: { istio: 'eastwest' },
  servers: [
    {
      port: { number: 15443, name: 'tls', protocol: 'TLS' },
      hosts: ['*.local'],
      tls: { mode: 'AUTO_PASSTHROUGH' },
    },
  ],
})
const MESH = [
  service('web', '10.96.0.1'),
  service('api', '10.96.0.2'),
  podYaml('web', '10.2.0.1', { labels: { app: 'web', ...EAST } }),
  podYaml('api', '10.1.0.1'),
  podYaml('client', '10.1.0.9'),
  edge('192.0.2.1'),
  between,
]
const WEB = 'outbound|80||web.default.svc.cluster.local'
const GATEWAY = router('eastwest.edge', { address: '10.2.0.9', labels: { istio: 'eastwest', ...EAST } })

function mesh(proxy: Proxy) {
  const model = new MeshModel()
  const { snapshot } = model.apply({ upserts: resourcesOf(...MESH), deletes: [] })
  const generator = new TrafficGenerator(snapshot, mixerPlugins)
  const configuration = generator.configurationOf(proxy)
  for (const type of [TypeUrl.cluster, TypeUrl.endpoint, TypeUrl.listener]) configuration.names(type)
  const apply = (upserts: string[], deletes: string[] = []) => {
    const change = { upserts: resourcesOf(...upserts), deletes: resourcesOf(...deletes).map(refOf) }
    const after = model.apply(change)
    return generator.update(after.snapshot, after.changes)
  }
  return {
    generator,
    write: (...texts: string[]) => apply(texts),
    remove: (...texts: string[]) => apply([], texts),
    addresses(name: string) {
      const found = configuration.get(TypeUrl.endpoint, name)
      const assignment = found && fromBinary(ClusterLoadAssignmentSchema, found.bytes)
      return assignment?.endpoints.flatMap(({ lbEndpoints }) =>
        lbEndpoints.map(({ hostIdentifier }) => {
          const address =
            hostIdentifier.case === 'endpoint' ? hostIdentifier.value.address?.address : undefined
          return address?.case === 'socketAddress' ? address.value.address : ''
        }),
      )
    },
    get chains() {
      const found = configuration.get(TypeUrl.listener, '0.0.0.0_15443')
      return found ? fromBinary(ListenerSchema, found.bytes).filterChains : []
    },
  }
}

describe('a change of networks', () => {
  it('touches the hosts with endpoints in them, and no others', () => {
    const { generator, write, addresses } = mesh(sidecar('client', { address: '10.1.0.9' }))
    expect(addresses(WEB)).toEqual(['192.0.2.1'])
    write(edge('192.0.2.2'))
    expect(addresses(WEB)).toEqual(['192.0.2.2'])
    expect(generator.lastRefreshed).toEqual([
      'gateway.edge.svc.cluster.local',
      'web.default.svc.cluster.local',
    ])
  })

  it('takes a client along that is in another one by then', () => {
    const { write, remove, addresses } = mesh(sidecar('client', { address: '10.1.0.9' }))
    write(podYaml('client', '10.1.0.9', { labels: EAST }))
    expect(addresses(WEB)).toEqual(['10.2.0.1'])
    write(podYaml('client', '10.1.0.9'))
    expect(addresses(WEB)).toEqual(['192.0.2.1'])
    remove(edge('192.0.2.1'))
    expect(addresses(WEB)).toEqual(['10.2.0.1'])
  })
})

describe('a proxyless gRPC client', () => {
  it('gets no endpoints of other networks, which is a problem, and is in another one as the settings have it', () => {
    const metadata = { GENERATOR: 'grpc' }
    const { generator, write, addresses } = mesh(sidecar('caller', { address: '10.4.0.1', metadata }))
    expect(addresses(WEB)).toEqual([])
    expect(generator.problems()).toEqual([
      expect.objectContaining({
        code: 'proxyless-unsupported',
        message: expect.stringContaining('in other networks (east): gRPC offers no server name'),
      }),
    ])
    const networks = { east: { endpoints: [{ fromCidr: '10.4.0.0/16' }] } }
    write(
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'istio', namespace: 'istio-system' },
        data: { meshNetworks: JSON.stringify({ networks }) },
      }),
    )
    expect(addresses(WEB)).toEqual(['10.2.0.1'])
    expect(generator.problems().map(({ code }) => code)).not.toContain('proxyless-unsupported')
  })
})

describe('a gateway between networks', () => {
  const nameOf = (host: string) => `outbound_.80_._.${host}.default.svc.cluster.local`

  it('passes on to what it reaches itself, and takes mutual TLS', () => {
    const { write, addresses } = mesh(GATEWAY)
    write(
      podYaml('plain', '10.2.0.2', { meshed: false, labels: { app: 'web', ...EAST } }),
      podYaml('far', '10.3.0.1', { labels: { app: 'web', 'topology.istio.io/network': 'south' } }),
      edge('192.0.2.1').replaceAll('east"', 'south"').replace('"gateway"', '"other"'),
    )
    expect(addresses(nameOf('web'))).toEqual(['10.2.0.1'])
  })

  it('has the cluster of a service that comes, and keeps its listener as it is', () => {
    const own = mesh(GATEWAY)
    const { write, remove } = own
    const before = own.chains
    expect(before.map(({ filterChainMatch }) => filterChainMatch?.serverNames)).toEqual([['*.local']])
    const changed = write(service('middle', '10.96.0.3', 'web'))
    expect([...(changed.get(TypeUrl.listener) ?? [])]).toEqual([])
    expect(own.chains).toEqual(before)
    expect(own.addresses(nameOf('middle'))).toEqual(['10.2.0.1'])
    remove(service('middle', '10.96.0.3'))
    expect(own.addresses(nameOf('middle'))).toBeUndefined()
  })

  it('has clusters for the subsets of a rule, and chains where it says more than a cluster can hold', () => {
    const own = mesh(GATEWAY)
    const subsets = [{ name: 'v1', labels: { version: 'v1' } }]
    const rule = (trafficPolicy: object) =>
      objectYaml('networking.istio.io/v1', 'DestinationRule', 'web', { host: 'web', subsets, trafficPolicy })
    const ofSubset = 'outbound_.80_.v1_.web.default.svc.cluster.local'
    own.write(rule({ connectionPool: { tcp: { maxConnections: 7 } } }))
    expect(own.addresses(ofSubset)).toEqual([])
    expect(own.chains).toHaveLength(1)
    own.write(rule({ connectionPool: { tcp: { idleTimeout: '9s' } } }))
    expect(own.chains.map(({ name }) => name)).toEqual([nameOf('web'), ofSubset, 'tls-2'])
  })

  it('keeps its listener where only endpoints come and go', () => {
    const { write } = mesh(GATEWAY)
    const changed = write(podYaml('more', '10.2.0.3', { labels: { app: 'web', ...EAST } }))
    expect([...(changed.get(TypeUrl.listener) ?? [])]).toEqual([])
    expect([...(changed.get(TypeUrl.endpoint) ?? [])]).toContain(nameOf('web'))
  })

  it('begins to pass on, and ends, with its Gateway', () => {
    const { write, remove, addresses } = mesh(GATEWAY)
    remove(between)
    expect(addresses(nameOf('web'))).toBeUndefined()
    write(between)
    expect(addresses(nameOf('web'))).toEqual(['10.2.0.1'])
  })
})

describe('explain', () => {
  const snapshot = new MeshModel().apply({
    upserts: resourcesOf(
      ...MESH,
      podYaml('plain', '10.2.0.2', { meshed: false, labels: { app: 'web', ...EAST } }),
    ),
    deletes: [],
  }).snapshot
  const configuration = (proxy: Proxy) => readConfiguration(renderProxy(snapshot, proxy, mixerPlugins))

  it('says which gateway stands for endpoints, why, and what is left out', () => {
    const explanation = explainOutbound(configuration(sidecar('client', { address: '10.1.0.9' })), {
      traffic: { kind: 'http', method: 'GET', scheme: 'http', authority: 'web', path: '/', headers: {} },
      address: '10.96.0.1',
      port: 80,
    })
    const step = explanation.steps.find(({ stage }) => stage === 'endpoints')
    expect(step?.details).toEqual([
      '192.0.2.1:15443, the gateway of the network east, for an endpoint there (web.default)',
      'plain.default in the network east is left out: a gateway passes on mutual TLS between sidecars only, and that is not spoken to it',
    ])
    expect(step?.causes).toEqual(
      expect.arrayContaining([
        {
          kind: 'Service',
          namespace: 'edge',
          name: 'gateway',
          path: 'metadata.labels["topology.istio.io/network"]',
        },
        {
          kind: 'Pod',
          namespace: 'default',
          name: 'web',
          path: 'metadata.labels["topology.istio.io/network"]',
        },
      ]),
    )
  })

  it('follows the server name at the gateway', () => {
    const asked = (serverName: string) =>
      explainAtGateway(configuration(GATEWAY), {
        traffic: { kind: 'tcp', serverName },
        port: 15443,
        source: '10.1.0.9',
      }).verdict
    expect(asked('outbound_.80_._.web.default.svc.cluster.local')).toMatchObject({
      outcome: 'forwarded',
      targets: [{ endpoints: [{ address: '10.2.0.1', port: 80 }] }],
    })
    expect(asked('outbound_.81_._.web.default.svc.cluster.local').outcome).toBe('closed')
    expect(asked('web.default.svc.cluster.local').outcome).toBe('closed')
  })
})
