import { type EncodedResource, TypeUrl } from '@seine/envoy'
import type { ChangedNames } from './changed-names.ts'
import type { Demand } from './demand.ts'

/** What one proxy gets. Look-ups are cheap: everything is made and encoded already. */
export interface ProxyConfiguration {
  get(type: string, name: string): EncodedResource | undefined
  /** The names a subscription to everything gets; with `prefix`, the virtual hosts of that route configuration. */
  names(type: string, prefix?: string): Iterable<string>
  /** What the proxy asks for, where that decides what it gets. */
  readonly demands?: {
    ask(type: string, names: Iterable<string>): ChangedNames
    resourceName(type: string, name: string): string
    follow(hint: ChangedNames): ChangedNames
  }
}

/** A configuration of which a proxy gets what it demands. */
export function demanded(whole: ProxyConfiguration, demand: Demand): ProxyConfiguration {
  return {
    get: (type, name) => {
      if (type === TypeUrl.virtualHost) return demand.virtualHost(name)
      if (type === TypeUrl.cluster && !demand.hasCluster(name)) return undefined
      return whole.get(type, name)
    },
    names: (type, prefix) => {
      if (type === TypeUrl.virtualHost) return demand.virtualHosts(prefix)
      if (type === TypeUrl.cluster) return demand.clusters()
      if (type !== TypeUrl.endpoint) return whole.names(type, prefix)
      return [...demand.clusters()].filter(name => whole.get(type, name))
    },
    demands: {
      ask: (type, names) => demand.ask(type, names),
      resourceName: (type, name) =>
        type === TypeUrl.virtualHost && name.includes('/') ? demand.resourceName(name) : name,
      follow: hint => demand.follow(hint),
    },
  }
}
