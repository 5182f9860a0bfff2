import { z } from 'zod'
import { durationField, namespaceField, positiveDuration } from '../fields.ts'
import { labelSelectorField } from '../gateway/common.ts'
import { retries } from '../networking/http-actions.ts'
import { localityLbSetting } from '../networking/locality.ts'
import { isCipherSuite } from '../networking/server-tls.ts'
import { connectionPoolField, outlierDetection, tcpKeepalive } from '../networking/traffic-policy.ts'
import { certificatesField } from './certificates-field.ts'
import { defaultProviders, extensionProviders, providerNamed, unsupportedIn } from './extension-providers.ts'
import { empty, fixed } from './fixed-setting.ts'
import { outboundTrafficPolicy } from './outbound-traffic-policy.ts'
import { proxySettings } from './proxy-settings.ts'

const minProtocolVersion = z
  .enum(['TLS_AUTO', 'TLSV1_2', 'TLSV1_3'])
  .optional()
  .describe('The oldest version of TLS; 1.2 unless it is said')
const cipherSuites = z
  .array(z.string().refine(isCipherSuite, 'is no cipher suite that Envoy has, by the name of OpenSSL'))
  .optional()
  .describe("For TLS 1.2, by OpenSSL's names; Envoy's own choice unless it is said")

const trustDomain = z
  .string()
  .regex(/^[a-z0-9._-]+$/, 'a trust domain is lower-case letters, digits, ".", "-" and "_"')
/** Ports on which an agent or its Envoy listens for itself. */
const OWN_PORTS: ReadonlySet<number> = new Set([15000, 15001, 15006, 15020, 15021, 15053, 15090])

const exportTo = (what: string) =>
  z
    .array(namespaceField.or(z.enum(['.', '*'])))
    .min(1)
    .default(['*'])
    .describe(`Where ${what} without exportTo hold: namespaces, \`.\` for their own, \`*\` for all`)

/** Which kind of provider can do what by default here, and why no other. */
const PURPOSES = {
  metrics: { are: ['prometheus'], reason: 'metrics are for Prometheus only' },
  accessLogging: {
    are: ['envoyFileAccessLog', 'envoyOtelAls'],
    reason:
      'access logs go to a file, to standard output or over OTLP: name a provider with envoyFileAccessLog or envoyOtelAls',
  },
  tracing: { are: ['opentelemetry'], reason: 'spans go over OTLP only: name a provider with opentelemetry' },
} as const

/** What applies to the mesh as a whole: the `mesh` entry of the ConfigMap `istio` (or `seine`) in the root namespace. */
export const meshConfigSchema = z
  .strictObject({
    trustDomain: trustDomain
      .default('cluster.local')
      .describe('The first part of every SPIFFE ID: the same as `seined --trust-domain`'),
    trustDomainAliases: z
      .array(trustDomain)
      .default([])
      .describe(
        'Identities of these trust domains are taken for those of this one: by servers, by clients, and where policies name them',
      ),
    caCertificates: z
      .array(z.strictObject({ pem: certificatesField.describe('Certificates in PEM') }))
      .optional()
      .describe("Authorities that proxies trust beside the mesh's root. Taken when a pod is injected"),
    discoverySelectors: z
      .array(labelSelectorField)
      .optional()
      .describe(
        'Which namespaces the mesh sees, by their labels: those that one of these selects; all where there are none',
      ),
    rootNamespace: namespaceField.default('istio-system').describe('Resources here apply to the whole mesh'),
    outboundTrafficPolicy: outboundTrafficPolicy
      .default({ mode: 'ALLOW_ANY' })
      .describe('What happens to a call to a host that no service has'),
    inboundTrafficPolicy: z
      .strictObject({ mode: z.enum(['PASSTHROUGH', 'LOCALHOST']) })
      .default({ mode: 'PASSTHROUGH' })
      .describe(
        'Where a sidecar calls the application for ports that a service has: at the address that was called, or at 127.0.0.1 (of a workload with IPv6 only, ::1)',
      ),
    enableAutoMtls: z
      .boolean()
      .default(true)
      .describe('Sidecars use mTLS to each other where no DestinationRule says otherwise'),
    enableTracing: z.boolean().default(true).describe('Sidecars send spans'),
    accessLogFile: z
      .string()
      .regex(/^(\/[^\p{Cc}]*)?$/u, 'must be the path of a file, from /, or empty')
      .default('/dev/stdout')
      .describe('Where sidecars write access logs; empty for nowhere'),
    accessLogFormat: z
      .string()
      .default('')
      .describe(
        "A line in Envoy's format, or with the encoding JSON a JSON object of such; Istio's unless it is said",
      ),
    accessLogEncoding: z.enum(['TEXT', 'JSON']).default('JSON').describe('How they are written'),
    connectTimeout: positiveDuration.default('10s').describe('For a TCP connection to an endpoint'),
    tcpKeepalive: tcpKeepalive
      .optional()
      .describe('Probes of idle connections to services, where no DestinationRule says otherwise'),
    protocolDetectionTimeout: durationField
      .default('5s')
      .describe('How long a listener waits for the first bytes to tell the protocol'),
    localityLbSetting: localityLbSetting
      .default({ enabled: true })
      .describe('How place counts where no DestinationRule says otherwise'),
    h2UpgradePolicy: z
      .enum(['DO_NOT_UPGRADE', 'UPGRADE'])
      .optional()
      .describe(
        'Whether HTTP/1.1 goes to services as HTTP/2, where no DestinationRule says otherwise. Unless it is said, between sidecars only',
      ),
    dnsRefreshRate: positiveDuration
      .default('60s')
      .describe('How often names are looked up whose answers do not say how long they hold'),
    defaultHttpRetryPolicy: retries
      .optional()
      .describe('What is retried where a route does not say; as a whole in place of the built-in policy'),
    pathNormalization: z
      .strictObject({
        normalization: z
          .enum(['DEFAULT', 'NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES'])
          .default('DEFAULT')
          .describe(
            '`BASE`, the default, resolves `/./`, `/../` and backslashes; the next makes one slash of several; the last decodes `%2F` and `%5C` before that',
          ),
      })
      .prefault({})
      .describe('What becomes of paths before anything looks at them'),
    proxyHttpPort: z
      .int()
      .min(0)
      .max(65_535)
      .refine(port => !OWN_PORTS.has(port), 'the sidecar needs this port for itself')
      .default(0)
      .describe(
        'Where sidecars are an HTTP proxy for their application, on loopback; nowhere unless it is said. Requests name what they are for in full (`GET http://reviews:9080/`): any service that speaks HTTP, on any of its ports',
      ),
    defaultTrafficPolicy: z
      .strictObject({
        connectionPool: connectionPoolField
          .optional()
          .describe("Limits, for what comes to a workload's own ports and for unknown hosts too"),
        outlierDetection: outlierDetection.optional().describe('When an endpoint is left out for failing'),
      })
      .optional()
      .describe(
        'For calls of services, where a DestinationRule does not say the same block, and a Sidecar none for its ports',
      ),
    defaultServiceExportTo: exportTo('Services and ServiceEntries'),
    defaultVirtualServiceExportTo: exportTo('VirtualServices'),
    defaultDestinationRuleExportTo: exportTo('DestinationRules'),
    meshMTLS: z
      .strictObject({ minProtocolVersion, cipherSuites })
      .optional()
      .describe('What the called side takes of mutual TLS between proxies'),
    tlsDefaults: z
      .strictObject({
        minProtocolVersion,
        cipherSuites,
        ecdhCurves: z
          .array(z.enum(['X25519MLKEM768', 'X25519', 'P-256', 'P-384', 'P-521']))
          .optional()
          .describe('Which curves, the preferred first'),
      })
      .optional()
      .describe(
        'For all other TLS of proxies, where a Gateway, Sidecar or DestinationRule does not say otherwise',
      ),
    extensionProviders: extensionProviders
      .optional()
      .describe(
        'Definitions that others refer to by name. One that nothing refers to has no effect: a warning says so',
      ),
    defaultProviders: defaultProviders
      .default({})
      .describe('Which providers are used where nothing says otherwise'),
    enablePrometheusMerge: z
      .boolean()
      .default(true)
      .describe(
        "An application's metrics are served with its sidecar's, where the pod's annotation `prometheus.istio.io/merge-metrics` does not say otherwise. Taken when a pod is injected",
      ),
    proxyListenPort: fixed(15001, 'the capture rules lead there'),
    proxyInboundListenPort: fixed(15006, 'the capture rules lead there'),
    ingressControllerMode: fixed('OFF', 'the kind Ingress is not read: use Gateway or the Gateway API'),
    enableEnvoyAccessLogService: fixed(
      false,
      'access logs go to a file or to standard output: see accessLogFile',
    ),
    verifyCertificateAtClient: fixed(
      true,
      'certificates are always verified, unless insecureSkipVerify is said',
    ),
    disableEnvoyListenerLog: fixed(true, 'listeners have no access log of their own'),
    certificates: empty('deprecated, and only of Kubernetes'),
    configSources: empty('configuration comes from folders: see seined --config'),
    serviceSettings: z
      .array(
        z.strictObject({
          settings: z
            .strictObject({
              clusterLocal: fixed(true, 'there is one cluster, so every service is local to it'),
            })
            .optional(),
          hosts: z.array(z.string()).optional(),
        }),
      )
      .optional()
      .describe('Which services are of one cluster alone. There is one cluster'),
    defaultConfig: proxySettings.prefault({}).describe('What holds for all proxies'),
  })
  .superRefine(({ extensionProviders: defined = [], defaultProviders: used }, context) => {
    for (const [purpose, { are, reason }] of Object.entries(PURPOSES))
      for (const [index, name] of (used[purpose as keyof typeof used] ?? []).entries()) {
        const provider = providerNamed(name, defined)
        const fits = provider !== undefined && are.some(kind => kind in provider)
        const limit = fits ? unsupportedIn(provider) : undefined
        if (fits && !limit) continue
        const message = limit ?? (provider ? reason : `there is no provider ${name}`)
        context.addIssue({ code: 'custom', path: ['defaultProviders', purpose, index], message })
      }
  })
  .superRefine(({ accessLogEncoding, accessLogFormat }, context) => {
    if (accessLogEncoding !== 'JSON' || accessLogFormat === '' || isObject(accessLogFormat)) return
    context.addIssue({
      code: 'custom',
      path: ['accessLogFormat'],
      message: 'must be a JSON object with the encoding JSON',
    })
  })

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}

/** The mesh's trust domain, and those whose identities are taken for its own. */
export function trustDomainsOf({
  trustDomain,
  trustDomainAliases,
}: Pick<MeshConfig, 'trustDomain' | 'trustDomainAliases'>): readonly string[] {
  return [...new Set([trustDomain, ...trustDomainAliases])]
}

/** The mesh-wide settings, complete. */
export type MeshConfig = z.infer<typeof meshConfigSchema>

/** The settings of a mesh that has none written down. */
export const defaultMeshConfig: MeshConfig = meshConfigSchema.parse({})
