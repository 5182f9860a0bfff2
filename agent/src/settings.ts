import type { JsonObject } from '@bufbuild/protobuf'
import type { BootstrapSettings } from '@seine/api'
// By itself: the schemas of all kinds would be in the memory of every agent.
import { registeredName } from '@seine/api/registered-name'
import { err, ok, PROXY_VERSION, type Result } from '@seine/kit'
import type { AppProbes } from './app-probes.ts'
import { readBootstrapSettings } from './bootstrap-settings.ts'

/** What the agent is told about its workload and the mesh, by the environment that the injector writes. */
export interface AgentSettings {
  /** `router` for a gateway, which captures nothing. */
  readonly proxyType: 'sidecar' | 'router'
  readonly podName: string
  readonly namespace: string
  readonly ip: string
  /** All addresses of the workload, of one family or both; the main one is among them. */
  readonly ips: readonly string[]
  readonly serviceAccount: string
  readonly workloadName: string
  readonly labels: Readonly<Record<string, string>>
  /** The WorkloadGroup by which the workload registers; undefined for a pod. */
  readonly group: string | undefined
  /** The network that the workload is in, where it says so. */
  readonly network: string | undefined
  /** Whether a group's probe may run programs on this machine. */
  readonly allowExecProbes: boolean
  readonly clusterId: string
  readonly trustDomain: string
  /** What the mesh is called; the trust domain unless it is said. */
  readonly meshId: string
  /** `host:port` of citadel. */
  readonly caAddress: string
  /** `host:port` of pilot's discovery. */
  readonly xdsAddress: string
  /** `host:port` that spans go to. */
  readonly otlpAddress: string
  readonly tokenFile: string
  readonly rootCertFile: string
  /** Authorities that are trusted beside the mesh's root, in PEM; empty for none. */
  readonly trustedRoots: string
  readonly runDir: string
  /** Path of the binary; undefined to find or install it. */
  readonly envoyPath: string | undefined
  /** Threads of Envoy; 0 for one for each core. */
  readonly concurrency: number
  /** More of the node's metadata, by the environment's `ISTIO_META_<name>`. */
  readonly metadata: Readonly<Record<string, string>>
  readonly drainMs: number
  /** Whether requests that go on may do so for as long as they take when the sidecar stops. */
  readonly exitOnZeroConnections: boolean
  /** How long is waited then before connections are counted. */
  readonly minimumDrainMs: number
  /**
   * How long connections of a replaced filter chain live on; Istio's unless it is said. They are told to go away with
   * their next response: until a connection ends, the policy holds that it was opened under.
   */
  readonly listenerDrainS: number
  /** How often access logs are written out, and how much of them is collected at most until then. */
  readonly logFlushMs: number
  readonly logFlushKib: number
  /** How much Envoy logs, in its words. */
  readonly envoyLogLevel: string
  /** `<component>:<level>`, separated by commas; undefined for none. */
  readonly envoyComponentLogLevel: string | undefined
  /** What is written into Envoy's bootstrap beside what always is. */
  readonly bootstrap: BootstrapSettings
  /** What the workload says of its own proxy, in the words of Istio's ProxyConfig: pilot reads it. */
  readonly proxyConfig: JsonObject
  readonly certificateTtlMs: number
  readonly resolvConf: string
  /** Where the application serves metrics of its own, on loopback; undefined where it has none. */
  readonly applicationMetrics: URL | undefined
  /** What the agent asks the application in place of a kubelet, by path. */
  readonly appProbes: AppProbes
  /** What the application's own gRPC library is given, where that is its proxy; undefined where Envoy runs. */
  readonly proxyless: ProxylessSettings | undefined
  readonly ports: AgentPorts
}

/** Where an application that is its own proxy looks for what it needs. */
export interface ProxylessSettings {
  /** The bootstrap of its gRPC library, which `GRPC_XDS_BOOTSTRAP` names. */
  readonly bootstrapFile: string
  /** Where its key and certificate are written; undefined to write none, and have no mutual TLS. */
  readonly certificateFolder: string | undefined
}

/** Ports of the sidecar, Istio's by default; tests choose others. */
export interface AgentPorts {
  readonly admin: number
  readonly dns: number
  readonly metrics: number
  readonly health: number
  readonly prometheus: number
}

const HOUR_MS = 3_600_000
const MAX_PORT = 65_535

/**
 * Reads the environment. A workload that registers by a group is called as its WorkloadEntry, and needs no `POD_NAME`.
 *
 * @returns the settings, or what is missing or malformed.
 */
export function readSettings(env: NodeJS.ProcessEnv): Result<AgentSettings, string> {
  const group = env['ISTIO_META_AUTO_REGISTER_GROUP'] || undefined
  const network = env['ISTIO_META_NETWORK'] || undefined
  const missing = [
    'POD_NAME',
    'POD_NAMESPACE',
    'INSTANCE_IP',
    'CA_ADDR',
    'XDS_ADDR',
    'TOKEN_FILE',
    'ROOT_CERT_FILE',
    'RUN_DIR',
  ].filter(name => !env[name] && (name !== 'POD_NAME' || group === undefined))
  if (missing.length > 0) return err(`the environment lacks ${missing.join(', ')}: the injector sets them`)
  const labels = parseLabels(env['LABELS'] ?? '{}')
  if (!labels) return err(`LABELS must be a JSON object of strings, not ${env['LABELS']}`)
  const problems: string[] = []
  const text = (name: string, fallback = '') => env[name] || fallback
  const number = (name: string, fallback: number, most = Number.MAX_SAFE_INTEGER) => {
    const value = env[name] ? Number(env[name]) : fallback
    if (!Number.isInteger(value) || value < 0 || value > most)
      problems.push(`${name} must be a whole number from 0 to ${most}, not ${env[name]}`)
    return value
  }
  const port = (name: string, fallback: number) => number(name, fallback, MAX_PORT)
  const hostPort = (name: string, fallback?: string) => {
    const value = text(name, fallback)
    if (!isHostPort(value)) problems.push(`${name} must be <host>:<port>, not ${value}`)
    return value
  }
  const url = (name: string) => {
    const value = env[name]
    if (!value) return undefined
    if (URL.canParse(value) && new URL(value).protocol === 'http:') return new URL(value)
    problems.push(`${name} must be an http URL, not ${value}`)
    return undefined
  }
  const proxyType = text('PROXY_TYPE', 'sidecar')
  if (proxyType !== 'sidecar' && proxyType !== 'router')
    problems.push(`PROXY_TYPE must be sidecar or router, not ${proxyType}`)
  const podName = group === undefined ? text('POD_NAME') : registeredName(group, text('INSTANCE_IP'), network)
  const allowExecProbes = text('ALLOW_EXEC_PROBES', 'false')
  if (allowExecProbes !== 'true' && allowExecProbes !== 'false')
    problems.push(`ALLOW_EXEC_PROBES must be true or false, not ${allowExecProbes}`)
  const disabled = text('DISABLE_ENVOY', 'false')
  if (disabled !== 'true' && disabled !== 'false')
    problems.push(`DISABLE_ENVOY must be true or false, not ${disabled}`)
  if (disabled === 'true' && proxyType === 'router')
    problems.push('DISABLE_ENVOY must not be true for a gateway: its proxy is all that it is')
  if (disabled === 'true' && group !== undefined)
    problems.push(
      'DISABLE_ENVOY must not be true for a workload that registers by a group: its health would not be told',
    )
  const bootstrap = readBootstrapSettings(env['BOOTSTRAP_SETTINGS'] ?? '{}')
  if (!bootstrap.ok) problems.push(`BOOTSTRAP_SETTINGS ${bootstrap.error}`)
  const appProbes = parseObject(env['APP_PROBES'] ?? '{}')
  if (!appProbes || !Object.values(appProbes).every(one => typeof one === 'object' && one !== null))
    problems.push(`APP_PROBES must be a JSON object of probes, not ${env['APP_PROBES']}`)
  const minimumDrain = durationIn(env['MINIMUM_DRAIN_DURATION'] || '5s')
  if (minimumDrain === undefined)
    problems.push(
      `MINIMUM_DRAIN_DURATION must be a duration such as 5s, not ${env['MINIMUM_DRAIN_DURATION']}`,
    )
  const proxyConfig = parseObject(env['PROXY_CONFIG'] ?? '{}')
  if (!proxyConfig) problems.push(`PROXY_CONFIG must be a JSON object, not ${env['PROXY_CONFIG']}`)
  const settings: AgentSettings = {
    proxyType: proxyType === 'router' ? 'router' : 'sidecar',
    podName,
    namespace: text('POD_NAMESPACE'),
    ip: text('INSTANCE_IP'),
    ips: text('INSTANCE_IPS', text('INSTANCE_IP')).split(','),
    serviceAccount: text('SERVICE_ACCOUNT', 'default'),
    workloadName: text('WORKLOAD_NAME', group ?? podName),
    labels,
    group,
    network,
    allowExecProbes: allowExecProbes === 'true',
    clusterId: text('CLUSTER_ID', 'Kubernetes'),
    trustDomain: text('TRUST_DOMAIN', 'cluster.local'),
    meshId: text('MESH_ID', text('TRUST_DOMAIN', 'cluster.local')),
    exitOnZeroConnections: env['EXIT_ON_ZERO_ACTIVE_CONNECTIONS'] === 'true',
    minimumDrainMs: minimumDrain ?? 0,
    caAddress: hostPort('CA_ADDR'),
    xdsAddress: hostPort('XDS_ADDR'),
    otlpAddress: hostPort('OTLP_ADDR', '127.0.0.1:4317'),
    tokenFile: text('TOKEN_FILE'),
    rootCertFile: text('ROOT_CERT_FILE'),
    trustedRoots: text('TRUSTED_ROOTS'),
    runDir: text('RUN_DIR'),
    envoyPath: env['SEINE_ENVOY'] || undefined,
    concurrency: number('ENVOY_CONCURRENCY', 2),
    metadata: metadataIn(env),
    drainMs: number('DRAIN_MS', 5000),
    listenerDrainS: number('LISTENER_DRAIN_S', 45),
    logFlushMs: number('LOG_FLUSH_MS', 1000),
    logFlushKib: number('LOG_FLUSH_KIB', 64),
    envoyLogLevel: text('ENVOY_LOG_LEVEL', 'warning'),
    envoyComponentLogLevel: env['ENVOY_COMPONENT_LOG_LEVEL'] || undefined,
    bootstrap: bootstrap.ok ? bootstrap.value : {},
    proxyConfig: proxyConfig ?? {},
    appProbes: (appProbes ?? {}) as AppProbes,
    certificateTtlMs: number('CERTIFICATE_TTL_MS', 24 * HOUR_MS),
    resolvConf: text('RESOLV_CONF', '/etc/resolv.conf'),
    applicationMetrics: url('APPLICATION_METRICS'),
    proxyless:
      disabled === 'true'
        ? {
            bootstrapFile: text('GRPC_XDS_BOOTSTRAP', `${text('RUN_DIR')}/grpc-bootstrap.json`),
            certificateFolder: env['OUTPUT_CERTS'] || undefined,
          }
        : undefined,
    ports: {
      admin: port('ADMIN_PORT', 15000),
      dns: port('DNS_PORT', 15053),
      metrics: port('METRICS_PORT', 15020),
      health: port('HEALTH_PORT', 15021),
      prometheus: port('PROMETHEUS_PORT', 15090),
    },
  }
  return problems.length > 0 ? err(problems.join('; ')) : ok(settings)
}

/** `10.0.0.1:15012`, `seined.seine-system:15012` or `[fd00::1]:15012`. */
function isHostPort(text: string): boolean {
  const [, host, port] = /^(\[[\da-fA-F:.]+\]|[^:[\]\s]+):(\d+)$/.exec(text) ?? []
  return host !== undefined && Number(port) > 0 && Number(port) <= MAX_PORT
}

const METADATA = 'ISTIO_META_'

function metadataIn(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).flatMap(([name, value]) =>
      name.startsWith(METADATA) && name.length > METADATA.length && value !== undefined
        ? [[name.slice(METADATA.length), value]]
        : [],
    ),
  )
}

function parseLabels(text: string): Record<string, string> | undefined {
  const value = parseObject(text)
  return value && Object.values(value).every(one => typeof one === 'string')
    ? (value as Record<string, string>)
    : undefined
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as JsonObject)
      : undefined
  } catch {
    return undefined
  }
}

const UNIT_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 }

/** A duration in Go's notation, in ms. */
function durationIn(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(h|ms|m|s))+$/.test(text)) return undefined
  return [...text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s)/g)].reduce(
    (total, [, amount, unit = '']) => total + Number(amount) * (UNIT_MS[unit] ?? 0),
    0,
  )
}

/** Whether the workload has an IPv6 address. */
export function hasIpv6({ ips }: Pick<AgentSettings, 'ips'>): boolean {
  return ips.some(address => address.includes(':'))
}

/** Istio's node id: `sidecar~<ip>~<pod>.<namespace>~<namespace>.svc.cluster.local`. */
export function nodeId({ proxyType, ip, podName, namespace }: AgentSettings): string {
  return `${proxyType}~${ip}~${podName}.${namespace}~${namespace}.svc.cluster.local`
}

/** What the node says of itself: pilot makes its configuration from it. */
export function nodeMetadata(settings: AgentSettings): JsonObject {
  return {
    ...settings.metadata,
    NAME: settings.podName,
    NAMESPACE: settings.namespace,
    WORKLOAD_NAME: settings.workloadName,
    SERVICE_ACCOUNT: settings.serviceAccount,
    INSTANCE_IPS: settings.ips.join(','),
    CLUSTER_ID: settings.clusterId,
    MESH_ID: settings.meshId,
    ISTIO_VERSION: PROXY_VERSION,
    ...(settings.proxyless
      ? { GENERATOR: 'grpc' }
      : // The Envoy beside this agent can ask for virtual hosts with the first request to them.
        { ON_DEMAND: 'true' }),
    ...(settings.group === undefined ? {} : { AUTO_REGISTER_GROUP: settings.group }),
    ...(settings.network === undefined ? {} : { NETWORK: settings.network }),
    ...(Object.keys(settings.proxyConfig).length > 0 ? { PROXY_CONFIG: settings.proxyConfig } : {}),
    LABELS: settings.labels,
  }
}
