import { type BootstrapSettings, durationMs, type MeshConfig, type StatisticsSettings } from '@seine/api'
import type { LogLevels } from './container-annotations.ts'
import type { EffectiveProxyConfig } from './proxy-config.ts'

/** What decides how an agent and its Envoy start, beside who they are and whom they call. */
export interface ProxyStart {
  readonly config: EffectiveProxyConfig
  readonly statistics: StatisticsSettings
  readonly levels: LogLevels
  /** Authorities that all proxies of the mesh trust beside its root, each in PEM. */
  readonly authorities: readonly string[]
}

/** The variables by which an agent learns how it and its Envoy start; those that have their default are left out. */
export function proxyEnvironment({
  config,
  statistics,
  levels,
  authorities,
}: ProxyStart): Record<string, string> {
  const { concurrency, start, live } = config
  const { drainDuration, terminationDrainDuration, caCertificatesPem = [], meshId } = start
  const { fileFlushInterval, fileFlushMinSizeKb } = start
  const trusted = [...authorities, ...caCertificatesPem].map(pem => pem.trim()).join('\n')
  const bootstrap = bootstrapSettings(start, statistics)
  return {
    ...variable('ENVOY_CONCURRENCY', concurrency),
    ...variable('DRAIN_MS', terminationDrainDuration && durationMs(terminationDrainDuration)),
    ...variable('LISTENER_DRAIN_S', drainDuration && Math.ceil(durationMs(drainDuration) / 1000)),
    ...variable('LOG_FLUSH_MS', fileFlushInterval && durationMs(fileFlushInterval)),
    ...variable('LOG_FLUSH_KIB', fileFlushMinSizeKb),
    ...variable('ENVOY_LOG_LEVEL', levels.envoy),
    ...variable('ENVOY_COMPONENT_LOG_LEVEL', levels.components),
    ...variable('SEINE_LOG_LEVEL', levels.agent),
    ...variable('TRUSTED_ROOTS', trusted || undefined),
    ...variable('MESH_ID', meshId),
    ...(Object.keys(bootstrap).length > 0 ? { BOOTSTRAP_SETTINGS: JSON.stringify(bootstrap) } : {}),
    ...(Object.keys(live).length > 0 ? { PROXY_CONFIG: JSON.stringify(live) } : {}),
  }
}

/** What the agent writes into Envoy's bootstrap. An annotation's list goes before the setting of the same. */
function bootstrapSettings(
  { proxyStatsMatcher = {}, runtimeValues = {} }: EffectiveProxyConfig['start'],
  statistics: StatisticsSettings,
): BootstrapSettings {
  const stats = {
    ...given('prefixes', proxyStatsMatcher.inclusionPrefixes),
    ...given('suffixes', proxyStatsMatcher.inclusionSuffixes),
    ...given('regexps', proxyStatsMatcher.inclusionRegexps),
    ...statistics,
  }
  return {
    ...(Object.keys(stats).length > 0 ? { stats } : {}),
    ...(Object.keys(runtimeValues).length > 0 ? { runtime: runtimeValues } : {}),
  }
}

function given(name: string, list: readonly string[] | undefined): object {
  return list?.length ? { [name]: list } : {}
}

function variable(name: string, value: string | number | undefined): Record<string, string> {
  return value === undefined ? {} : { [name]: String(value) }
}

/** The authorities that the mesh's settings name. */
export function authoritiesOf({
  caCertificates = [],
}: Pick<MeshConfig, 'caCertificates'>): readonly string[] {
  return caCertificates.map(({ pem }) => pem)
}
