import { durationMs, type ObjectMeta, type OwnProxyConfig, type ProxyConfig } from '@seine/api'
import { byAge, selects } from '@seine/model'

/** What ProxyConfigs, and a pod's own annotation, say of its proxy. */
export interface EffectiveProxyConfig {
  /** Threads of Envoy; 0 for one for each core. */
  readonly concurrency: number | undefined
  readonly environment: Readonly<Record<string, string>>
  /** How long requests may take to end when the pod stops. */
  readonly drainMs: number | undefined
}

/**
 * What holds for a pod, as Istio merges it: what is said of the mesh (a ProxyConfig without a selector in the root
 * namespace), of the namespace, by the pod's annotation, and of the workload; the later field by field, variables one by one.
 * Of several for the same the oldest counts.
 */
export function effectiveProxyConfig(
  { namespace, labels }: ObjectMeta,
  own: OwnProxyConfig,
  configs: readonly ProxyConfig[],
  rootNamespace: string,
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
  const layers = [
    written(ofAll(rootNamespace)),
    ...(namespace === rootNamespace ? [] : [written(ofAll(namespace))]),
    { concurrency: own.concurrency, environment: own.proxyMetadata ?? {} },
    written(ofWorkload),
  ]
  const { terminationDrainDuration } = own
  return {
    concurrency: layers.findLast(({ concurrency }) => concurrency !== undefined)?.concurrency,
    environment: Object.assign({}, ...layers.map(({ environment }) => environment)),
    drainMs: terminationDrainDuration === undefined ? undefined : durationMs(terminationDrainDuration),
  }
}

/** A selector without labels selects all, as everywhere. */
function isForAll({ spec }: ProxyConfig): boolean {
  return Object.keys(spec.selector?.matchLabels ?? {}).length === 0
}
