import type { Container, OwnProxySettings, PodSpec } from '@seine/api'
import type { Problem } from '@seine/kit'
import { SIDECAR } from './annotation-reader.ts'
import type { InjectablePod } from './inject-pod.ts'

/** Where the agent of a proxyless pod and its application meet: bootstrap, socket and certificates. */
const RUN_DIR = '/var/run/seine'
const BOOTSTRAP = `${RUN_DIR}/grpc-bootstrap.json`
const CERTIFICATES = `${RUN_DIR}/certs`

/** Annotations and settings that are about Envoy, and those that are about the agent. */
const OF_ENVOY = [
  'logLevel',
  'componentLogLevel',
  'statsInclusionPrefixes',
  'statsInclusionSuffixes',
  'statsInclusionRegexps',
  'statsHistogramBuckets',
  'statsFlushInterval',
  'statsEvictionInterval',
]
const OF_THE_AGENT = [
  'caCertificatesPem',
  'proxyMetadata',
  'image',
  'discoveryAddress',
  'holdApplicationUntilProxyStarts',
  'statusPort',
  'controlPlaneAuthPolicy',
  'sds',
  'statsCompression',
]

/** What the agent is told, beside what every agent is, to be one without an Envoy. The names are Istio's. */
export const PROXYLESS_AGENT_ENV = [
  { name: 'DISABLE_ENVOY', value: 'true' },
  { name: 'GRPC_XDS_BOOTSTRAP', value: BOOTSTRAP },
  { name: 'OUTPUT_CERTS', value: CERTIFICATES },
]

/** What a gRPC library is told: where its bootstrap is, and that it may judge calls, without which it serves nothing that policy judges. */
const APPLICATION_ENV = [
  { name: 'GRPC_XDS_BOOTSTRAP', value: BOOTSTRAP },
  { name: 'GRPC_XDS_EXPERIMENTAL_SECURITY_SUPPORT', value: 'true' },
  { name: 'GRPC_XDS_EXPERIMENTAL_RBAC', value: 'true' },
]

/** An application's container that finds what the agent writes. What its author set holds. */
export function withGrpcLibrary(container: Container): Container {
  const { env = [], volumeMounts } = container as Container & { volumeMounts?: unknown }
  const mounts = Array.isArray(volumeMounts) ? volumeMounts : []
  const added = APPLICATION_ENV.filter(({ name }) => !env.some(one => one.name === name))
  return {
    ...container,
    env: [...env, ...added],
    volumeMounts: [...mounts, { name: 'seine-run', mountPath: RUN_DIR, readOnly: true }],
  }
}

/** What makes the containers that come after an agent's wait until it is ready. */
export const UNTIL_READY = {
  lifecycle: { postStart: { exec: { command: ['seine-agent', 'wait'] } } },
} as const

/** The agent's container of a proxyless pod, from that of a sidecar: it comes first, and the others wait for it. */
export function asProxylessAgent(agent: Container, spec: PodSpec): Container {
  const { securityContext, ports: _ports, ...rest } = agent as Container & { securityContext?: object }
  const [user] = usersOf(spec)
  return {
    ...rest,
    env: [...(agent.env ?? []), ...PROXYLESS_AGENT_ENV],
    ...UNTIL_READY,
    securityContext: { ...securityContext, runAsUser: user, runAsGroup: user },
  }
}

/**
 * Why a pod can't be proxyless. Nothing of its traffic is captured. And the key of its certificate is in a file that one
 * user may read, who must be the same in all its containers.
 */
export function againstProxyless(
  { metadata, spec }: InjectablePod,
  proxyConfig: OwnProxySettings = {},
): Problem[] {
  const resource = { kind: 'Pod', namespace: metadata.namespace, name: metadata.name }
  const captured = Object.keys(metadata.annotations)
    .filter(name => name.startsWith('traffic.sidecar.istio.io/'))
    .map(
      (name): Problem => ({
        severity: 'error',
        code: 'IST0108',
        message: 'is for traffic that is captured, of which a proxyless pod has none: remove it',
        path: `metadata.annotations["${name}"]`,
        resource,
      }),
    )
  const ofEnvoy = OF_ENVOY.filter(name => `${SIDECAR}/${name}` in metadata.annotations)
  const settings = Object.keys(proxyConfig).filter(name => !OF_THE_AGENT.includes(name))
  const meaningless = [
    ...ofEnvoy.map(name => ({ name: `${SIDECAR}/${name}`, message: 'is for Envoy' })),
    ...settings.map(name => ({ name: 'proxy.istio.io/config', message: `${name}: is for Envoy` })),
  ].map(
    ({ name, message }): Problem => ({
      severity: 'error',
      code: 'IST0108',
      message: `${message}, of which a proxyless pod has none: remove it`,
      path: `metadata.annotations["${name}"]`,
      resource,
    }),
  )
  const users = new Set(usersOf(spec))
  const [only] = users
  if (users.size === 1 && typeof only === 'number' && only > 0) return [...captured, ...meaningless]
  const message =
    'a proxyless pod says in runAsUser as whom it runs, all its containers as the same and not as root: the key of its certificate is in a file of that user alone'
  return [
    ...captured,
    ...meaningless,
    { severity: 'error', code: 'proxyless-user', message, path: 'spec.securityContext.runAsUser', resource },
  ]
}

/** As whom each container of a pod runs; undefined where nothing is said. */
function usersOf(spec: PodSpec): (number | undefined)[] {
  const of = (owner: object) =>
    (owner as { securityContext?: { runAsUser?: number } }).securityContext?.runAsUser
  return spec.containers.map(container => of(container) ?? of(spec))
}
