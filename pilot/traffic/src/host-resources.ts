import type { EncodedResource } from '@seine/envoy'
import type { TablePlace } from './table-places.ts'

/** What a scope has made of a host. */
export interface HostResources {
  readonly clusters: readonly EncodedResource[]
  readonly endpoints: readonly EncodedResource[]
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
