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
  probes: count.optional(),
  time: secondsDuration.optional(),
  interval: secondsDuration.optional(),
})

const connectionPool = z.strictObject({
  tcp: z
    .strictObject({
      maxConnections: count.optional(),
      connectTimeout: positiveDuration.optional(),
      tcpKeepalive: tcpKeepalive.optional(),
      maxConnectionDuration: positiveDuration.optional(),
      idleTimeout: durationField.optional(),
    })
    .optional(),
  http: z
    .strictObject({
      http1MaxPendingRequests: count.optional(),
      http2MaxRequests: count.optional(),
      maxRequestsPerConnection: count.optional(),
      maxRetries: count.optional(),
      idleTimeout: durationField.optional(),
      h2UpgradePolicy: z.enum(['DEFAULT', 'DO_NOT_UPGRADE', 'UPGRADE']).optional(),
      useClientProtocol: z.boolean().optional(),
      maxConcurrentStreams: z.int().min(1).max(0x7fffffff).optional(),
    })
    .optional(),
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
    httpHeaderName: headerNameField.optional(),
    httpCookie: z
      .strictObject({ name: headerNameField, path: z.string().optional(), ttl: durationField.optional() })
      .optional(),
    useSourceIp: z.literal(true, 'must be true, or left out').optional(),
    httpQueryParameterName: z.string().min(1).optional(),
    ringHash: z.strictObject({ minimumRingSize: ringSize.optional() }).optional(),
    maglev: z.strictObject({ tableSize: tableSize.optional() }).optional(),
    minimumRingSize: ringSize.optional(),
  })
  .superRefine(oneOf(['httpHeaderName', 'httpCookie', 'useSourceIp', 'httpQueryParameterName'], true))
  .superRefine(oneOf(['ringHash', 'maglev', 'minimumRingSize']))

const localityLbSetting = z
  .strictObject({
    distribute: z
      .array(z.strictObject({ from: z.string(), to: z.record(z.string(), z.int().min(0).max(100)) }))
      .optional(),
    failover: z.array(z.strictObject({ from: z.string(), to: z.string() })).optional(),
    failoverPriority: z.array(z.string()).optional(),
    enabled: z.boolean().optional(),
  })
  .superRefine(oneOf(['distribute', 'failover']))
  .superRefine(oneOf(['distribute', 'failoverPriority']))

const loadBalancer = z
  .strictObject({
    simple: z
      .enum(['UNSPECIFIED', 'LEAST_CONN', 'RANDOM', 'PASSTHROUGH', 'ROUND_ROBIN', 'LEAST_REQUEST'])
      .optional(),
    consistentHash: consistentHash.optional(),
    localityLbSetting: localityLbSetting.optional(),
    warmupDurationSecs: positiveDuration.optional(),
    warmup: z
      .strictObject({
        duration: positiveDuration,
        minimumPercent: z.number().min(0).max(100).optional(),
        aggression: z.number().min(1).optional(),
      })
      .optional(),
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
  splitExternalLocalOriginErrors: z.boolean().optional(),
  consecutiveLocalOriginFailures: count.optional(),
  consecutiveGatewayErrors: count.optional(),
  consecutive5xxErrors: count.optional(),
  consecutiveErrors: z.int().optional(),
  interval: positiveDuration.optional(),
  baseEjectionTime: positiveDuration.optional(),
  maxEjectionPercent: z.int().min(0).max(100).optional(),
  minHealthPercent: z.int().min(0).max(100).optional(),
})

const clientTls = z
  .strictObject({
    mode: z.enum(['DISABLE', 'SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL']).optional(),
    clientCertificate: z.string().optional(),
    privateKey: z.string().optional(),
    caCertificates: z.string().optional(),
    credentialName: z.string().optional(),
    subjectAltNames: z.array(z.string()).optional(),
    sni: z.string().optional(),
    insecureSkipVerify: z.boolean().optional(),
    caCrl: z.string().optional(),
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
  loadBalancer: loadBalancer.optional(),
  connectionPool: connectionPool.optional(),
  outlierDetection: outlierDetection.optional(),
  tls: clientTls.optional(),
}

const portLevelSettings = z
  .array(z.strictObject({ port: z.strictObject({ number: portField }), ...portPolicy }))
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
  portLevelSettings: portLevelSettings.optional(),
  tunnel: z
    .strictObject({
      protocol: z.enum(['CONNECT', 'POST']).optional(),
      targetHost: z.string(),
      targetPort: portField,
    })
    .optional(),
  proxyProtocol: z.strictObject({ version: z.enum(['V1', 'V2']).optional() }).optional(),
  retryBudget: z
    .strictObject({ percent: z.number().min(0).max(100).optional(), minRetryConcurrency: count.optional() })
    .optional(),
})

const subset = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9A-Z]([-a-z0-9A-Z.]*[a-z0-9A-Z])?$/, 'a subset name is letters, digits, "-" and "."'),
  labels: labelsField.optional(),
  trafficPolicy: trafficPolicy.optional(),
})

/** Istio `DestinationRule`: what applies to a service's traffic after routing. */
export const destinationRuleSpec = z
  .strictObject({
    host: hostField,
    trafficPolicy: trafficPolicy.optional(),
    subsets: z.array(subset).optional(),
    exportTo: exportToField,
    workloadSelector: workloadSelectorField.optional(),
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
