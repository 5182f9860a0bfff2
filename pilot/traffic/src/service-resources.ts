import type { DestinationRule } from '@seine/api'
import type { EncodedResource } from '@seine/envoy'
import type { MeshService, MeshSnapshot, ServiceEndpoints } from '@seine/model'
import { outboundClusters } from './clusters/outbound.ts'
import { endpointAssignments, staticEndpoints } from './endpoints.ts'
import { passedOn } from './gateway/auto-passthrough.ts'
import { isPlaceDependent } from './locality.ts'
import { type NetworkView, waysKey } from './networks.ts'
import type { ResourceCache } from './resource-cache.ts'
import type { ScopeKey } from './scope-key.ts'

/** The clusters of a service, and their endpoints. */
export interface ServiceResources {
  readonly clusters: readonly EncodedResource[]
  readonly endpoints: readonly EncodedResource[]
}

/** What they are made from, as the clients of a scope see it. */
interface ServiceInputs {
  readonly key: ScopeKey
  readonly snapshot: MeshSnapshot
  readonly service: MeshService
  readonly endpoints: ServiceEndpoints
  readonly rule: DestinationRule | undefined
}

/** From where the clients of a scope see the mesh's networks. */
export function viewOf({ network, families }: ScopeKey, { networks }: MeshSnapshot): NetworkView {
  return { network, families, gateways: networks.gateways }
}

/** The clusters of a service, and their endpoints, as the clients of a scope get them. Equal inputs give the same objects. */
export function serviceResources(cache: ResourceCache, inputs: ServiceInputs): ServiceResources {
  const { key, snapshot, service, endpoints, rule } = inputs
  const { config } = snapshot
  const { families, locality, sourceLabels: labels, network, clientCertificate } = key
  const { keepsCase } = key.headers
  const backendTls = key.gateway ? snapshot.backendTls.get(service.hostname) : undefined
  const client = { locality, labels, network }
  const place = isPlaceDependent(service, rule, config) && JSON.stringify(client)
  const view = viewOf(key, snapshot)
  const ofClient = { client, families, clientCertificate, view, keepsCase }
  const ways = waysKey(endpoints, view)
  const own = {
    clusters: cache.clusters(
      service,
      [
        rule,
        endpoints.meshed,
        endpoints.identities.join(),
        config,
        staticEndpoints(service, endpoints),
        place,
        service.externalName && snapshot.services.get(service.externalName),
        backendTls,
        families,
        keepsCase,
        backendTls && JSON.stringify(clientCertificate),
        service.resolution !== 'static' && ways,
      ],
      () => outboundClusters({ ...ofClient, snapshot, service, endpoints, rule, backendTls }),
    ),
    endpoints: cache.endpoints(
      endpoints,
      [
        service,
        rule,
        place,
        config,
        // Who goes by gateways is called by mutual TLS only.
        ways,
        ways && config.enableAutoMtls,
        ways && backendTls,
      ],
      () => endpointAssignments({ service, endpoints, rule, config, client, view, backendTls }),
    ),
  }
  if (!key.passesOn) return own
  const passed = passedOn({ snapshot, service, endpoints, rule, client, view })
  return {
    clusters: [...own.clusters, ...passed.clusters],
    endpoints: [...own.endpoints, ...passed.endpoints],
  }
}
