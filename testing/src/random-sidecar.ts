import fc from 'fast-check'
import { hosts, labels, mostly, pick, portNumbers } from './random-words.ts'

const HOSTS = [
  '*/*',
  './*',
  'a/*',
  'b/web.b.svc.cluster.local',
  '*/web.a.svc.cluster.local',
  '*/*.example.com',
  'b/*.cluster.local',
  '~/*',
  '~a/web.a.svc.cluster.local',
  ...hosts.map(host => `*/${host}`),
]

const captureMode = pick(['DEFAULT', 'IPTABLES', 'NONE'])
const outsideMode = pick(['ALLOW_ANY', 'REGISTRY_ONLY'])
const proxyHost = pick(['web.a.svc.cluster.local', 'api', 'nobody.example'])

const egressListener = fc.record(
  {
    port: fc.record(
      {
        number: mostly([...portNumbers], [0]),
        protocol: mostly(['HTTP', 'TCP', 'GRPC', 'TLS'], ['HTTP_PROXY']),
        name: pick(['one', 'two']),
      },
      { requiredKeys: ['number'] },
    ),
    bind: mostly(['127.0.0.1', '10.9.9.9', '::1'], ['unix:///run/a.sock', 'nonsense']),
    captureMode,
    hosts: fc.array(pick(HOSTS), { minLength: 1, maxLength: 3 }),
  },
  { requiredKeys: ['hosts'] },
)

const restListener = fc.record(
  { captureMode, hosts: fc.array(pick(HOSTS), { minLength: 1, maxLength: 3 }) },
  { requiredKeys: ['hosts'] },
)

const egress = fc
  .tuple(
    fc.uniqueArray(egressListener, { maxLength: 2, selector: ({ port }) => port?.number }),
    fc.option(restListener, { nil: undefined }),
  )
  .map(([listeners, rest]) => [...listeners, ...(rest ? [rest] : [])])

const connectionPool = fc.record(
  {
    tcp: fc.record({ maxConnections: fc.constant(7), idleTimeout: pick(['3s']) }, { requiredKeys: [] }),
    http: fc.record({ maxRetries: fc.constant(2), h2UpgradePolicy: pick(['UPGRADE']) }, { requiredKeys: [] }),
  },
  { requiredKeys: [] },
)

const ingressListener = fc.record(
  {
    port: fc.record(
      {
        number: pick(portNumbers),
        protocol: pick(['HTTP', 'TCP', 'GRPC', 'TLS', 'HTTPS']),
        name: pick(['in']),
      },
      { requiredKeys: ['number', 'protocol'] },
    ),
    bind: mostly(['10.1.0.1', '::1'], ['0.0.0.0', 'nonsense']),
    captureMode,
    defaultEndpoint: mostly(
      ['127.0.0.1:8080', '0.0.0.0:8081', '[::1]:80', '[::]:81', 'unix:///run/app.sock'],
      ['10.1.0.1:80'],
    ),
    connectionPool,
    tls: fc.record(
      {
        mode: mostly(['SIMPLE', 'MUTUAL', 'OPTIONAL_MUTUAL'], ['PASSTHROUGH']),
        serverCertificate: fc.constant('/cert.pem'),
        privateKey: fc.constant('/key.pem'),
        caCertificates: fc.constant('/ca.pem'),
        minProtocolVersion: pick(['TLSV1_2', 'TLSV1_3']),
      },
      { requiredKeys: ['mode', 'serverCertificate', 'privateKey', 'caCertificates'] },
    ),
  },
  { requiredKeys: ['port'] },
)

/** The body of a Sidecar, of which validation takes the most part. */
export const randomSidecar = fc.record({
  spec: fc.record(
    {
      workloadSelector: fc.record({ labels }),
      egress,
      ingress: fc.uniqueArray(ingressListener, { maxLength: 2, selector: ({ port }) => port.number }),
      inboundConnectionPool: connectionPool,
      outboundTrafficPolicy: fc.oneof(
        fc.record({ mode: outsideMode }, { requiredKeys: [] }),
        fc.record({
          mode: fc.constant('ALLOW_ANY'),
          egressProxy: fc.record({ host: proxyHost, port: fc.record({ number: pick(portNumbers) }) }),
        }),
      ),
    },
    { requiredKeys: [] },
  ),
})
