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

/** The body of a Sidecar, of which validation takes the most part. */
export const randomSidecar = fc.record({
  spec: fc.record(
    {
      workloadSelector: fc.record({ labels }),
      egress,
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
