import fc from 'fast-check'
import { CERTIFICATE } from './certificate.ts'
import { headerName, label, mostly, namespaces, pick, portNumbers, some } from './random-words.ts'

type Body = Record<string, unknown>

const GROUP = 'gateway.networking.k8s.io'
/** Ports at which a random service's are likely to be. */
const ports = pick([80, 80, 80, 8080, 9000, 443])
const namespace = pick(namespaces)
/** Mostly the one that is most likely there, with what is said mostly left to defaults. */
const serviceName = pick(['web', 'web', 'web', 'api', 'db'])
const rarely = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ arbitrary: fc.constant(undefined), weight: 4 }, { arbitrary, weight: 1 })

/** The record without what is undefined. */
function defined(record: object): Body {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined))
}

const backend = (more: Record<string, fc.Arbitrary<unknown>> = {}) =>
  fc
    .record({
      name: fc.oneof({ arbitrary: serviceName, weight: 9 }, { arbitrary: pick(['none']), weight: 1 }),
      port: ports,
      namespace: rarely(namespace),
      kind: rarely(mostly(['Service'], ['Other'])),
      ...more,
    })
    .map(defined)
const weight = mostly([1, 2, 100], [0, 1_000_000])

const serviceParent = fc
  .record({
    group: fc.constant(''),
    kind: fc.constant('Service'),
    name: serviceName,
    namespace: rarely(namespace),
    port: rarely(ports),
  })
  .map(defined)
const gatewayParent = fc
  .record({
    kind: rarely(pick(['Gateway', 'ListenerSet'])),
    name: pick(['gw', 'gw', 'gw', 'other']),
    namespace: rarely(namespace),
    sectionName: rarely(pick(['one', 'two'])),
    port: rarely(pick(portNumbers)),
  })
  .map(defined)
const parentRefs = fc.oneof(
  fc.tuple(serviceParent),
  fc.tuple(gatewayParent),
  fc.tuple(serviceParent, gatewayParent),
)
const hostnames = fc.array(mostly(['example.com', 'www.example.com', '*.example.com'], ['*']), {
  maxLength: 2,
})

const replacement = mostly(['/', '', '/new', '/new/'], ['a\\1', 'x\ny', '/%41?q=1'])
const path = fc.oneof(
  replacement.map((replaceFullPath): Body => ({ type: 'ReplaceFullPath', replaceFullPath })),
  replacement.map((replacePrefixMatch): Body => ({ type: 'ReplacePrefixMatch', replacePrefixMatch })),
)
const headerList = fc.array(
  fc.record({ name: headerName, value: mostly(['1', 'a b'], ['%', '%REQ(x)%', '']) }),
  {
    maxLength: 2,
  },
)
const modifier = some({ set: headerList, add: headerList, remove: fc.array(headerName, { maxLength: 2 }) })

const headerFilters = fc.oneof(
  modifier.map((requestHeaderModifier): Body => ({ type: 'RequestHeaderModifier', requestHeaderModifier })),
  modifier.map(
    (responseHeaderModifier): Body => ({ type: 'ResponseHeaderModifier', responseHeaderModifier }),
  ),
)
const mirror = fc
  .record(
    {
      backendRef: backend(),
      percent: pick([0, 50, 100]),
      fraction: fc.constant({ numerator: 1, denominator: 3 }),
    },
    { requiredKeys: ['backendRef'] },
  )
  .map((requestMirror): Body => ({ type: 'RequestMirror', requestMirror }))
const extension = fc.constant<Body>({
  type: 'ExtensionRef',
  extensionRef: { group: 'x.example', kind: 'Filter', name: 'f' },
})
const redirect = some({
  scheme: pick(['http', 'https']),
  hostname: pick(['there.example']),
  path,
  port: pick(portNumbers),
  statusCode: pick([301, 303, 308]),
}).map((requestRedirect): Body => ({ type: 'RequestRedirect', requestRedirect }))
const httpFilter = fc.oneof(
  { arbitrary: headerFilters, weight: 3 },
  { arbitrary: mirror, weight: 2 },
  {
    arbitrary: some({ hostname: pick(['other.example']), path }).map(
      (urlRewrite): Body => ({ type: 'URLRewrite', urlRewrite }),
    ),
    weight: 2,
  },
  {
    arbitrary: some({
      allowOrigins: fc.array(mostly(['https://a.example', 'https://*.a.example', 'http://*'], ['*']), {
        maxLength: 2,
      }),
      allowCredentials: fc.boolean(),
      allowMethods: pick([['GET'], ['*']]),
      allowHeaders: pick([['x-user'], ['*']]),
      maxAge: pick([1, 86_400]),
    }).map((cors): Body => ({ type: 'CORS', cors })),
    weight: 1,
  },
  { arbitrary: extension, weight: 1 },
)

const valueMatch = (names: fc.Arbitrary<unknown>) =>
  fc.oneof(
    fc.record({ name: names, value: pick(['1', 'a b']) }),
    fc.record({
      name: names,
      type: fc.constant('RegularExpression'),
      value: mostly(['[0-9]+', 'a.*'], ['(', 'a{2000}']),
    }),
  )

const httpMatch = some({
  path: fc.oneof(
    fc.record({
      type: pick(['Exact', 'PathPrefix']),
      value: mostly(['/', '/a', '/a/', '/a/b', '/%41'], ['/a/../b', '']),
    }),
    fc.record({ type: fc.constant('RegularExpression'), value: mostly(['/.*', '/[a-z]+'], ['(', 'x*']) }),
  ),
  headers: fc.array(valueMatch(headerName), { maxLength: 2 }),
  queryParams: fc.array(valueMatch(pick(['q', 'r'])), { maxLength: 2 }),
  method: pick(['GET', 'POST']),
})

const gatewayDuration = mostly(['1s', '250ms', '1h30m'], ['0s', '99999h'])
const filtered = backend({ weight, filters: fc.array(headerFilters, { maxLength: 1 }) })

const forwarding = some({
  matches: fc.array(httpMatch, { minLength: 1, maxLength: 3 }),
  filters: fc.uniqueArray(httpFilter, { maxLength: 2, selector: ({ type }) => type }),
  timeouts: some({ request: gatewayDuration, backendRequest: gatewayDuration }),
  retry: some({
    attempts: mostly([1, 3], [5_000_000_000]),
    backoff: gatewayDuration,
    codes: fc.array(pick([500, 503]), { maxLength: 2 }),
  }),
  sessionPersistence: fc.constant({ type: 'Cookie' }),
})
const httpRule = fc.oneof(
  {
    arbitrary: fc
      .tuple(forwarding, fc.array(filtered, { maxLength: 3 }))
      .map(([rest, backendRefs]) => ({ ...rest, backendRefs })),
    weight: 4,
  },
  {
    arbitrary: fc
      .tuple(some({ matches: fc.tuple(httpMatch) }), redirect)
      .map(([rest, filter]) => ({ ...rest, filters: [filter] })),
    weight: 1,
  },
)

const httpRoute = fc.record(
  { parentRefs, hostnames, rules: fc.array(httpRule, { minLength: 1, maxLength: 3 }) },
  { requiredKeys: ['parentRefs'] },
)

const grpcMethod = fc.oneof(
  some({ service: mostly(['a.B', 'C'], ['not a name']), method: pick(['Get', 'List']) }),
  fc.record({ type: fc.constant('RegularExpression'), service: mostly(['a|b', '.*'], ['(', '(a{900}){9}']) }),
)
const grpcRule = some({
  matches: fc.array(
    some({ method: grpcMethod, headers: fc.array(valueMatch(headerName), { maxLength: 1 }) }),
    {
      maxLength: 2,
    },
  ),
  filters: fc.array(fc.oneof(headerFilters, mirror, extension), { maxLength: 2 }),
  backendRefs: fc.array(filtered, { maxLength: 2 }),
})
const grpcRoute = fc.record(
  { parentRefs, hostnames, rules: fc.array(grpcRule, { maxLength: 2 }) },
  { requiredKeys: ['parentRefs'] },
)

const connections = fc.array(
  fc.record({ backendRefs: fc.array(backend({ weight }), { minLength: 1, maxLength: 3 }) }),
  {
    minLength: 1,
    maxLength: 1,
  },
)
const tcpRoute = fc.record({ parentRefs, rules: connections })
const tlsRoute = fc.record({ parentRefs, hostnames, rules: connections })

const certificateRefs = fc.array(
  fc.record({ name: mostly(['cert'], ['none']), namespace }, { requiredKeys: ['name'] }),
  {
    minLength: 1,
    maxLength: 1,
  },
)
const from = some({
  namespaces: fc.oneof(
    pick(['All', 'Same']).map(one => ({ from: one })),
    label.map(version => ({ from: 'Selector', selector: { matchLabels: { version } } })),
  ),
  kinds: fc.array(
    pick(['HTTPRoute', 'GRPCRoute', 'TCPRoute', 'TLSRoute']).map(kind => ({ kind })),
    { maxLength: 2 },
  ),
})
const listener = (name: string) =>
  fc
    .tuple(
      pick(portNumbers),
      fc.oneof(
        fc.constant<Body>({ protocol: 'HTTP' }),
        fc.constant<Body>({ protocol: 'HTTP' }),
        certificateRefs.map((refs): Body => ({ protocol: 'HTTPS', tls: { certificateRefs: refs } })),
        certificateRefs.map((refs): Body => ({ protocol: 'TLS', tls: { certificateRefs: refs } })),
        fc.constant<Body>({ protocol: 'TLS', tls: { mode: 'Passthrough' } }),
        mostly(['TCP'], ['UDP']).map((protocol): Body => ({ protocol })),
      ),
      some({ hostname: mostly(['*.example.com', 'www.example.com'], ['*']), allowedRoutes: from }),
    )
    .map(([port, how, more]): Body => ({ name, port, ...how, ...more }))
const listeners = fc.oneof(
  listener('one').map(one => [one]),
  fc.tuple(listener('one'), listener('two')),
)
const gateway = fc.record(
  {
    gatewayClassName: mostly(['seine'], ['other']),
    listeners,
    allowedListeners: pick(['All', 'Same']).map(one => ({ namespaces: { from: one } })),
    tls: fc
      .tuple(mostly(['AllowValidOnly'], ['AllowInsecureFallback']), certificateRefs)
      .map(([mode, [clientCertificateRef]]) => ({
        frontend: {
          default: {
            validation: { mode, caCertificateRefs: [{ group: '', kind: 'ConfigMap', name: 'ca' }] },
          },
        },
        backend: { clientCertificateRef },
      })),
  },
  { requiredKeys: ['gatewayClassName', 'listeners'] },
)
const listenerSet = fc.record({
  parentRef: fc.record({ name: pick(['gw']), namespace }, { requiredKeys: ['name'] }),
  listeners,
})

const referenceGrant = fc.record({
  from: fc.array(fc.record({ group: fc.constant(GROUP), kind: pick(['HTTPRoute', 'Gateway']), namespace }), {
    minLength: 1,
    maxLength: 2,
  }),
  to: pick(['Service', 'Secret']).map(kind => [{ group: '', kind }]),
})

const backendTlsPolicy = fc.record({
  targetRefs: fc
    .record(
      {
        group: fc.constant(''),
        kind: fc.constant('Service'),
        name: serviceName,
        sectionName: pick(['http', 'tcp']),
      },
      { requiredKeys: ['group', 'kind', 'name'] },
    )
    .map(ref => [ref]),
  validation: fc
    .tuple(
      fc.oneof(
        fc.constant<Body>({ wellKnownCACertificates: 'System' }),
        mostly(['ca'], ['none']).map(
          (name): Body => ({ caCertificateRefs: [{ group: '', kind: 'ConfigMap', name }] }),
        ),
      ),
      some({
        subjectAltNames: fc.array(
          fc.oneof(
            pick(['a.example', '*.a.example']).map((hostname): Body => ({ type: 'Hostname', hostname })),
            fc.constant<Body>({ type: 'URI', uri: 'spiffe://cluster.local/ns/a/sa/web' }),
          ),
          { maxLength: 2 },
        ),
      }),
    )
    .map(([by, more]): Body => ({ hostname: 'web.example', ...by, ...more })),
})

/** The kinds of the Gateway API, each with its names and its `spec`. */
export const gatewayApiKinds: readonly (readonly [
  kind: string,
  names: readonly string[],
  spec: fc.Arbitrary<unknown>,
  weight: number,
])[] = [
  ['HTTPRoute', ['one', 'two', 'three'], httpRoute, 7],
  ['GRPCRoute', ['one', 'two'], grpcRoute, 2],
  ['TCPRoute', ['one', 'two'], tcpRoute, 1],
  ['TLSRoute', ['one', 'two'], tlsRoute, 1],
  ['Gateway', ['gw', 'other'], gateway, 3],
  ['ListenerSet', ['gw'], listenerSet, 1],
  ['ReferenceGrant', ['one'], referenceGrant, 1],
  ['BackendTLSPolicy', ['one', 'two'], backendTlsPolicy, 1],
]

const meta = (name: string, of = 'a', more: Body = {}) => ({ name, namespace: of, ...more })
const serviceAt = (name: string, of: string, clusterIP: string, selector: Body = { app: name }) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: meta(name, of),
  spec: {
    clusterIP,
    selector,
    ports: [
      { name: 'http', port: 80 },
      { name: 'tcp', port: 9000 },
      { name: 'grpc', port: 8080 },
    ],
  },
})

/** What objects of the Gateway API refer to: services, gateways' workloads, a certificate and an authority. */
export const gatewayApiBase: readonly object[] = [
  serviceAt('web', 'a', '10.96.1.1'),
  serviceAt('web', 'b', '10.96.1.2'),
  serviceAt('api', 'a', '10.96.1.3'),
  serviceAt('db', 'a', '10.96.1.4'),
  serviceAt('gateway', 'a', '10.96.1.5', { 'gateway.networking.k8s.io/gateway-name': 'gw' }),
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'b', labels: { version: 'v1' } } },
  { apiVersion: 'v1', kind: 'ConfigMap', metadata: meta('ca'), data: { 'ca.crt': CERTIFICATE } },
  {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: meta('cert'),
    stringData: {
      'tls.crt': CERTIFICATE,
      'tls.key': '-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n',
    },
  },
]
