import { isCidr, parseProxyConfigAnnotation } from '@seine/api'

/** What is known of an annotation of Istio's. */
export interface AnnotationDefinition {
  /** The kinds it is read on; `Any` for all. */
  readonly on: readonly string[]
  /** What to use instead, where a later version will not read it; empty for nothing. */
  readonly deprecated?: string
  /** What is wrong with a value; undefined when nothing is. */
  readonly problem?: (value: string) => string | undefined
}

const COUNT = (value: string) =>
  /^\d+$/.test(value) && Number(value) <= 0xffffffff ? undefined : 'must be a whole number'
const BOOLEAN = (value: string) =>
  /^(true|false|t|f|1|0)$/i.test(value) ? undefined : 'must be "true" or "false"'
const QUANTITY = (value: string) =>
  /^[+-]?(\d+(\.\d*)?|\.\d+)(m|[kMGTPE]|[KMGTPE]i|n|u|[eE][+-]?\d+)?$/.test(value)
    ? undefined
    : 'must be a quantity such as 100m or 128Mi'
const DISTRIBUTION = (value: string) =>
  /^prefer(close|samezone|samenode)$/i.test(value)
    ? undefined
    : 'must be PreferClose, PreferSameZone or PreferSameNode'
const PORT = (value: string) =>
  /^\s*\d{1,5}\s*$/.test(value) && Number(value) <= 65535 ? undefined : `"${value}" is no port`
const INTERFACES = (value: string) =>
  value.split(',').every(name => /^\s*[\w.-]{1,15}\s*$/.test(name))
    ? undefined
    : 'must be names of interfaces'

function ports(value: string): string | undefined {
  if (value.trim() === '') return undefined
  return value
    .split(',')
    .map(PORT)
    .find(problem => problem !== undefined)
}

function ranges(value: string): string | undefined {
  const wrong = value === '' ? undefined : value.split(',').find(range => !isCidr(range))
  return wrong === undefined ? undefined : `"${wrong}" is no range of addresses such as 10.0.0.0/8`
}

/** The proxy's own settings, in YAML. */
function proxyConfig(value: string): string | undefined {
  const read = parseProxyConfigAnnotation(value)
  return read.ok ? undefined : read.error[0]
}

const DURATION = (value: string) =>
  /^(\d+(\.\d+)?(h|m|s|ms))+$/.test(value) ? undefined : 'must be a duration such as 5s'

const orAll = (problem: (value: string) => string | undefined) => (value: string) =>
  value === '*' ? undefined : problem(value)

const POD = { on: ['Pod'] } as const

/** Istio's annotations, as its API publishes them. */
export const annotations: Readonly<Record<string, AnnotationDefinition>> = {
  'prometheus.istio.io/merge-metrics': { ...POD, problem: BOOLEAN },
  'alpha.istio.io/kubernetes-serviceaccounts': { on: ['Service'], deprecated: '' },
  'alpha.istio.io/canonical-serviceaccounts': { on: ['Service'], deprecated: '' },
  'networking.istio.io/exportTo': { on: ['Service'] },
  'sidecar.istio.io/inject': { ...POD, deprecated: 'use the label of the same name' },
  'sidecar.istio.io/status': POD,
  'sidecar.istio.io/rewriteAppHTTPProbers': { ...POD, problem: BOOLEAN },
  'sidecar.istio.io/discoveryAddress': { ...POD, deprecated: '' },
  'sidecar.istio.io/proxyImage': POD,
  'sidecar.istio.io/proxyImageType': POD,
  'sidecar.istio.io/proxyCPU': { ...POD, problem: QUANTITY },
  'sidecar.istio.io/proxyCPULimit': { ...POD, problem: QUANTITY },
  'sidecar.istio.io/proxyMemory': { ...POD, problem: QUANTITY },
  'sidecar.istio.io/proxyMemoryLimit': { ...POD, problem: QUANTITY },
  'sidecar.istio.io/interceptionMode': {
    ...POD,
    problem: value =>
      ['REDIRECT', 'TPROXY', 'NONE'].includes(value) ? undefined : 'must be REDIRECT, TPROXY or NONE',
  },
  'sidecar.istio.io/bootstrapOverride': POD,
  'sidecar.istio.io/statsInclusionPrefixes': { ...POD, deprecated: '' },
  'sidecar.istio.io/statsInclusionSuffixes': { ...POD, deprecated: '' },
  'sidecar.istio.io/statsInclusionRegexps': { ...POD, deprecated: '' },
  'sidecar.istio.io/statsHistogramBuckets': POD,
  'sidecar.istio.io/statsFlushInterval': { ...POD, problem: DURATION },
  'sidecar.istio.io/statsEvictionInterval': { ...POD, problem: DURATION },
  'sidecar.istio.io/statsHistogramBins': POD,
  'sidecar.istio.io/statsCompression': { ...POD, deprecated: '' },
  'sidecar.istio.io/userVolume': POD,
  'sidecar.istio.io/userVolumeMount': POD,
  'status.sidecar.istio.io/port': { ...POD, problem: PORT },
  'sidecar.istio.io/logLevel': POD,
  'sidecar.istio.io/componentLogLevel': POD,
  'sidecar.istio.io/agentLogLevel': POD,
  'sidecar.istio.io/nativeSidecar': { ...POD, problem: BOOLEAN },
  'sidecar.istio.io/extraStatTags': { ...POD, deprecated: '' },
  'readiness.status.sidecar.istio.io/initialDelaySeconds': { ...POD, problem: COUNT },
  'readiness.status.sidecar.istio.io/periodSeconds': { ...POD, problem: COUNT },
  'readiness.status.sidecar.istio.io/failureThreshold': { ...POD, problem: COUNT },
  'readiness.status.sidecar.istio.io/applicationPorts': POD,
  'traffic.istio.io/nodeSelector': { on: ['Service'] },
  'traffic.sidecar.istio.io/includeOutboundIPRanges': { ...POD, problem: orAll(ranges) },
  'traffic.sidecar.istio.io/excludeOutboundIPRanges': { ...POD, problem: ranges },
  'traffic.sidecar.istio.io/includeInboundPorts': { ...POD, problem: orAll(ports) },
  'traffic.sidecar.istio.io/excludeInboundPorts': { ...POD, problem: ports },
  'traffic.sidecar.istio.io/includeOutboundPorts': { ...POD, problem: orAll(ports) },
  'traffic.sidecar.istio.io/excludeOutboundPorts': { ...POD, problem: ports },
  'traffic.sidecar.istio.io/excludeInterfaces': { ...POD, problem: INTERFACES },
  'traffic.sidecar.istio.io/kubevirtInterfaces': {
    ...POD,
    deprecated: 'use istio.io/reroute-virtual-interfaces',
    problem: INTERFACES,
  },
  'istio.io/reroute-virtual-interfaces': { ...POD, problem: INTERFACES },
  'kubernetes.io/ingress.class': { on: ['Ingress'] },
  'galley.istio.io/analyze-suppress': { on: ['Any'] },
  'proxy.istio.io/config': { ...POD, problem: proxyConfig },
  'proxy.istio.io/overrides': POD,
  'inject.istio.io/templates': POD,
  'istio.io/dry-run': { on: ['AuthorizationPolicy'] },
  'istio.io/rev': POD,
  'istio.io/autoRegistrationGroup': { on: ['WorkloadEntry'] },
  'istio.io/workloadController': { on: ['WorkloadEntry'] },
  'istio.io/connectedAt': { on: ['WorkloadEntry'] },
  'istio.io/disconnectedAt': { on: ['WorkloadEntry'] },
  'topology.istio.io/controlPlaneClusters': { on: ['Namespace'] },
  'gateway.istio.io/controller-version': { on: ['Any'] },
  'gateway.istio.io/service-account': { on: ['Gateway'] },
  'gateway.istio.io/name-override': { on: ['Gateway'] },
  'networking.istio.io/service-type': { on: ['Gateway'] },
  'networking.istio.io/traffic-distribution': { on: ['Service', 'ServiceEntry'], problem: DISTRIBUTION },
  'istio.io/use-waypoint-canary-weight': { on: ['Service', 'ServiceEntry', 'Namespace'] },
  'ambient.istio.io/redirection': POD,
  'ambient.istio.io/bypass-inbound-capture': POD,
  'ambient.istio.io/dns-capture': POD,
  'ambient.istio.io/waypoint-inbound-binding': { on: ['GatewayClass', 'Gateway'] },
}

/** Annotations that controllers set by themselves. */
const SET_BY_CONTROLLERS: ReadonlySet<string> = new Set([
  'sidecar.istio.io/status',
  'gateway.istio.io/controller-version',
  'istio.io/rev',
])

/** Whether an annotation is one of Istio's that people write. */
export function isIstioAnnotation(name: string): boolean {
  if (SET_BY_CONTROLLERS.has(name)) return false
  return name === 'kubernetes.io/ingress.class' || /(^|\.)istio\.io$/.test(name.split('/')[0] ?? '')
}
