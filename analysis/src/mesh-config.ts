import type { ConfigMap } from '@seine/api'
import { isRecord } from '@seine/kit'
import { parse } from 'yaml'

/** What analysis reads of the mesh-wide settings. */
export interface AnalyzedMeshConfig {
  readonly rootNamespace: string
  /** Addresses are given to ServiceEntries that have none. */
  readonly allocatesAddresses: boolean
  /** Access logs go somewhere without being told where. */
  readonly logsByDefault: boolean
  /** Names of tracing providers of a kind that is no longer there. */
  readonly lightstepProviders: readonly string[]
  /** The services that providers send to which count by default. */
  readonly calledServices: readonly CalledService[]
  /** The registries that networks take endpoints from, by where they are written. */
  readonly networkRegistries: readonly NetworkRegistry[]
}

/** A service that proxies call by themselves. */
export interface CalledService {
  readonly resource: ConfigMap
  readonly provider: string
  readonly host: string
  readonly port: number
}

/** One `fromRegistry` of the mesh's networks. */
export interface NetworkRegistry {
  readonly resource: ConfigMap
  readonly network: string
  readonly registry: string
}

/** Reads the ConfigMaps that hold settings of the whole mesh: `istio` or `seine`, and those of revisions. */
export function readMeshConfig(maps: readonly ConfigMap[]): AnalyzedMeshConfig {
  const holders = maps.filter(({ metadata }) => /^(istio|seine)(-[a-z0-9-]+)?$/.test(metadata.name))
  const written = holders
    .map(resource => ({ resource, mesh: readYaml(resource.spec.data?.['mesh']) }))
    .find(({ mesh }) => mesh !== undefined)
  const mesh = written?.mesh
  const metadata = at(mesh, 'defaultConfig', 'proxyMetadata')
  const isOn = (name: string) => String(at(metadata, name)) === 'true'
  return {
    rootNamespace: textOf(at(mesh, 'rootNamespace')) ?? 'istio-system',
    allocatesAddresses:
      isOn('ISTIO_META_DNS_CAPTURE') &&
      (isOn('ISTIO_META_DNS_AUTO_ALLOCATE') || isOn('PILOT_ENABLE_IP_AUTOALLOCATE')),
    logsByDefault: listOf(at(mesh, 'defaultProviders', 'accessLogging')).length > 0,
    lightstepProviders: listOf(at(mesh, 'extensionProviders')).flatMap(provider =>
      at(provider, 'lightstep') === undefined ? [] : (textOf(at(provider, 'name')) ?? []),
    ),
    calledServices: written ? calledServices(written.resource, mesh) : [],
    networkRegistries: holders.flatMap(registriesOf),
  }
}

/** What the default providers of spans and access logs send to. */
function calledServices(resource: ConfigMap, mesh: unknown): CalledService[] {
  const providers = listOf(at(mesh, 'extensionProviders'))
  const calls = [
    ['tracing', 'opentelemetry'],
    ['accessLogging', 'envoyOtelAls'],
  ] as const
  return calls.flatMap(([purpose, kind]) =>
    listOf(at(mesh, 'defaultProviders', purpose)).flatMap(name => {
      const found = at(
        providers.find(provider => at(provider, 'name') === name),
        kind,
      )
      const [service, port] = [textOf(at(found, 'service')), at(found, 'port')]
      if (service === undefined || typeof port !== 'number') return []
      return [{ resource, provider: String(name), host: service.slice(service.indexOf('/') + 1), port }]
    }),
  )
}

function registriesOf(resource: ConfigMap): NetworkRegistry[] {
  const networks = at(readYaml(resource.spec.data?.['meshNetworks']), 'networks')
  return Object.entries(isRecord(networks) ? networks : {}).flatMap(([network, settings]) =>
    listOf(at(settings, 'endpoints')).flatMap(endpoint => {
      const registry = textOf(at(endpoint, 'fromRegistry'))
      return registry === undefined ? [] : [{ resource, network, registry }]
    }),
  )
}

/** What a text says in YAML; undefined when it says nothing or is none, which validation reports. */
export function readYaml(text: string | undefined): unknown {
  if (text === undefined) return undefined
  try {
    return parse(text, { logLevel: 'silent' })
  } catch {
    return undefined
  }
}

/** A value inside others; undefined where there is none. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, key) => (isRecord(inner) ? inner[key] : undefined), value)
}

/** The items of a list; none for anything else. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** A text; undefined for anything else. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
