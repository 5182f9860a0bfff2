import {
  type Container,
  canonicalService,
  defaultMeshConfig,
  type MeshConfig,
  type ObjectMeta,
  type PodSpec,
  type ProxyConfig,
} from '@seine/api'
import { err, ok, type Problem, type Result } from '@seine/kit'
import { NETWORK_LABEL } from '@seine/model'
import { readAnnotations, type SidecarAnnotations } from './annotations.ts'
import { type AppProbe, rewriteProbes } from './app-probes.ts'
import { captureRules } from './capture-rules.ts'
import { effectiveProxyConfig } from './proxy-config.ts'
import { authoritiesOf, type ProxyStart, proxyEnvironment } from './proxy-environment.ts'
import { againstProxyless, asProxylessAgent, UNTIL_READY, withGrpcLibrary } from './proxyless.ts'

/** The user of Envoy and the agent, Istio's. */
export const PROXY_UID = 1337
export const PROXY_CONTAINER = 'seine-proxy'
export const INIT_CONTAINER = 'seine-init'
/** By this the agent knows which network it is in, as Istio's does. */
const NETWORK_ENV = 'ISTIO_META_NETWORK'

/** A pod before or after injection: what the template reads and writes. */
export interface InjectablePod {
  readonly metadata: ObjectMeta
  readonly spec: PodSpec
}

/** What the template needs to know of the mesh. */
export interface InjectOptions {
  /** `host:port` of the control plane's TLS port: certificates and configuration. */
  readonly controlPlane: string
  /** `host:port` of citadel's TLS port, where it does not run together with the rest. */
  readonly citadel?: string | undefined
  /** `host:port` that spans go to. */
  readonly otlp: string
  readonly trustDomain: string
  readonly clusterId: string
  readonly image: string
  readonly captureDns: boolean
  /** The ProxyConfigs of the mesh; a pod has what they say when it is injected until it is made anew. */
  readonly proxyConfigs?: readonly ProxyConfig[]
  /** The mesh's settings, of which a pod has what is taken at its start; the defaults unless they are given. */
  readonly mesh?: MeshConfig
}

/** The capture rules of both families of addresses. */
export interface CapturedRules {
  readonly ipv4: string
  readonly ipv6: string
}

/** A pod with its sidecar, and the capture rules that its init container sets. */
export interface InjectedPod {
  readonly pod: InjectablePod
  /** For `iptables-restore`, and for `ip6tables-restore` in pods with IPv6; undefined for a gateway and a proxyless pod, which capture nothing. */
  readonly rules: CapturedRules | undefined
}

/** Namespaces of Kubernetes itself: what runs there is needed for pods to run at all. */
const SYSTEM_NAMESPACES = ['kube-system', 'kube-public', 'kube-node-lease', 'local-path-storage']
const INJECT = 'sidecar.istio.io/inject'
/** The variable by which Istio has look-ups of names go to the agent; here they do unless it says `false`. */
const DNS_CAPTURE = 'ISTIO_META_DNS_CAPTURE'

/**
 * Why a pod is left without a sidecar, or undefined when it gets one. As in Istio, either of the pod and its
 * namespace can refuse; a pod asks for one by its label, a namespace for all its pods.
 */
export function reasonToSkip(
  pod: InjectablePod,
  namespaceLabels: Readonly<Record<string, string>>,
): string | undefined {
  const { metadata, spec } = pod
  const namespace = namespaceLabels['istio-injection']
  // The annotation is the older way, which can only refuse.
  const own = metadata.labels[INJECT] ?? metadata.annotations[INJECT]
  if (SYSTEM_NAMESPACES.includes(metadata.namespace))
    return `its namespace ${metadata.namespace} is Kubernetes' own`
  if (spec.hostNetwork) return 'the pod uses the network of its host'
  if (spec.containers.some(one => one.name === PROXY_CONTAINER && !isPlaceholder(one)))
    return 'it has one already'
  if (own === 'false') return `the pod asks for none (${INJECT}: "false")`
  if (namespace === 'enabled') return undefined
  if (namespace !== undefined) return `its namespace asks for none (istio-injection: ${namespace})`
  if (metadata.labels[INJECT] === 'true') return undefined
  return `neither its namespace (istio-injection: enabled) nor its label (${INJECT}: "true") asks for one`
}

/**
 * The pod with an init container that sets the capture rules and a sidecar container that runs the agent
 * and Envoy. Istio's annotations decide what is captured. A gateway (`inject.istio.io/templates: gateway`) has the
 * proxy's container only, which takes the place of one called `istio-proxy` with the image `auto`, as in Istio. With
 * `grpc-agent` there is no Envoy: the agent serves the application's own gRPC library.
 *
 * @returns the pod, or why it can't have a sidecar.
 */
export function injectPod(pod: InjectablePod, options: InjectOptions): Result<InjectedPod, Problem[]> {
  const { mesh = defaultMeshConfig } = options
  const read = readAnnotations(pod.metadata, mesh.enablePrometheusMerge)
  const isProxyless = read.ok && read.value.template === 'grpc-agent'
  const problems = [
    ...(read.ok ? [] : read.error),
    ...(isProxyless ? againstProxyless(pod, read.value.proxyConfig) : passersBy(pod)),
  ]
  if (!read.ok || problems.length > 0) return err(problems)
  const {
    capture,
    image,
    container,
    statistics,
    applicationMetrics,
    announcesMetrics,
    template,
    proxyConfig,
  } = read.value
  const { metadata, spec } = pod
  const workload = workloadName(metadata)
  const { app, version } = canonicalService(metadata.labels, workload)
  const isGateway = template === 'gateway'
  const config = effectiveProxyConfig(metadata, proxyConfig, options.proxyConfigs ?? [], mesh)
  // Who calls the pod knows its network by its label; a label that is there comes first, as in Istio.
  const network = metadata.labels[NETWORK_LABEL] || config.environment[NETWORK_ENV]
  const labels = {
    ...metadata.labels,
    ...(network ? { [NETWORK_LABEL]: network } : {}),
    // A gateway's servers say by themselves what they take.
    // Whether a proxyless server takes mutual TLS, only its author knows, as in Istio.
    ...(template === 'sidecar' ? { 'security.istio.io/tlsMode': 'istio' } : {}),
    'service.istio.io/canonical-name': app,
    'service.istio.io/canonical-revision': version,
  }
  const annotations = {
    ...metadata.annotations,
    'sidecar.istio.io/status': JSON.stringify({
      initContainers: template === 'sidecar' ? [INIT_CONTAINER] : [],
      containers: [PROXY_CONTAINER],
      volumes: [...VOLUMES, ...container.volumes].map(({ name }) => name),
    }),
    ...(announcesMetrics ? SCRAPE_THE_SIDECAR : {}),
  }
  const host = mesh.inboundTrafficPolicy.mode === 'LOCALHOST' ? '127.0.0.1' : undefined
  const rewrites = template === 'sidecar' && read.value.rewritesProbes
  const applications = rewriteProbes(rewrites ? spec.containers : [], host)
  const proxy = proxyContainer({
    start: { config, statistics, levels: container.levels, authorities: authoritiesOf(mesh) },
    container,
    discoveryAddress: proxyConfig.discoveryAddress,
    network,
    labels,
    workload,
    options,
    image,
    applicationMetrics,
    probes: applications.probes,
    proxyType: isGateway ? 'router' : 'sidecar',
  })
  const volumes = [...volumesOf(spec), ...VOLUMES, ...container.volumes]
  if (isGateway) {
    const containers = withGateway(spec.containers, proxy)
    return ok({
      pod: { metadata: { ...metadata, labels, annotations }, spec: { ...spec, containers, volumes } },
      rules: undefined,
    })
  }
  if (isProxyless) {
    const containers = [asProxylessAgent(proxy, spec), ...spec.containers.map(withGrpcLibrary)]
    return ok({
      pod: { metadata: { ...metadata, labels, annotations }, spec: { ...spec, containers, volumes } },
      rules: undefined,
    })
  }
  const captureDns = options.captureDns && config.environment[DNS_CAPTURE] !== 'false'
  const captured = { ...capture, proxyUid: PROXY_UID, captureDns }
  const rules = { ipv4: captureRules(captured, 'ipv4'), ipv6: captureRules(captured, 'ipv6') }
  const own = rewrites ? applications.containers : spec.containers
  const injected = {
    metadata: { ...metadata, labels, annotations },
    spec: {
      ...spec,
      initContainers: [initContainer(rules, image ?? options.image), ...(spec.initContainers ?? [])],
      // Kubernetes starts the next container when what follows the start of one has ended.
      containers: config.start.holdApplicationUntilProxyStarts
        ? [{ ...proxy, ...UNTIL_READY }, ...own]
        : [...own, proxy],
      volumes,
    },
  } satisfies InjectablePod
  return ok({ pod: injected, rules })
}

const SCRAPE_THE_SIDECAR = {
  'prometheus.io/scrape': 'true',
  'prometheus.io/port': '15020',
  'prometheus.io/path': '/stats/prometheus',
}

/** The pod's own words to citadel, the root it knows citadel by, and a place for the agent's socket and Envoy's bootstrap. */
const VOLUMES = [
  {
    name: 'seine-token',
    projected: {
      sources: [
        { serviceAccountToken: { audience: 'istio-ca', expirationSeconds: 43_200, path: 'istio-token' } },
      ],
    },
  },
  { name: 'seine-root-cert', configMap: { name: 'seine-root-cert' } },
  { name: 'seine-run', emptyDir: { medium: 'Memory' } },
] as const
const FOLDERS = {
  token: '/var/run/secrets/tokens',
  root: '/var/run/secrets/istio',
  run: '/var/run/seine',
} as const

function volumesOf(spec: PodSpec): readonly unknown[] {
  const { volumes } = spec as { volumes?: unknown }
  return Array.isArray(volumes) ? volumes : []
}

/** The containers of a gateway: what its author wrote for the proxy's holds where the template leaves it open. */
function withGateway(containers: readonly Container[], proxy: Container): Container[] {
  const placeholders = containers.filter(isPlaceholder)
  const others = containers.filter(container => !isPlaceholder(container))
  const ports = [...(placeholders[0]?.ports ?? []), ...(proxy.ports ?? [])]
  const env = [...(placeholders[0]?.env ?? []), ...(proxy.env ?? [])]
  return [...others, { ...placeholders[0], ...proxy, ports, env }]
}

function isPlaceholder({ name, image }: Container): boolean {
  return image === 'auto' && (name === 'istio-proxy' || name === PROXY_CONTAINER)
}

/** Containers that run as the proxy's user: the rules take what they send for the proxy's, and let it pass. */
function passersBy({ metadata, spec }: InjectablePod): Problem[] {
  const users = [
    { path: 'spec.securityContext.runAsUser', uid: userOf(spec) },
    ...spec.containers.map((container, at) => ({
      path: `spec.containers[${at}].securityContext.runAsUser`,
      uid: userOf(container),
    })),
  ]
  const resource = { kind: 'Pod', namespace: metadata.namespace, name: metadata.name }
  return users
    .filter(({ uid }) => uid === PROXY_UID)
    .map(({ path }) => ({
      severity: 'error',
      code: 'proxy-user',
      message: `${PROXY_UID} is the proxy's user: what the application sends would pass by the sidecar; choose another`,
      path,
      resource,
    }))
}

function userOf(owner: object): unknown {
  return (owner as { securityContext?: { runAsUser?: unknown } }).securityContext?.runAsUser
}

/**
 * Sets the rules, those of IPv6 in pods that have an address of it that is neither link-local nor loopback (its scope is
 * `00`), together with the address by which the sidecar calls the application.
 */
const SET_RULES = [
  'set -e',
  'printf %s "$RULES" | iptables-restore --noflush',
  'while read -r _ _ _ scope _; do [ "$scope" != 00 ] || ipv6=1; done 2>/dev/null </proc/net/if_inet6 || true',
  '[ -n "$ipv6" ] || exit 0',
  'ip -6 addr replace ::6/128 dev lo',
  'printf %s "$RULES_IPV6" | ip6tables-restore --noflush',
].join('\n')

function initContainer({ ipv4, ipv6 }: CapturedRules, image: string): Container {
  return {
    name: INIT_CONTAINER,
    image,
    command: ['sh', '-c', SET_RULES],
    env: [
      { name: 'RULES', value: ipv4 },
      { name: 'RULES_IPV6', value: ipv6 },
    ],
    securityContext: {
      runAsUser: 0,
      runAsNonRoot: false,
      capabilities: { add: ['NET_ADMIN', 'NET_RAW'], drop: ['ALL'] },
    },
  }
}

interface Sidecar extends Pick<SidecarAnnotations, 'image' | 'container' | 'applicationMetrics'> {
  readonly network: string | undefined
  readonly labels: Readonly<Record<string, string>>
  readonly start: ProxyStart
  /** Another control plane than the mesh's, for this pod's configuration. */
  readonly discoveryAddress: string | undefined
  /** What the agent asks the application, by path. */
  readonly probes: Readonly<Record<string, AppProbe>>
  readonly proxyType: 'sidecar' | 'router'
  readonly workload: string
  readonly options: InjectOptions
}

function proxyContainer(sidecar: Sidecar): Container {
  const {
    start,
    container,
    labels,
    network,
    workload,
    options,
    image,
    applicationMetrics,
    probes,
    proxyType,
  } = sidecar
  const { resources, readiness, mounts } = container
  const written = (variables: Readonly<Record<string, string>>) =>
    Object.entries(variables).map(([name, value]) => ({ name, value }))
  const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } })
  return {
    name: PROXY_CONTAINER,
    image: image ?? options.image,
    command: ['seine-agent', 'proxy'],
    env: [
      // What the agent needs comes later, and counts.
      ...written(start.config.environment),
      field('POD_NAME', 'metadata.name'),
      field('POD_NAMESPACE', 'metadata.namespace'),
      field('INSTANCE_IP', 'status.podIP'),
      field('INSTANCE_IPS', 'status.podIPs'),
      field('SERVICE_ACCOUNT', 'spec.serviceAccountName'),
      ...(proxyType === 'sidecar' ? [] : [{ name: 'PROXY_TYPE', value: proxyType }]),
      { name: 'WORKLOAD_NAME', value: workload },
      { name: 'LABELS', value: JSON.stringify(labels) },
      { name: 'CLUSTER_ID', value: options.clusterId },
      ...(network ? [{ name: NETWORK_ENV, value: network }] : []),
      { name: 'TRUST_DOMAIN', value: options.trustDomain },
      { name: 'CA_ADDR', value: options.citadel ?? options.controlPlane },
      { name: 'XDS_ADDR', value: sidecar.discoveryAddress ?? options.controlPlane },
      { name: 'OTLP_ADDR', value: options.otlp },
      { name: 'TOKEN_FILE', value: `${FOLDERS.token}/istio-token` },
      { name: 'ROOT_CERT_FILE', value: `${FOLDERS.root}/root-cert.pem` },
      { name: 'RUN_DIR', value: FOLDERS.run },
      ...(applicationMetrics === undefined
        ? []
        : [{ name: 'APPLICATION_METRICS', value: applicationMetrics }]),
      ...written(proxyEnvironment(start)),
      ...(Object.keys(probes).length > 0 ? written({ APP_PROBES: JSON.stringify(probes) }) : []),
    ],
    ports: [{ name: 'http-envoy-prom', containerPort: 15090 }],
    readinessProbe: {
      httpGet: { path: '/healthz/ready', port: 15021 },
      periodSeconds: 2,
      failureThreshold: 30,
      ...readiness,
    },
    ...(resources ? { resources } : {}),
    securityContext: {
      runAsUser: PROXY_UID,
      runAsGroup: PROXY_UID,
      runAsNonRoot: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [
      { name: 'seine-token', mountPath: FOLDERS.token, readOnly: true },
      { name: 'seine-root-cert', mountPath: FOLDERS.root, readOnly: true },
      { name: 'seine-run', mountPath: FOLDERS.run },
      ...mounts,
    ],
  }
}

function workloadName({ name, labels, ownerReferences }: ObjectMeta): string {
  const owner = ownerReferences?.[0]
  if (!owner) return name
  const hash = labels['pod-template-hash']
  return owner.kind === 'ReplicaSet' && hash && owner.name.endsWith(`-${hash}`)
    ? owner.name.slice(0, -hash.length - 1)
    : owner.name
}
