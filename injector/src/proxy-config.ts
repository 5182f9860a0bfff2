import type { MeshConfig, ObjectMeta, OwnProxySettings, ProxyConfig } from '@seine/api'
import { byAge, selects } from '@seine/model'

/** What the mesh's settings, ProxyConfigs, and a pod's own annotation say of its proxy. */
export interface EffectiveProxyConfig {
  /** Threads of Envoy; 0 for one for each core. */
  readonly concurrency: number | undefined
  readonly environment: Readonly<Record<string, string>>
  /** What else it takes when it starts. */
  readonly start: StartSettings
  /** What running proxies take up: only what the pod says of its own, for the mesh's settings hold as they are at each moment. */
  readonly live: Pick<OwnProxySettings, (typeof LIVE)[number]>
}

type StartSettings = Pick<OwnProxySettings, (typeof START)[number]>

const START = [
  'drainDuration',
  'terminationDrainDuration',
  'holdApplicationUntilProxyStarts',
  'proxyStatsMatcher',
  'runtimeValues',
  'caCertificatesPem',
  'meshId',
  'fileFlushInterval',
  'fileFlushMinSizeKb',
] as const
const LIVE = ['tracing', 'tracingServiceName', 'gatewayTopology', 'proxyHeaders', 'meshId'] as const

/**
 * What holds for a pod, as Istio merges it: what is said by the mesh's settings (`defaultConfig`), of the mesh (a
 * ProxyConfig without a selector in the root namespace), of the namespace, by the pod's annotation, and of the workload;
 * the later field by field, variables one by one. Of several for the same the oldest counts.
 */
export function effectiveProxyConfig(
  { namespace, labels }: Pick<ObjectMeta, 'namespace' | 'labels'>,
  own: OwnProxySettings,
  configs: readonly ProxyConfig[],
  { rootNamespace, defaultConfig }: Pick<MeshConfig, 'rootNamespace' | 'defaultConfig'>,
): EffectiveProxyConfig {
  const inOrder = [...configs].sort(byAge)
  const ofAll = (place: string) =>
    inOrder.find(config => config.metadata.namespace === place && isForAll(config))
  const ofWorkload = inOrder.find(
    config =>
      config.metadata.namespace === namespace &&
      !isForAll(config) &&
      selects(config.spec.selector?.matchLabels, labels),
  )
  const written = (config: ProxyConfig | undefined) => ({
    concurrency: config?.spec.concurrency,
    environment: config?.spec.environmentVariables ?? {},
  })
  const said = ({ concurrency, proxyMetadata = {} }: OwnProxySettings) => ({
    concurrency,
    environment: proxyMetadata,
  })
  const layers = [
    said(defaultConfig),
    written(ofAll(rootNamespace)),
    ...(namespace === rootNamespace ? [] : [written(ofAll(namespace))]),
    said(own),
    written(ofWorkload),
  ]
  return {
    concurrency: layers.findLast(({ concurrency }) => concurrency !== undefined)?.concurrency,
    environment: Object.assign({}, ...layers.map(({ environment }) => environment)),
    start: { ...picked(defaultConfig, START), ...picked(own, START) },
    live: picked(own, LIVE),
  }
}

/** Those of some fields that are there. */
function picked<T extends object, K extends keyof T>(from: T, fields: readonly K[]): Pick<T, K> {
  const given = fields.filter(field => from[field] !== undefined).map(field => [field, from[field]] as const)
  return Object.fromEntries(given) as Pick<T, K>
}

/** A selector without labels selects all, as everywhere. */
function isForAll({ spec }: ProxyConfig): boolean {
  return Object.keys(spec.selector?.matchLabels ?? {}).length === 0
}
