import type { EncodedResource } from '@seine/envoy'
import type { ServiceResources } from './service-resources.ts'
import type { TablePlace } from './table-places.ts'

/** What a scope has made of a host. */
export interface HostResources extends ServiceResources {
  readonly virtualHosts: readonly EncodedResource[]
}

export const NOTHING: HostResources = { clusters: [], endpoints: [], virtualHosts: [] }

/** What a change does to the ports of a host. */
export interface PortChanges {
  /** Its places in tables of requests, those that it had included. */
  readonly touched: readonly TablePlace[]
  readonly areOthers: boolean
  /** Whether a listener must come, go or change. */
  readonly areListenedTo: boolean
}
