import { z } from 'zod'
import { hostProblem } from '../fields/names.ts'
import {
  checkedBy,
  countField as count,
  durationField,
  headerNameField,
  oneOf,
  portField,
  positiveDuration,
  secondsDuration,
} from '../fields.ts'
import { isIpAddress } from '../ip.ts'
import { localityLbSetting, zoneAwareLbSetting } from './locality.ts'

/** Probes of idle connections. */
export const tcpKeepalive = z.strictObject({
  probes: count.optional().describe('How many may go unanswered'),
  time: secondsDuration.optional().describe('How long a connection is idle before the first'),
  interval: secondsDuration.optional().describe('Time between them'),
})

/** Istio `ConnectionPoolSettings`. */
export const connectionPoolField = z.strictObject({
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
      http2KeepAlive: z
        .strictObject({
          interval: positiveDuration.describe('Time between pings'),
          timeout: positiveDuration.describe('How long an answer may take'),
        })
        .optional()
        .describe('Pings on HTTP/2 connections'),
    })
    .refine(http => !(http.useClientProtocol && http.h2UpgradePolicy === 'UPGRADE'), {
      path: ['useClientProtocol'],
      message: 'h2UpgradePolicy UPGRADE decides the protocol: only one of the two can be set',
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

const cookieAttributes = z
  .array(
    z.strictObject({
      name: z.string().min(1, 'an attribute has a name').describe('Its name'),
      value: z.string().optional().describe('Its value'),
    }),
  )
  .superRefine((attributes, context) => {
    for (const [index, { name }] of attributes.entries())
      if (attributes.findIndex(other => other.name === name) < index)
        context.addIssue({
          code: 'custom',
          path: [index, 'name'],
          message: `there is already an attribute ${name}`,
        })
  })

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
        attributes: cookieAttributes.optional().describe('More attributes, such as `SameSite`'),
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

const loadBalancer = z
  .strictObject({
    simple: z
      .enum(['UNSPECIFIED', 'LEAST_CONN', 'RANDOM', 'PASSTHROUGH', 'ROUND_ROBIN', 'LEAST_REQUEST'])
      .optional()
      .describe('`LEAST_REQUEST` unless it is said; `LEAST_CONN` is its older name'),
    consistentHash: consistentHash.optional().describe('The same endpoint for the same of something'),
    localityLbSetting: localityLbSetting.optional().describe('Endpoints by place'),
    zoneAwareLbSetting: zoneAwareLbSetting.optional().describe('Endpoints of the own zone first'),
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
  .superRefine(oneOf(['localityLbSetting', 'zoneAwareLbSetting']))
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

export const outlierDetection = z
  .strictObject({
    splitExternalLocalOriginErrors: z
      .boolean()
      .optional()
      .describe('Count failures to connect apart from answers'),
    consecutiveLocalOriginFailures: count.optional().describe('Failures to connect in a row'),
    consecutiveGatewayErrors: count
      .optional()
      .describe('Answers of 502, 503 and 504 in a row; 0 turns it off'),
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
      .describe(
        'At most this share of the endpoints is left out; 10 unless it is said, which of fewer than ten endpoints is none',
      ),
    minHealthPercent: z
      .int()
      .min(0)
      .max(100)
      .optional()
      .describe('With a smaller share of healthy endpoints, all are used; 0 unless it is said'),
    outlierDetectionHttpErrorCodes: z
      .array(z.int().min(100, 'a status is 100 to 599').max(599, 'a status is 100 to 599'))
      .optional()
      .describe('Answers that count as failures, in place of 5xx'),
  })
  .refine(outlier => outlier.splitExternalLocalOriginErrors || !outlier.consecutiveLocalOriginFailures, {
    path: ['consecutiveLocalOriginFailures'],
    message: 'counts only with splitExternalLocalOriginErrors: true',
  })

/** Istio `ClientTLSSettings`. */
export const clientTlsField = z
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
    credentialName: z
      .string()
      .optional()
      .describe(
        "Secret in the client's own namespace, a sidecar's or a gateway's: `tls.crt` and `tls.key` for MUTUAL, and the roots to trust as `ca.crt`, in it or in one called `<name>-cacert`. Where it is missing, connections fail. In Istio, sidecars ignore the whole of `tls` with it in a rule without `workloadSelector`; here they do as it says",
      ),
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
    if (tls.credentialName)
      for (const field of ['clientCertificate', 'privateKey', 'caCertificates', 'caCrl'] as const)
        if (tls[field])
          context.addIssue({
            code: 'custom',
            path: [field],
            message: 'is in the secret that credentialName names: leave it out',
          })
    if (tls.insecureSkipVerify)
      for (const field of ['caCertificates', 'subjectAltNames'] as const)
        if (tls[field] !== undefined)
          context.addIssue({
            code: 'custom',
            path: [field],
            message: 'insecureSkipVerify verifies nothing: leave one of the two out',
          })
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
  connectionPool: connectionPoolField.optional().describe('Limits'),
  outlierDetection: outlierDetection.optional().describe('When an endpoint is left out for failing'),
  tls: clientTlsField.optional().describe('TLS towards the service'),
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

/** Istio `TrafficPolicy`. */
export const trafficPolicyField = z
  .strictObject({
    ...portPolicy,
    portLevelSettings: portLevelSettings.optional().describe('Policies for single ports'),
    tunnel: z
      .strictObject({
        protocol: z.enum(['CONNECT', 'POST']).optional().describe('The method that asks for it; `CONNECT`'),
        targetHost: z
          .string()
          .superRefine(checkedBy(host => (isIpAddress(host) ? undefined : hostProblem(host))))
          .describe('Where the proxy leads to'),
        targetPort: portField.describe('The port there'),
      })
      .optional()
      .describe('Reach it through a proxy'),
    proxyProtocol: z
      .strictObject({ version: z.enum(['V1', 'V2']).optional().describe('Its version; `V1`') })
      .optional()
      .describe('Say who called, by the PROXY protocol'),
    retryBudget: z
      .strictObject({
        percent: z.number().min(0).max(100).optional().describe('Of the requests at once'),
        minRetryConcurrency: count.optional().describe('At least this many at once'),
        budgetInterval: durationField.optional().describe('How long requests count'),
      })
      .optional()
      .describe('Retries in proportion to requests'),
  })
  .superRefine(oneOf(['tunnel', 'proxyProtocol']))
  .refine(
    policy => Object.values(policy).some(value => value !== undefined),
    'is empty: set one of its fields',
  )

export type TrafficPolicy = z.infer<typeof trafficPolicyField>
export type PortTrafficPolicy = Pick<
  TrafficPolicy,
  'loadBalancer' | 'connectionPool' | 'outlierDetection' | 'tls'
>
export type ConnectionPoolSettings = z.infer<typeof connectionPoolField>
export type LoadBalancerSettings = z.infer<typeof loadBalancer>
export type ConsistentHash = z.infer<typeof consistentHash>
export type OutlierDetection = z.infer<typeof outlierDetection>
export type ClientTlsSettings = z.infer<typeof clientTlsField>
