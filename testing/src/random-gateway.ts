import fc from 'fast-check'
import { randomVirtualService } from './random-routing.ts'
import { label, labels, mostly, pick, portNumbers, some } from './random-words.ts'

type Body = Record<string, unknown>

/** The labels of the workloads that serve random gateways, Istio's and the Gateway API's. */
const SERVED_BY = { 'gateway.networking.k8s.io/gateway-name': 'gw' }

const HOSTS = ['www.example.com', 'example.com', '*.example.com', '*', 'web.a.svc.cluster.local'] as const
const SCOPED = ['./www.example.com', 'a/*', '*/example.com', 'b/*.example.com'] as const

/** Certificates: mostly the one that is there, now and then none or one from files. */
const certificate = fc.oneof(
  {
    arbitrary: mostly(['cert'], ['none', 'b/cert']).map((credentialName): Body => ({ credentialName })),
    weight: 4,
  },
  { arbitrary: fc.constant<Body>({ credentialNames: ['cert', 'none'] }), weight: 1 },
  {
    arbitrary: fc.constant<Body>({
      serverCertificate: '/c.pem',
      privateKey: '/k.pem',
      caCertificates: '/ca.pem',
    }),
    weight: 1,
  },
)
const limits = some({
  minProtocolVersion: pick(['TLS_AUTO', 'TLSV1_2']),
  maxProtocolVersion: pick(['TLSV1_3']),
  cipherSuites: mostly(['ECDHE-RSA-AES128-GCM-SHA256', 'AES128-SHA'], ['nonsense']).map(one => [one]),
  subjectAltNames: pick(['client.example', 'spiffe://cluster.local/ns/a/sa/web']).map(one => [one]),
})
const ending = fc
  .tuple(pick(['SIMPLE', 'MUTUAL', 'OPTIONAL_MUTUAL']), certificate, limits)
  .map(([mode, by, more]): Body => ({ mode, ...by, ...more }))
const ended = fc.oneof(
  { arbitrary: ending, weight: 3 },
  { arbitrary: fc.constant<Body>({ mode: 'ISTIO_MUTUAL' }), weight: 1 },
)
const through = pick(['PASSTHROUGH', 'AUTO_PASSTHROUGH']).map((mode): Body => ({ mode }))

/** Protocols, each with the TLS settings that it takes. */
const taken = fc.oneof(
  {
    arbitrary: pick(['HTTP', 'HTTP2', 'GRPC']).map((protocol): Body => ({ protocol, tls: undefined })),
    weight: 3,
  },
  {
    arbitrary: fc.constant<Body>({ protocol: 'HTTP', tls: { httpsRedirect: true } }),
    weight: 1,
  },
  { arbitrary: ended.map((tls): Body => ({ protocol: 'HTTPS', tls })), weight: 3 },
  { arbitrary: fc.oneof(ended, through).map((tls): Body => ({ protocol: 'TLS', tls })), weight: 3 },
  { arbitrary: through.map((tls): Body => ({ protocol: 'HTTPS', tls })), weight: 1 },
  { arbitrary: pick(['TCP', 'MONGO']).map((protocol): Body => ({ protocol, tls: undefined })), weight: 2 },
)

const server = (name: string) =>
  fc
    .record({
      number: pick(portNumbers),
      hosts: fc.array(mostly([...HOSTS, ...SCOPED], ['10.1.0.1']), { minLength: 1, maxLength: 2 }),
      how: taken,
      more: some({ bind: pick(['10.1.0.5', '127.0.0.1']), name: pick(['server']) }),
    })
    .map(
      ({ number, hosts, how: { protocol, tls }, more }): Body => ({
        port: { number, name, protocol },
        hosts,
        ...(tls ? { tls } : {}),
        ...more,
      }),
    )

/** The `spec` of an Istio Gateway, mostly one of the workloads that are looked at. */
export const randomGateway = fc
  .record({
    servers: fc.oneof(
      server('one').map(one => [one]),
      fc.tuple(server('one'), server('two')),
    ),
    selector: fc.oneof(
      { arbitrary: fc.constant<Body>({ selector: SERVED_BY }), weight: 4 },
      { arbitrary: fc.constant<Body>({}), weight: 1 },
      { arbitrary: labels.map((selector): Body => ({ selector })), weight: 1 },
    ),
  })
  .map(({ servers, selector }): Body => ({ ...selector, servers }))

const destination = pick(['web', 'web.a.svc.cluster.local', 'db']).chain(host =>
  some({ port: fc.constant({ number: 80 }), subset: label }).map(more => ({ host, ...more })),
)
const bound = fc.array(pick(['edge', 'a/edge', 'mesh', 'other']), { minLength: 1, maxLength: 2 })

function connections(more: Record<string, fc.Arbitrary<unknown>>, always: Body) {
  return fc.record({
    match: fc.array(
      some({
        port: pick(portNumbers),
        destinationSubnets: pick(['10.96.0.0/16', '10.1.0.1', '2001:db8::/32']).map(one => [one]),
        sourceLabels: labels,
        sourceNamespace: pick(['a', 'b']),
        gateways: bound,
        ...more,
      }).map(match => ({ ...match, ...always })),
      { minLength: 1, maxLength: 2 },
    ),
    route: fc
      .array(destination, { minLength: 1, maxLength: 2 })
      .map(all => all.map(one => ({ destination: one, ...(all.length > 1 ? { weight: 1 } : {}) }))),
  })
}

/** The `spec` of a VirtualService that is bound to gateways, with routes of all protocols. */
export const randomBoundVirtualService = fc
  .uniqueArray(pick(HOSTS), { minLength: 1, maxLength: 2 })
  .chain(hosts =>
    fc
      .record({
        rest: randomVirtualService,
        gateways: bound,
        routes: some({
          tls: fc.array(connections({}, { sniHosts: hosts }), { minLength: 1, maxLength: 2 }),
          tcp: fc.array(connections({ sourceSubnet: pick(['10.1.0.0/16']) }, {}), {
            minLength: 1,
            maxLength: 2,
          }),
        }),
      })
      .map(({ rest, gateways, routes }): Body => ({ ...(rest['spec'] as Body), hosts, gateways, ...routes })),
  )
