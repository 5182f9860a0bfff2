import { z } from 'zod'
import {
  durationField,
  exportToField,
  headerNameField,
  hostField,
  labelsField,
  oneOf,
  portField,
  positiveDuration,
  secondsDuration,
  workloadSelectorField,
} from '../fields.ts'
import type { Resource } from '../resource.ts'

const count = z.int().min(0).max(0xffffffff)

const tcpKeepalive = z.strictObject({
  probes: count.optional().describe('How many may go unanswered'),
  time: secondsDuration.optional().describe('How long a connection is idle before the first'),
  interval: secondsDuration.optional().describe('Time between them'),
})

const connectionPool = z.strictObject({
  tcp: z
    .strictObject({
      maxConnections: count
        .optional()
        .describe('At most this many at once, for each sidecar; no limit unless it is said'),
      connectTimeout: positiveDuration
        .optional()
        .describe("How long connecting may take; the mesh's `connectTimeout` unless it is said"),
      tcpKeepalive: tcpKeepalive.optional().describe('Probes of idle connections'),
      maxConnectionDuration: positiveDuration.optional().describe('Connections end after this'),
      idleTimeout: durationField.optional().describe('Connections end when nothing was sent for so long'),
    })
    .optional()
    .describe('Connections'),
  http: z
    .strictObject({
      http1MaxPendingRequests: count.optional().describe('At most this many waiting for a connection'),
      http2MaxRequests: count.optional().describe('At most this many at once'),
      maxRequestsPerConnection: count.optional().describe('A connection ends after this many'),
      maxRetries: count.optional().describe('At most this many retries at once'),
      idleTimeout: durationField.optional().describe('Connections without requests end after this'),
      h2UpgradePolicy: z
        .enum(['DEFAULT', 'DO_NOT_UPGRADE', 'UPGRADE'])
        .optional()
        .describe('Whether HTTP/1.1 goes as HTTP/2; between sidecars it does unless `DO_NOT_UPGRADE`'),
      useClientProtocol: z.boolean().optional().describe('Speak what the client speaks'),
      maxConcurrentStreams: z
        .int()
        .min(1)
        .max(0x7fffffff)
        .optional()
        .describe('Requests at once on one HTTP/2 connection'),
    })
    .optional()
    .describe('Requests'),
})

/** Envoy's largest hash ring. */
const ringSize = z.int().min(0).max(8_388_608)
/** Envoy's largest Maglev table; its size must be prime. */
const tableSize = z.int().min(2).max(5_000_011).refine(isPrime, 'must be a prime number')

function isPrime(value: number): boolean {
  for (let divisor = 2; divisor * divisor <= value; divisor++) if (value % divisor === 0) return false
  return value > 1
}

const consistentHash = z
  .strictObject({
    httpHeaderName: headerNameField
      .optional()
      .describe('Equal values of this header go to the same endpoint'),
    httpCookie: z
      .strictObject({
        name: headerNameField.describe("The cookie's name"),
        path: z.string().optional().describe('Its path'),
        ttl: durationField.optional().describe('How long it lives; 0s for as long as the browser runs'),
      })
      .optional()
      .describe('Equal values of this cookie do; it is set where it is missing and `ttl` is given'),
    useSourceIp: z
      .literal(true, 'must be true, or left out')
      .optional()
      .describe('Equal addresses of the caller do'),
    httpQueryParameterName: z.string().min(1).optional().describe('Equal values of this query parameter do'),
    ringHash: z
      .strictObject({
        minimumRingSize: ringSize.optional().describe('1024 unless it is said'),
      })
      .optional()
      .describe('By a hash ring'),
    maglev: z
      .strictObject({ tableSize: tableSize.optional().describe('A prime number; 65537 unless it is said') })
      .optional()
      .describe('By a Maglev table'),
    minimumRingSize: ringSize.optional().describe('The older form of `ringHash.minimumRingSize`'),
  })
  .superRefine(oneOf(['httpHeaderName', 'httpCookie', 'useSourceIp', 'httpQueryParameterName'], true))
  .superRefine(oneOf(['ringHash', 'maglev', 'minimumRingSize']))

const localityLbSetting = z
  .strictObject({
    distribute: z
      .array(z.strictObject({ from: z.string(), to: z.record(z.string(), z.int().min(0).max(100)) }))
      .optional()
      .describe('Shares by place'),
    failover: z
      .array(z.strictObject({ from: z.string(), to: z.string() }))
      .optional()
      .describe('Where to when a place fails'),
    failoverPriority: z.array(z.string()).optional().describe('Labels by which endpoints are preferred'),
    enabled: z.boolean().optional().describe('Whether place counts'),
  })
  .superRefine(oneOf(['distribute', 'failover']))
  .superRefine(oneOf(['distribute', 'failoverPriority']))

const loadBalancer = z
  .strictObject({
    simple: z
      .enum(['UNSPECIFIED', 'LEAST_CONN', 'RANDOM', 'PASSTHROUGH', 'ROUND_ROBIN', 'LEAST_REQUEST'])
      .optional()
      .describe('`LEAST_REQUEST` unless it is said; `LEAST_CONN` is its older name'),
    consistentHash: consistentHash.optional().describe('The same endpoint for the same of something'),
    localityLbSetting: localityLbSetting.optional().describe('Endpoints by place'),
    warmupDurationSecs: positiveDuration.optional().describe('The older form of `warmup.duration`'),
    warmup: z
      .strictObject({
        duration: positiveDuration.describe('How long it takes'),
        minimumPercent: z
          .number()
          .min(0)
          .max(100)
          .optional()
          .describe('Of its share, what an endpoint begins with; 10 unless it is said'),
        aggression: z.number().min(1).optional().describe('How fast the share grows: 1 is steadily'),
      })
      .optional()
      .describe('New endpoints get their share step by step'),
  })
  .superRefine(oneOf(['simple', 'consistentHash']))
  .superRefine(oneOf(['warmup', 'warmupDurationSecs']))
  .superRefine((settings, context) => {
    const warming = settings.warmup ? 'warmup' : 'warmupDurationSecs'
    const spreads = ['RANDOM', 'PASSTHROUGH'].includes(settings.simple ?? '') || settings.consistentHash
    if (settings[warming] && spreads)
      context.addIssue({
        code: 'custom',
        path: [warming],
        message: 'goes with ROUND_ROBIN and LEAST_REQUEST only',
      })
  })

const outlierDetection = z.strictObject({
  splitExternalLocalOriginErrors: z
    .boolean()
    .optional()
    .describe('Count failures to connect apart from answers'),
  consecutiveLocalOriginFailures: count.optional().describe('Failures to connect in a row'),
  consecutiveGatewayErrors: count.optional().describe('Answers of 502, 503 and 504 in a row; 0 turns it off'),
  consecutive5xxErrors: count
    .optional()
    .describe('Answers of 5xx in a row; 5 unless it is said, 0 turns it off'),
  consecutiveErrors: z.int().optional().describe('The older form of `consecutiveGatewayErrors`'),
  interval: positiveDuration.optional().describe('How often it is looked at; 10s unless it is said'),
  baseEjectionTime: positiveDuration
    .optional()
    .describe('How long an endpoint is left out the first time; 30s unless it is said'),
  maxEjectionPercent: z
    .int()
    .min(0)
    .max(100)
    .optional()
    .describe('At most this share of the endpoints is left out; 10 unless it is said'),
  minHealthPercent: z
    .int()
    .min(0)
    .max(100)
    .optional()
    .describe('With a smaller share of healthy endpoints, all are used; 0 unless it is said'),
})

const clientTls = z
  .strictObject({
    mode: z
      .enum(['DISABLE', 'SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL'])
      .optional()
      .describe(
        "No TLS, TLS, TLS with a certificate of the client, or the mesh's own. Between sidecars, `ISTIO_MUTUAL` holds unless it is said",
      ),
    clientCertificate: z.string().optional().describe("File with the client's certificate, in the pod"),
    privateKey: z.string().optional().describe('File with its key, in the pod'),
    caCertificates: z
      .string()
      .optional()
      .describe("File with the roots to trust, in the pod; the system's unless it is said"),
    credentialName: z.string().optional().describe('Secret with certificate and key'),
    subjectAltNames: z
      .array(z.string())
      .optional()
      .describe("Names of which the server's certificate must have one; `sni` or the host unless it is said"),
    sni: z.string().optional().describe('The server name to ask for; the host unless it is said'),
    insecureSkipVerify: z.boolean().optional().describe('Trust any certificate'),
    caCrl: z.string().optional().describe('File with certificates that are revoked, in the pod'),
  })
  .superRefine((tls, context) => {
    if (tls.mode === undefined || tls.mode === 'DISABLE') {
      for (const field of Object.keys(tls).filter(key => key !== 'mode'))
        context.addIssue({
          code: 'custom',
          path: [field],
          message: 'goes with mode SIMPLE, MUTUAL or ISTIO_MUTUAL',
        })
    }
    if (tls.mode === 'MUTUAL' && !tls.credentialName && (!tls.clientCertificate || !tls.privateKey)) {
      context.addIssue({
        code: 'custom',
        path: ['mode'],
        message: 'MUTUAL needs clientCertificate and privateKey, or credentialName',
      })
    }
    const files = tls.clientCertificate ?? tls.privateKey ?? tls.caCertificates
    if (tls.mode === 'ISTIO_MUTUAL' && (files ?? tls.credentialName)) {
      context.addIssue({
        code: 'custom',
        path: ['mode'],
        message: "ISTIO_MUTUAL uses the mesh's own certificates: leave the certificate fields out",
      })
    }
  })

const portPolicy = {
  loadBalancer: loadBalancer.optional().describe('How endpoints are chosen'),
  connectionPool: connectionPool.optional().describe('Limits'),
  outlierDetection: outlierDetection.optional().describe('When an endpoint is left out for failing'),
  tls: clientTls.optional().describe('TLS towards the service'),
}

const portLevelSettings = z
  .array(
    z.strictObject({
      port: z.strictObject({
        number: portField.describe(
          'The port of the service. What stands here holds for it in place of the whole policy',
        ),
      }),
      ...portPolicy,
    }),
  )
  .superRefine((settings, context) => {
    const seen = new Set<number>()
    for (const [index, { port }] of settings.entries()) {
      if (seen.has(port.number))
        context.addIssue({
          code: 'custom',
          path: [index, 'port', 'number'],
          message: `there are settings for port ${port.number} already`,
        })
      seen.add(port.number)
    }
  })

const trafficPolicy = z.strictObject({
  ...portPolicy,
  portLevelSettings: portLevelSettings.optional().describe('Policies for single ports'),
  tunnel: z
    .strictObject({
      protocol: z.enum(['CONNECT', 'POST']).optional(),
      targetHost: z.string(),
      targetPort: portField,
    })
    .optional()
    .describe('Reach it through a proxy'),
  proxyProtocol: z
    .strictObject({ version: z.enum(['V1', 'V2']).optional() })
    .optional()
    .describe('Say who called, by the PROXY protocol'),
  retryBudget: z
    .strictObject({ percent: z.number().min(0).max(100).optional(), minRetryConcurrency: count.optional() })
    .optional()
    .describe('Retries in proportion to requests'),
})

const subset = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9A-Z]([-a-z0-9A-Z.]*[a-z0-9A-Z])?$/, 'a subset name is letters, digits, "-" and "."')
    .describe('What routes call it'),
  labels: labelsField.optional().describe('Labels of the pods that it consists of'),
  trafficPolicy: trafficPolicy.optional().describe('What holds for it, over that of the rule'),
})

/** Istio `DestinationRule`: what applies to a service's traffic after routing. */
export const destinationRuleSpec = z
  .strictObject({
    host: hostField.describe('The service, or several by a wildcard such as `*.example.com`'),
    trafficPolicy: trafficPolicy.optional().describe('What holds for all of the service'),
    subsets: z.array(subset).optional().describe('Versions of the service'),
    exportTo: exportToField.describe(
      'Namespaces whose clients it holds for; all unless it is said. `.` is its own',
    ),
    workloadSelector: workloadSelectorField.optional().describe('Callers that it holds for'),
  })
  .superRefine((spec, context) => {
    const seen = new Set<string>()
    for (const [index, { name }] of (spec.subsets ?? []).entries()) {
      if (seen.has(name))
        context.addIssue({
          code: 'custom',
          path: ['subsets', index, 'name'],
          message: `there is already a subset ${name}: names must differ`,
        })
      seen.add(name)
    }
  })

export type DestinationRuleSpec = z.infer<typeof destinationRuleSpec>
export type DestinationRule = Resource<'DestinationRule', DestinationRuleSpec>
export type TrafficPolicy = z.infer<typeof trafficPolicy>
export type PortTrafficPolicy = Pick<
  TrafficPolicy,
  'loadBalancer' | 'connectionPool' | 'outlierDetection' | 'tls'
>
export type Subset = z.infer<typeof subset>
export type ConnectionPoolSettings = z.infer<typeof connectionPool>
export type LoadBalancerSettings = z.infer<typeof loadBalancer>
export type ConsistentHash = z.infer<typeof consistentHash>
export type OutlierDetection = z.infer<typeof outlierDetection>
export type ClientTlsSettings = z.infer<typeof clientTls>
