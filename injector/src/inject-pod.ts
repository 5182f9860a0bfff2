import type { Container, ObjectMeta, PodSpec } from '@seine/api'
import { err, ok, type Problem, type Result } from '@seine/kit'
import { type CaptureOptions, captureRules } from './capture-rules.ts'

/** The user of Envoy and the agent, Istio's. */
export const PROXY_UID = 1337
export const PROXY_CONTAINER = 'seine-proxy'
export const INIT_CONTAINER = 'seine-init'

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
}

/** A pod with its sidecar, and the capture rules that its init container sets. */
export interface InjectedPod {
  readonly pod: InjectablePod
  readonly rules: string
}

/** Why a pod is left without a sidecar, or undefined when it gets one. The pod's word counts before its namespace's. */
export function reasonToSkip(
  pod: InjectablePod,
  namespaceLabels: Readonly<Record<string, string>>,
): string | undefined {
  const own =
    pod.metadata.labels['sidecar.istio.io/inject'] ?? pod.metadata.annotations['sidecar.istio.io/inject']
  if (own === 'false') return 'the pod asks for none (sidecar.istio.io/inject: "false")'
  if (pod.spec.hostNetwork) return 'the pod uses the network of its host'
  if (pod.spec.containers.some(({ name }) => name === PROXY_CONTAINER)) return 'it has one already'
  if (own === 'true') return undefined
  return namespaceLabels['istio-injection'] === 'enabled'
    ? undefined
    : 'its namespace has no label istio-injection: enabled'
}

/**
 * The pod with an init container that sets the capture rules and a sidecar container that runs the agent
 * and Envoy. Istio's `traffic.sidecar.istio.io/*` annotations decide what is captured.
 *
 * @returns the pod, or which annotation can't be read.
 */
export function injectPod(pod: InjectablePod, options: InjectOptions): Result<InjectedPod, Problem[]> {
  const capture = captureOptions(pod, options)
  if (!capture.ok) return capture
  const rules = captureRules(capture.value)
  const { metadata, spec } = pod
  const workload = workloadName(metadata)
  const app =
    metadata.labels['service.istio.io/canonical-name'] ??
    metadata.labels['app.kubernetes.io/name'] ??
    metadata.labels['app'] ??
    workload
  const version =
    metadata.labels['service.istio.io/canonical-revision'] ??
    metadata.labels['app.kubernetes.io/version'] ??
    metadata.labels['version'] ??
    'latest'
  const labels = {
    ...metadata.labels,
    'security.istio.io/tlsMode': 'istio',
    'service.istio.io/canonical-name': app,
    'service.istio.io/canonical-revision': version,
  }
  const annotations = {
    ...metadata.annotations,
    'sidecar.istio.io/status': JSON.stringify({
      initContainers: [INIT_CONTAINER],
      containers: [PROXY_CONTAINER],
    }),
    'prometheus.io/scrape': 'true',
    'prometheus.io/port': '15020',
    'prometheus.io/path': '/stats/prometheus',
  }
  const injected: InjectablePod = {
    metadata: { ...metadata, labels, annotations },
    spec: {
      ...spec,
      initContainers: [initContainer(rules, options), ...(spec.initContainers ?? [])],
      containers: [...spec.containers, proxyContainer(labels, workload, options)],
    },
  }
  return ok({ pod: injected, rules })
}

function initContainer(rules: string, { image }: InjectOptions): Container {
  return {
    name: INIT_CONTAINER,
    image,
    command: ['sh', '-c', 'printf %s "$RULES" | iptables-restore --noflush'],
    env: [{ name: 'RULES', value: rules }],
    securityContext: {
      runAsUser: 0,
      runAsNonRoot: false,
      capabilities: { add: ['NET_ADMIN', 'NET_RAW'], drop: ['ALL'] },
    },
  }
}

function proxyContainer(
  labels: Readonly<Record<string, string>>,
  workload: string,
  options: InjectOptions,
): Container {
  const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } })
  return {
    name: PROXY_CONTAINER,
    image: options.image,
    command: ['seine-agent', 'proxy'],
    env: [
      field('POD_NAME', 'metadata.name'),
      field('POD_NAMESPACE', 'metadata.namespace'),
      field('INSTANCE_IP', 'status.podIP'),
      field('SERVICE_ACCOUNT', 'spec.serviceAccountName'),
      { name: 'WORKLOAD_NAME', value: workload },
      { name: 'LABELS', value: JSON.stringify(labels) },
      { name: 'CLUSTER_ID', value: options.clusterId },
      { name: 'TRUST_DOMAIN', value: options.trustDomain },
      { name: 'CA_ADDR', value: options.citadel ?? options.controlPlane },
      { name: 'XDS_ADDR', value: options.controlPlane },
      { name: 'OTLP_ADDR', value: options.otlp },
      { name: 'TOKEN_FILE', value: '/var/run/secrets/tokens/istio-token' },
      { name: 'ROOT_CERT_FILE', value: '/var/run/secrets/istio/root-cert.pem' },
      { name: 'RUN_DIR', value: '/var/run/seine' },
    ],
    ports: [{ name: 'http-envoy-prom', containerPort: 15090 }],
    readinessProbe: {
      httpGet: { path: '/healthz/ready', port: 15021 },
      periodSeconds: 2,
      failureThreshold: 30,
    },
    securityContext: {
      runAsUser: PROXY_UID,
      runAsGroup: PROXY_UID,
      runAsNonRoot: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
    },
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

function captureOptions(
  pod: InjectablePod,
  { captureDns }: InjectOptions,
): Result<CaptureOptions, Problem[]> {
  const problems: Problem[] = []
  const list = (name: string): string[] =>
    (pod.metadata.annotations[`traffic.sidecar.istio.io/${name}`] ?? '')
      .split(',')
      .map(part => part.trim())
      .filter(Boolean)
  const checked = (name: string, valid: (part: string) => boolean, wanted: string): string[] => {
    const parts = list(name)
    for (const part of parts) {
      if (valid(part)) continue
      const path = `metadata.annotations["traffic.sidecar.istio.io/${name}"]`
      problems.push({
        severity: 'error',
        code: 'IST0107',
        message: `"${part}" is no ${wanted}`,
        path,
        resource: { kind: 'Pod', namespace: pod.metadata.namespace, name: pod.metadata.name },
      })
    }
    return parts
  }
  const isPort = (part: string) => /^\d+$/.test(part) && Number(part) > 0 && Number(part) < 65536
  const isRange = (part: string) => /^\d+\.\d+\.\d+\.\d+(\/\d+)?$/.test(part)
  const include = checked('includeOutboundIPRanges', part => part === '*' || isRange(part), 'IP range')
  const options: CaptureOptions = {
    proxyUid: PROXY_UID,
    excludeInboundPorts: checked('excludeInboundPorts', isPort, 'port').map(Number),
    excludeOutboundPorts: checked('excludeOutboundPorts', isPort, 'port').map(Number),
    includeOutboundIpRanges: include.length > 0 ? include : ['*'],
    excludeOutboundIpRanges: checked('excludeOutboundIPRanges', isRange, 'IP range'),
    captureDns,
  }
  return problems.length > 0 ? err(problems) : ok(options)
}
