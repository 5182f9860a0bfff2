import {
  type ExtensionProvider,
  type MeshConfig,
  mergedSettings,
  type ProxySettings,
  providerNamed,
} from '@seine/api'
import type { MeshSnapshot } from '@seine/model'
import { outboundClusterName } from './names.ts'
import type { Proxy } from './proxy.ts'

/** What of a client's settings its routes and clusters depend on. */
export interface RouteHeaders {
  /** Requests do not say which try they are. */
  readonly hidesAttempts: boolean
  /** What the host was before it was rewritten is written into `x-forwarded-host`. */
  readonly keepsHost: boolean
  /** Names of headers keep the letters that they were written with, over HTTP/1.1. */
  readonly keepsCase: boolean
}

/** What holds for a proxy: its own settings, and the mesh's as they are now. */
export function proxySettingsOf(
  { config }: Pick<MeshSnapshot, 'config'>,
  { own }: Pick<Proxy, 'own'>,
): ProxySettings {
  return Object.keys(own).length === 0 ? config.defaultConfig : mergedSettings(config.defaultConfig, own)
}

/** What of a proxy's settings its routes and clusters depend on. */
export function routeHeadersOf({ proxyHeaders }: ProxySettings): RouteHeaders {
  return {
    hidesAttempts: proxyHeaders?.attemptCount?.disabled ?? false,
    keepsHost: proxyHeaders?.xForwardedHost?.enabled ?? false,
    keepsCase: proxyHeaders?.preserveHttp1HeaderCase ?? false,
  }
}

/** Where spans go by the mesh's default provider; undefined where there is none, and they go to mixer. */
export function tracingProvider(config: MeshConfig): ExtensionProvider['opentelemetry'] {
  const [name] = config.defaultProviders.tracing ?? []
  return name === undefined ? undefined : providerNamed(name, config.extensionProviders ?? [])?.opentelemetry
}

/** The host of a provider's service, which may have its namespace before it. */
export function providerHost({ service }: { readonly service: string }): string {
  return service.slice(service.indexOf('/') + 1)
}

/** The cluster of a provider's service. Its service need not be there: it may come. */
export function providerCluster(provider: { readonly service: string; readonly port: number }): string {
  return outboundClusterName(provider.port, '', providerHost(provider))
}

/** The clusters that all proxies need for what the mesh's default providers get. */
export function providerClusters(config: MeshConfig): readonly string[] {
  const logs = (config.defaultProviders.accessLogging ?? []).map(
    name => providerNamed(name, config.extensionProviders ?? [])?.envoyOtelAls,
  )
  return [tracingProvider(config), ...logs].flatMap(provider => (provider ? [providerCluster(provider)] : []))
}
