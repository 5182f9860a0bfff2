import { keyOf, type MeshResource, parseObject, refOf } from '@seine/api'
import type { ResourceChange } from '@seine/model'
import fc from 'fast-check'
import { randomEnvoyFilter } from './random-envoy-filter.ts'
import { randomBoundVirtualService, randomGateway } from './random-gateway.ts'
import { gatewayApiBase, gatewayApiKinds } from './random-gateway-api.ts'
import { meshConfig, namespace } from './random-mesh-settings.ts'
import { randomDestinationRule, randomVirtualService } from './random-routing.ts'
import { randomSidecar } from './random-sidecar.ts'
import {
  hosts,
  label,
  labels,
  maybe,
  mostly,
  NETWORKS,
  namespaces,
  networkLabels,
  pick,
  portNumbers,
  some,
  workloadIps,
} from './random-words.ts'

type Body = Record<string, unknown>

const METADATA = (namespace: string, name: string, more: Body = {}) => ({ name, namespace, ...more })

/** An object as it might stand in a file. Names come from few words, so that objects meet and collide. */
function object(
  apiVersion: string,
  kind: string,
  names: readonly string[],
  body: fc.Arbitrary<Body>,
  namespace: fc.Arbitrary<string> = pick(namespaces),
) {
  return fc
    .record({
      namespace,
      name: pick(names),
      created: maybe(pick(['2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z', '2026-01-03T00:00:00Z'])),
      body,
    })
    .map(({ namespace, name, created, body: { labels: own, ...rest } }) => ({
      apiVersion,
      kind,
      metadata: METADATA(namespace, name, {
        ...(created ? { creationTimestamp: created } : {}),
        ...(own ? { labels: own } : {}),
      }),
      ...rest,
    }))
}

const servicePort = fc.record(
  {
    name: pick(['http', 'http-web', 'grpc', 'tcp', 'tls', 'https', 'mysql', 'http2', 'other']),
    port: pick(portNumbers),
    targetPort: fc.oneof(pick(portNumbers), pick(['http', 'db'])),
    appProtocol: pick(['http', 'kubernetes.io/h2c', 'tcp', 'mine.example/protocol']),
    protocol: pick(['TCP', 'UDP']),
  },
  { requiredKeys: ['name', 'port'] },
)

const serviceSpec = fc.record(
  {
    type: pick(['ClusterIP', 'ExternalName']),
    externalName: pick(['example.com', 'web.b.svc.cluster.local']),
    clusterIP: pick(['10.96.0.1', '10.96.0.2', '10.96.0.3', 'None', '2001:db8::1']),
    clusterIPs: fc.array(pick(['10.96.0.1', '10.96.0.2', '2001:db8::1', '2001:DB8:0::1']), { maxLength: 2 }),
    ports: fc.uniqueArray(servicePort, { maxLength: 3, selector: ({ port }) => port }),
    selector: labels,
    publishNotReadyAddresses: fc.boolean(),
    ipFamilies: pick([['IPv4'], ['IPv6'], ['IPv6', 'IPv4']]),
    trafficDistribution: pick(['PreferClose', 'PreferSameNode']),
    externalIPs: pick(['192.0.2.1', '192.0.2.2', '2001:db8::9']).map(one => [one]),
    loadBalancerIP: pick(['192.0.2.3']),
  },
  { requiredKeys: ['ports'] },
)

const service = object(
  'v1',
  'Service',
  ['web', 'api', 'db'],
  fc.record({ labels: networkLabels, spec: serviceSpec }),
)

const podStatus = fc.record(
  {
    podIP: pick(workloadIps),
    podIPs: pick(workloadIps).map(ip => [{ ip }, { ip: `fd00::${ip.split('.').at(-1)}` }]),
    phase: pick(['Running', 'Running', 'Succeeded']),
    conditions: fc.constantFrom('True', 'False').map(status => [{ type: 'Ready', status }]),
  },
  { requiredKeys: ['podIP'] },
)

const pod = object(
  'v1',
  'Pod',
  ['web-1', 'web-2', 'api-1', 'db-1'],
  fc.record({
    labels: fc
      .tuple(
        labels,
        some({
          'istio-locality': pick(['r1.z1.s1', 'r2.z1', 'r1']),
          'topology.istio.io/network': pick(NETWORKS),
        }),
      )
      .map(([own, locality]) => ({ app: 'web', ...own, ...locality })),
    spec: fc.record({
      serviceAccountName: pick(['web', 'default']),
      nodeName: pick(['node-1', 'node-2']),
      containers: fc.constant([{ name: 'app', ports: [{ name: 'http', containerPort: 8080 }] }]),
    }),
    status: podStatus,
  }),
)

const slice = object(
  'discovery.k8s.io/v1',
  'EndpointSlice',
  ['web-x', 'api-x'],
  fc.record({
    labels: pick(['web', 'api', 'db']).map(name => ({ 'kubernetes.io/service-name': name })),
    addressType: pick(['IPv4', 'IPv4', 'IPv6', 'FQDN']),
    endpoints: fc.array(
      fc.record({
        addresses: fc.array(pick([...workloadIps, 'host.example.com']), { minLength: 1, maxLength: 2 }),
        conditions: fc.record({ ready: fc.boolean() }, { requiredKeys: [] }),
      }),
      { maxLength: 3 },
    ),
    ports: fc.array(fc.record({ name: pick(['http', 'tcp', 'other']), port: pick(portNumbers) }), {
      maxLength: 2,
    }),
  }),
)

const node = fc
  .record({ name: pick(['node-1', 'node-2']), zone: pick(['z1', 'z2']), region: pick(['r1', 'r2']) })
  .map(({ name, zone, region }) => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      labels: { 'topology.kubernetes.io/region': region, 'topology.kubernetes.io/zone': zone },
    },
    spec: {},
  }))

const workloadEntrySpec = fc.record(
  {
    address: mostly([...workloadIps, 'vm.example.com'], ['unix:///run/app.sock']),
    ports: fc.dictionary(pick(['http', 'tcp']), pick(portNumbers), { maxKeys: 2 }),
    labels,
    weight: fc.nat(3),
    locality: pick(['r1/z1', 'r2', '']),
    serviceAccount: pick(['vm', 'web']),
    network: pick(NETWORKS),
  },
  { requiredKeys: [] },
)

const workloadEntry = object(
  'networking.istio.io/v1',
  'WorkloadEntry',
  ['vm-1', 'web-1'],
  fc.record({ spec: workloadEntrySpec }),
)

const entryPort = fc.record(
  {
    number: pick(portNumbers),
    name: pick(['http', 'tcp', 'tls', 'other']),
    protocol: mostly(['HTTP', 'HTTPS', 'TLS', 'TCP', 'GRPC', 'HTTP2', 'MYSQL'], ['UDP']),
    targetPort: pick(portNumbers),
  },
  { requiredKeys: ['number', 'name'] },
)

const entryEndpoint = fc.record(
  {
    address: mostly(workloadIps, ['vm.example.com']),
    labels,
    weight: fc.nat(3),
    locality: pick(['r1/z1', 'r2']),
    network: pick(NETWORKS),
    serviceAccount: pick(['vm']),
  },
  { requiredKeys: [] },
)

/** The ways in which an entry's addresses are found, each with what it takes. */
const found = fc.oneof(
  fc.constant<Body>({}),
  fc.constant<Body>({ resolution: 'DNS' }),
  fc
    .array(entryEndpoint, { minLength: 1, maxLength: 3 })
    .map((endpoints): Body => ({ resolution: 'STATIC', endpoints })),
  fc.array(workloadEntrySpec, { maxLength: 2 }).map((endpoints): Body => ({ resolution: 'DNS', endpoints })),
  labels.map((own): Body => ({ resolution: 'STATIC', workloadSelector: { labels: { app: 'web', ...own } } })),
  fc
    .array(entryEndpoint, { maxLength: 1 })
    .map((endpoints): Body => ({ resolution: 'DNS_ROUND_ROBIN', endpoints })),
)

const serviceEntrySpec = fc
  .tuple(
    fc.record(
      {
        hosts: fc.array(pick(hosts), { minLength: 1, maxLength: 2 }),
        addresses: fc.array(
          mostly(['10.96.0.1', '10.50.0.0/16', '10.50.1.1/16', '2001:db8::2', '2001:DB8::2'], ['nonsense']),
          { maxLength: 2 },
        ),
        ports: fc.uniqueArray(entryPort, { maxLength: 3, selector: ({ name }) => name }),
        location: pick(['MESH_EXTERNAL', 'MESH_INTERNAL']),
        exportTo: fc.array(pick(['*', '.', 'b']), { maxLength: 2 }),
        subjectAltNames: fc.constant(['spiffe://cluster.local/ns/a/sa/web']),
      },
      { requiredKeys: ['hosts', 'ports'] },
    ),
    found,
  )
  .map(([rest, how]): Body => ({ ...rest, ...how }))

const serviceEntry = object(
  'networking.istio.io/v1',
  'ServiceEntry',
  ['out', 'in', 'more'],
  fc.record({ spec: serviceEntrySpec }),
)

const mtls = fc.record({ mode: pick(['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT']) }, { requiredKeys: [] })

const peerAuthentication = object(
  'security.istio.io/v1',
  'PeerAuthentication',
  ['default', 'web'],
  fc.record({
    spec: fc.record(
      {
        selector: fc.record({ matchLabels: labels }, { requiredKeys: [] }),
        mtls,
        portLevelMtls: fc.dictionary(pick(['80', '8080', '9000', '15006']), mtls, { maxKeys: 2 }),
      },
      { requiredKeys: [] },
    ),
  }),
)

const strings = (values: readonly string[]) => fc.array(pick(values), { minLength: 1, maxLength: 2 })
const PRINCIPALS = ['*', 'cluster.local/ns/a/sa/web', '*/sa/web', 'cluster.local/ns/a/*']
const blocks = fc.array(mostly(['10.0.0.0/8', '10.1.0.1', '2001:db8::/32'], ['nonsense', '10.0.0.0/99']), {
  minLength: 1,
  maxLength: 2,
})

const KEYS: readonly (readonly [key: string, value: string])[] = [
  ['request.headers[x-user]', 'a*'],
  ['source.ip', '10.0.0.0/8'],
  ['remote.ip', '10.0.0.1'],
  ['source.namespace', 'a'],
  ['source.principal', '*'],
  ['destination.port', '80'],
  ['destination.ip', '10.0.0.1'],
  ['connection.sni', 'example.com'],
]
const ODD_KEYS = [
  ['request.headers[]', 'a'],
  ['request.headers[not a name]', 'a'],
  ['destination.port', 'a'],
] as const

const condition = fc
  .tuple(mostly(KEYS, ODD_KEYS), fc.boolean())
  .map(([[key, value], not]) => ({ key, [not ? 'notValues' : 'values']: [value] }))

const rule = fc.record(
  {
    from: fc.array(
      fc.record({
        source: fc.record(
          {
            principals: strings(PRINCIPALS),
            notPrincipals: strings(PRINCIPALS),
            namespaces: strings(['a', 'b*', '*']),
            notNamespaces: strings(['a']),
            serviceAccounts: strings(['web', 'a/web']),
            ipBlocks: blocks,
            notRemoteIpBlocks: blocks,
          },
          { requiredKeys: [] },
        ),
      }),
      { minLength: 1, maxLength: 2 },
    ),
    to: fc.array(
      fc.record({
        operation: fc.record(
          {
            hosts: strings(['example.com', '*.example.com', 'a*']),
            ports: fc.array(mostly(['80', '8080'], ['0', '70000']), { minLength: 1, maxLength: 2 }),
            methods: strings(['GET', 'P*', '*']),
            notMethods: strings(['DELETE']),
            paths: strings(['/', '/a/*', '*.json', '/x/{*}/y/{**}', '*']),
            notPaths: strings(['/admin']),
          },
          { requiredKeys: [] },
        ),
      }),
      { minLength: 1, maxLength: 2 },
    ),
    when: fc.array(condition, { maxLength: 2 }),
  },
  { requiredKeys: [] },
)

const authorizationPolicy = object(
  'security.istio.io/v1',
  'AuthorizationPolicy',
  ['allow', 'deny', 'more'],
  fc.record({
    spec: fc.record(
      {
        selector: fc.record({ matchLabels: labels }),
        action: pick(['ALLOW', 'DENY']),
        rules: fc.array(rule, { maxLength: 2 }),
      },
      { requiredKeys: [] },
    ),
  }),
)

const mostlyA = fc.oneof(
  { arbitrary: fc.constant('a'), weight: 3 },
  { arbitrary: pick(namespaces), weight: 1 },
)

/** Objects of the Gateway API, most of them in the namespace of what they refer to. */
const gatewayApiObject = fc.oneof(
  ...gatewayApiKinds.map(([kind, names, spec, weight]) => ({
    arbitrary: object('gateway.networking.k8s.io/v1', kind, names, fc.record({ spec }), mostlyA),
    weight,
  })),
)

/** Istio's Gateways and what is bound to them, most of them in the namespace of what they refer to. */
const edgeObject = fc.oneof(
  {
    arbitrary: object(
      'networking.istio.io/v1',
      'Gateway',
      ['edge', 'other'],
      fc.record({ spec: randomGateway }),
      mostlyA,
    ),
    weight: 2,
  },
  {
    arbitrary: object(
      'networking.istio.io/v1',
      'VirtualService',
      ['bound', 'also'],
      fc.record({ spec: randomBoundVirtualService }),
      mostlyA,
    ),
    weight: 3,
  },
)

/** Objects of every kind, whether or not the API takes them. */
export const randomObject: fc.Arbitrary<object> = fc.oneof(
  { arbitrary: service, weight: 4 },
  { arbitrary: pod, weight: 4 },
  { arbitrary: slice, weight: 2 },
  { arbitrary: serviceEntry, weight: 3 },
  { arbitrary: workloadEntry, weight: 1 },
  {
    arbitrary: object(
      'networking.istio.io/v1',
      'VirtualService',
      ['one', 'two', 'three'],
      randomVirtualService,
    ),
    weight: 5,
  },
  {
    arbitrary: object('networking.istio.io/v1', 'DestinationRule', ['one', 'two'], randomDestinationRule),
    weight: 4,
  },
  { arbitrary: object('networking.istio.io/v1', 'Sidecar', ['default', 'web'], randomSidecar), weight: 2 },
  {
    arbitrary: object('networking.istio.io/v1alpha3', 'EnvoyFilter', ['one', 'two'], randomEnvoyFilter),
    weight: 2,
  },
  { arbitrary: peerAuthentication, weight: 2 },
  { arbitrary: authorizationPolicy, weight: 2 },
  { arbitrary: gatewayApiObject, weight: 8 },
  { arbitrary: edgeObject, weight: 3 },
  { arbitrary: namespace, weight: 1 },
  { arbitrary: node, weight: 1 },
  { arbitrary: meshConfig, weight: 1 },
)

/** Resources that the API's validation takes, each name once. */
export function randomResources(size: { min: number; max: number }): fc.Arbitrary<MeshResource[]> {
  return fc.array(randomObject, { minLength: size.min, maxLength: size.max }).map(resourcesAmong)
}

/** The same of the Gateway API, with what they refer to. */
export function randomGatewayApiResources(size: { min: number; max: number }): fc.Arbitrary<MeshResource[]> {
  return fc
    .array(gatewayApiObject, { minLength: size.min, maxLength: size.max })
    .map(objects => resourcesAmong([...gatewayApiBase, ...objects]))
}

/** The same of Istio's Gateways and of what is bound to them, with what they refer to. */
export function randomEdgeResources(size: { min: number; max: number }): fc.Arbitrary<MeshResource[]> {
  return fc
    .array(edgeObject, { minLength: size.min, maxLength: size.max })
    .map(objects => resourcesAmong([...gatewayApiBase, ...objects]))
}

function resourcesAmong(objects: readonly object[]): MeshResource[] {
  return [...new Map(objects.flatMap(accepted).map(one => [keyOf(refOf(one)), one])).values()]
}

/** A sequence of changes: each writes some resources and removes some that may or may not be there. */
export function randomChanges(length: number): fc.Arbitrary<ResourceChange[]> {
  return fc.array(changeOf(randomObject), { minLength: 1, maxLength: length })
}

/** The same of objects of the Gateway API, after a change that brings what they refer to; some of that goes, too. */
export function randomGatewayApiChanges(length: number): fc.Arbitrary<ResourceChange[]> {
  return changesAfterBase(gatewayApiObject, length)
}

/** The same of Istio's Gateways and of what is bound to them. */
export function randomEdgeChanges(length: number): fc.Arbitrary<ResourceChange[]> {
  return changesAfterBase(edgeObject, length)
}

function changesAfterBase(object: fc.Arbitrary<object>, length: number): fc.Arbitrary<ResourceChange[]> {
  const one = fc.oneof({ arbitrary: object, weight: 5 }, { arbitrary: pick(gatewayApiBase), weight: 1 })
  const first: ResourceChange = { upserts: resourcesAmong(gatewayApiBase), deletes: [] }
  return fc.array(changeOf(one), { minLength: 1, maxLength: length }).map(changes => [first, ...changes])
}

function changeOf(one: fc.Arbitrary<object>): fc.Arbitrary<ResourceChange> {
  return fc
    .record({ upserts: fc.array(one, { maxLength: 3 }), deletes: fc.array(one, { maxLength: 2 }) })
    .map(({ upserts, deletes }) => ({
      upserts: upserts.flatMap(accepted),
      deletes: deletes.flatMap(accepted).map(refOf),
    }))
}

/** The labels of a client whose configuration is looked at. */
export const randomLabels: fc.Arbitrary<Record<string, string>> = label.map(version => ({
  app: 'web',
  version,
}))

function accepted(raw: object): MeshResource[] {
  const parsed = parseObject(raw)
  return parsed.ok ? [parsed.value] : []
}
