import {
  discoveryAddressField,
  type ObjectMeta,
  type OwnProxySettings,
  type StatisticsSettings,
} from '@seine/api'
import { err, ok, type Problem, type Result } from '@seine/kit'
import { AnnotationReader, isPort, isRange, SIDECAR, TRAFFIC } from './annotation-reader.ts'
import type { CaptureOptions } from './capture-rules.ts'
import { type ContainerAnnotations, readContainer } from './container-annotations.ts'
import { readStatistics } from './statistics-annotations.ts'

/** What a pod's annotations say of its sidecar. */
export interface SidecarAnnotations {
  readonly capture: Omit<CaptureOptions, 'proxyUid' | 'captureDns'>
  /** The sidecar's image, where the pod wants another than the mesh's. */
  readonly image: string | undefined
  readonly container: ContainerAnnotations
  readonly statistics: StatisticsSettings
  /** Where the application serves metrics of its own, to be served along with the sidecar's. */
  readonly applicationMetrics: string | undefined
  /** Whether scrapers are to be sent to the sidecar: not where the pod says where, or that they are not, to scrape. */
  readonly announcesMetrics: boolean
  /**
   * What the pod is made into: an application with a sidecar; a gateway, whose application is the proxy; or, with
   * `grpc-agent`, an application whose own gRPC library is its proxy.
   */
  readonly template: Template
  /** Whether the agent asks the application what a kubelet would. */
  readonly rewritesProbes: boolean
  /** What `proxy.istio.io/config` says. */
  readonly proxyConfig: OwnProxySettings
}

/** Istio's names of what pods are made into. */
export type Template = 'sidecar' | 'gateway' | 'grpc-agent'

const MERGE_METRICS = 'prometheus.istio.io/merge-metrics'
const METRICS_PORT = '15020'
/** The name of a network interface. */
const INTERFACE = /^[^\s/:]{1,15}$/

/**
 * Reads Istio's annotations of a pod. Each is honoured or refused: one that was ignored would let people
 * believe in something that does not happen.
 *
 * @param mergesMetrics whether an application's metrics are served with its sidecar's, unless the pod says
 * @returns what they say, or each that can't be read or is not supported.
 */
export function readAnnotations(
  metadata: ObjectMeta,
  mergesMetrics = true,
): Result<SidecarAnnotations, Problem[]> {
  const reader = new AnnotationReader(metadata)
  const ports = (name: string) => reader.list(`${TRAFFIC}/${name}`, isPort, 'a port, 1 to 65535').map(Number)
  const ranges = (name: string) =>
    reader.list(`${TRAFFIC}/${name}`, isRange, 'a range of addresses such as 10.0.0.0/8 or fd00::/8')
  const capture = {
    includeInboundPorts: reader.isAll(`${TRAFFIC}/includeInboundPorts`) ? '*' : ports('includeInboundPorts'),
    excludeInboundPorts: ports('excludeInboundPorts'),
    includeOutboundPorts: ports('includeOutboundPorts'),
    excludeOutboundPorts: ports('excludeOutboundPorts'),
    includeOutboundIpRanges: reader.isAll(`${TRAFFIC}/includeOutboundIPRanges`)
      ? '*'
      : ranges('includeOutboundIPRanges'),
    excludeOutboundIpRanges: ranges('excludeOutboundIPRanges'),
    excludeInterfaces: reader.list(
      `${TRAFFIC}/excludeInterfaces`,
      name => INTERFACE.test(name),
      'the name of a network interface',
    ),
  } as const
  reader.text(`${SIDECAR}/inject`)
  reader.text(`${SIDECAR}/status`)
  reader.oneOf(`${SIDECAR}/interceptionMode`, ['REDIRECT'])
  const templates: readonly Template[] = ['sidecar', 'gateway', 'grpc-agent']
  const written = reader.oneOf('inject.istio.io/templates', templates)
  const template = templates.find(one => one === written) ?? 'sidecar'
  const image = reader.text(`${SIDECAR}/proxyImage`)
  reader.oneOf(`${SIDECAR}/proxyImageType`, ['default'])
  reader.only(`${SIDECAR}/statsCompression`, 'false', 'the agent serves metrics as they are')
  reader.only(`${SIDECAR}/nativeSidecar`, 'false', 'sidecars are containers beside the others')
  reader.only('status.sidecar.istio.io/port', METRICS_PORT, 'the hub looks for metrics there')
  const rewritesProbes = reader.oneOf(`${SIDECAR}/rewriteAppHTTPProbers`, ['true', 'false']) !== 'false'
  const container = readContainer(reader)
  const statistics = readStatistics(reader)
  const metrics = metricsOf(reader, mergesMetrics)
  const proxyConfig = proxyConfigOf(reader)
  const problems = [...reader.problems, ...reader.unread()]
  return problems.length > 0
    ? err(problems)
    : ok({ capture, image, container, statistics, template, proxyConfig, rewritesProbes, ...metrics })
}

/** The older annotation for one of its settings gives way. */
function proxyConfigOf(reader: AnnotationReader): OwnProxySettings {
  const older = reader.checked(
    `${SIDECAR}/discoveryAddress`,
    text => discoveryAddressField.safeParse(text).success,
    '<host>:<port>',
  )
  const own = reader.proxyConfig('proxy.istio.io/config')
  return older === undefined ? own : { discoveryAddress: older, ...own }
}

/** The well-known annotations by which scrapers find an application are taken over, unless the pod says not to. */
function metricsOf(
  reader: AnnotationReader,
  byDefault: boolean,
): Pick<SidecarAnnotations, 'applicationMetrics' | 'announcesMetrics'> {
  const isMerged = (reader.oneOf(MERGE_METRICS, ['true', 'false']) ?? String(byDefault)) === 'true'
  const scrape = reader.text('prometheus.io/scrape')
  if (!isMerged || scrape === 'false') return { applicationMetrics: undefined, announcesMetrics: false }
  if (scrape !== 'true') return { applicationMetrics: undefined, announcesMetrics: true }
  const port = reader.checked('prometheus.io/port', isPort, 'a port, 1 to 65535') ?? '80'
  const path = reader.text('prometheus.io/path') || '/metrics'
  const scheme = reader.text('prometheus.io/scheme') || 'http'
  if (scheme !== 'http')
    reader.complain(
      'prometheus.io/scheme',
      `must be http where metrics are merged, for so the agent serves and asks: write ${MERGE_METRICS}: "false" to leave them apart`,
    )
  // What names the sidecar's own port was written by an injector before.
  const isSidecar = port === METRICS_PORT
  return {
    applicationMetrics: isSidecar ? undefined : `http://127.0.0.1:${port}${path.replace(/^\/*/, '/')}`,
    announcesMetrics: true,
  }
}
