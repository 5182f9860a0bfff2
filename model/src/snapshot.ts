import type {
  AuthorizationPolicy,
  DestinationRule,
  EnvoyFilter,
  MeshConfig,
  PeerAuthentication,
  Secret,
  Sidecar,
} from '@seine/api'
import type { Problem } from '@seine/kit'
import type { ServiceEndpoints } from './endpoint.ts'
import type { BackendTls, RoutedService, ServedGateway, StatusBody } from './gateway-api/index.ts'
import type { Networks } from './networks.ts'
import type { MeshService } from './service.ts'
import type { Workload } from './workload.ts'

/**
 * Everything the mesh knows at one moment. Immutable: a change makes a new snapshot that shares whatever
 * did not change, so identity of a part means it is the same.
 */
export interface MeshSnapshot {
  /** Grows by one with each change. */
  readonly version: number
  readonly config: MeshConfig
  /** Labels of each namespace that was declared. */
  readonly namespaces: ReadonlyMap<string, Readonly<Record<string, string>>>
  /** By hostname. */
  readonly services: ReadonlyMap<string, MeshService>
  /** By hostname of the service. */
  readonly endpoints: ReadonlyMap<string, ServiceEndpoints>
  /** By `namespace/name`. */
  readonly workloads: ReadonlyMap<string, Workload>
  readonly networks: Networks
  /** By `namespace/name`: those that people write, and those that were derived from the Gateway API's routes. */
  readonly virtualServices: ReadonlyMap<string, RoutedService>
  /** By `namespace/name`. */
  readonly destinationRules: ReadonlyMap<string, DestinationRule>
  /** By `namespace/name`. */
  readonly peerAuthentications: ReadonlyMap<string, PeerAuthentication>
  /** By `namespace/name`. */
  readonly authorizationPolicies: ReadonlyMap<string, AuthorizationPolicy>
  /** By `namespace/name`. */
  readonly sidecars: ReadonlyMap<string, Sidecar>
  /** By `namespace/name`. */
  readonly envoyFilters: ReadonlyMap<string, EnvoyFilter>
  /** How gateways connect to services, by hostname. */
  readonly backendTls: ReadonlyMap<string, readonly BackendTls[]>
  /** The status of each object of the Gateway API that Seine is in charge of, by its key (`keyOf`). */
  readonly statuses: ReadonlyMap<string, StatusBody>
  /** By `namespace/name`: Istio's, and those that were derived from listeners of the Gateway API. */
  readonly gateways: ReadonlyMap<string, ServedGateway>
  /** By `namespace/name`. They hold private keys: gateways get those that their servers name, nobody else gets any. */
  readonly secrets: ReadonlyMap<string, Secret>
  /** What is wrong between resources, such as two that claim one host. */
  readonly problems: readonly Problem[]
}

/** What differs between a snapshot and the one before it. Sets hold the keys of the maps of the same names. */
export interface ChangeSet {
  readonly config: boolean
  readonly namespaces: ReadonlySet<string>
  readonly services: ReadonlySet<string>
  readonly endpoints: ReadonlySet<string>
  readonly workloads: ReadonlySet<string>
  /** Those whose gateways are others, or, where workloads may be in others than before, all of them. */
  readonly networks: ReadonlySet<string>
  readonly virtualServices: ReadonlySet<string>
  readonly destinationRules: ReadonlySet<string>
  readonly peerAuthentications: ReadonlySet<string>
  readonly authorizationPolicies: ReadonlySet<string>
  readonly sidecars: ReadonlySet<string>
  readonly envoyFilters: ReadonlySet<string>
  readonly backendTls: ReadonlySet<string>
  readonly gateways: ReadonlySet<string>
  readonly secrets: ReadonlySet<string>
}

/** Whether anything changed at all. */
export function isEmpty(changes: ChangeSet): boolean {
  return (
    !changes.config && Object.values(changes).every(value => typeof value === 'boolean' || value.size === 0)
  )
}
