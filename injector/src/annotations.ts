import {
  canonicalCidr,
  canonicalIp,
  type ObjectMeta,
  type OwnProxyConfig,
  parseProxyConfigAnnotation,
} from '@seine/api'
import { err, ok, type Problem, type Result } from '@seine/kit'
import type { CaptureOptions } from './capture-rules.ts'

/** What a pod's annotations say of its sidecar. */
export interface SidecarAnnotations {
  readonly capture: Omit<CaptureOptions, 'proxyUid' | 'captureDns'>
  /** The sidecar's image, where the pod wants another than the mesh's. */
  readonly image: string | undefined
  readonly resources: ContainerResources | undefined
  /** Where the application serves metrics of its own, to be served along with the sidecar's. */
  readonly applicationMetrics: string | undefined
  /** Whether scrapers are to be sent to the sidecar: not where the pod says where, or that they are not, to scrape. */
  readonly announcesMetrics: boolean
  /**
   * What the pod is made into: an application with a sidecar; a gateway, whose application is the proxy; or, with
   * `grpc-agent`, an application whose own gRPC library is its proxy.
   */
  readonly template: Template
  /** What `proxy.istio.io/config` says. */
  readonly proxyConfig: OwnProxyConfig
}

/** Istio's names of what pods are made into. */
export type Template = 'sidecar' | 'gateway' | 'grpc-agent'

/** A container's `resources`, as Kubernetes has them. */
export interface ContainerResources {
  readonly requests?: Readonly<Record<string, string>>
  readonly limits?: Readonly<Record<string, string>>
}

const TRAFFIC = 'traffic.sidecar.istio.io'
const SIDECAR = 'sidecar.istio.io'
/** Prefixes of annotations that are about the sidecar. */
const OURS = [
  TRAFFIC,
  SIDECAR,
  'status.sidecar.istio.io',
  'readiness.status.sidecar.istio.io',
  'proxy.istio.io',
  'inject.istio.io',
  'prometheus.istio.io',
]
/** Ones without such a prefix of their own. */
const OTHERS = ['istio.io/reroute-virtual-interfaces']

const MERGE_METRICS = 'prometheus.istio.io/merge-metrics'
const RESOURCES = {
  proxyCPU: ['requests', 'cpu'],
  proxyMemory: ['requests', 'memory'],
  proxyCPULimit: ['limits', 'cpu'],
  proxyMemoryLimit: ['limits', 'memory'],
} as const
const METRICS_PORT = '15020'
/** A port, an amount as Kubernetes writes it, the name of a network interface. */
const QUANTITY = /^\d+(\.\d+)?(m|[kMGTPE]|[KMGTPE]i)?$/
const INTERFACE = /^[^\s/:]{1,15}$/

/**
 * Reads Istio's annotations of a pod. Each is honoured or refused: one that was ignored would let people
 * believe in something that does not happen.
 *
 * @returns what they say, or each that can't be read or is not supported.
 */
export function readAnnotations(metadata: ObjectMeta): Result<SidecarAnnotations, Problem[]> {
  const reader = new Reader(metadata)
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
  const resources = resourcesOf(reader)
  const metrics = metricsOf(reader)
  const proxyConfig = reader.proxyConfig('proxy.istio.io/config')
  const problems = [...reader.problems, ...reader.unread()]
  return problems.length > 0
    ? err(problems)
    : ok({ capture, image, resources, template, proxyConfig, ...metrics })
}

function resourcesOf(reader: Reader): ContainerResources | undefined {
  const resources: { requests?: Record<string, string>; limits?: Record<string, string> } = {}
  for (const [name, [kind, resource]] of Object.entries(RESOURCES)) {
    const amount = reader.checked(
      `${SIDECAR}/${name}`,
      text => QUANTITY.test(text),
      'an amount such as 100m or 128Mi',
    )
    if (amount !== undefined) resources[kind] = { ...resources[kind], [resource]: amount }
  }
  return resources.requests || resources.limits ? resources : undefined
}

/** The well-known annotations by which scrapers find an application are taken over, unless the pod says not to. */
function metricsOf(reader: Reader): Pick<SidecarAnnotations, 'applicationMetrics' | 'announcesMetrics'> {
  const isMerged = reader.oneOf(MERGE_METRICS, ['true', 'false']) !== 'false'
  const scrape = reader.text('prometheus.io/scrape')
  if (!isMerged || scrape === 'false') return { applicationMetrics: undefined, announcesMetrics: false }
  if (scrape !== 'true') return { applicationMetrics: undefined, announcesMetrics: true }
  const port = reader.checked('prometheus.io/port', isPort, 'a port, 1 to 65535') ?? '80'
  const path = reader.text('prometheus.io/path') || '/metrics'
  // What names the sidecar's own port was written by an injector before.
  const isSidecar = port === METRICS_PORT
  return {
    applicationMetrics: isSidecar ? undefined : `http://127.0.0.1:${port}${path.replace(/^\/*/, '/')}`,
    announcesMetrics: true,
  }
}

/** Reads annotations one by one and keeps account of what is wrong with them, and of which were never read. */
class Reader {
  readonly problems: Problem[] = []
  readonly #metadata: ObjectMeta
  readonly #read = new Set<string>()

  constructor(metadata: ObjectMeta) {
    this.#metadata = metadata
  }

  text(name: string): string | undefined {
    this.#read.add(name)
    return this.#metadata.annotations[name]?.trim()
  }

  /** Whether a list means everything: when it is `*`, or not given. Given but empty it means nothing. */
  isAll(name: string): boolean {
    const text = this.text(name)
    return text === undefined || text === '*'
  }

  list(name: string, valid: (part: string) => boolean, wanted: string): string[] {
    const parts = (this.text(name) ?? '').split(',').map(part => part.trim())
    const given = parts.filter(part => part !== '')
    for (const part of given) if (!valid(part)) this.#complain(name, `"${part}" is not ${wanted}`)
    return given
  }

  checked(name: string, valid: (text: string) => boolean, wanted: string): string | undefined {
    const text = this.text(name)
    if (text === undefined || valid(text)) return text
    this.#complain(name, `"${text}" is not ${wanted}`)
    return undefined
  }

  proxyConfig(name: string): OwnProxyConfig {
    const read = parseProxyConfigAnnotation(this.text(name) ?? '')
    if (read.ok) return read.value
    for (const message of read.error) this.#complain(name, message)
    return {}
  }

  oneOf(name: string, values: readonly string[]): string | undefined {
    return this.checked(name, text => values.includes(text), values.join(' or '))
  }

  /** What is about the sidecar and nothing here knows. */
  unread(): Problem[] {
    const unread = Object.keys(this.#metadata.annotations).filter(
      name =>
        !this.#read.has(name) &&
        (OTHERS.includes(name) || OURS.some(prefix => name.startsWith(`${prefix}/`))),
    )
    return unread.map(name =>
      this.#problem(name, 'IST0108', 'is not supported: remove it, as it would have no effect'),
    )
  }

  #complain(name: string, message: string): void {
    this.problems.push(this.#problem(name, 'IST0125', message))
  }

  #problem(name: string, code: string, message: string): Problem {
    const { namespace, name: pod } = this.#metadata
    return {
      severity: 'error',
      code,
      message,
      path: `metadata.annotations["${name}"]`,
      resource: { kind: 'Pod', namespace, name: pod },
    }
  }
}

function isPort(text: string): boolean {
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535
}

function isRange(text: string): boolean {
  return canonicalIp(text) !== undefined || canonicalCidr(text) !== undefined
}
