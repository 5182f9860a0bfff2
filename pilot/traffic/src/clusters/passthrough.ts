import type { MeshConfig } from '@seine/api'
import type { EncodedResource } from '@seine/envoy'
import { ClusterSchema } from '@seine/envoy/envoy/config/cluster/v3/cluster'
import type { MeshService } from '@seine/model'
import { encode } from '../encode.ts'
import type { PassedOnPort } from '../gateway/auto-passthrough.ts'
import { TELEMETRY_METADATA } from '../names.ts'
import { provenanceMetadata } from '../provenance-metadata.ts'
import { connectionPoolFields, loadBalancerFields, outlierDetectionFields } from './connection-settings.ts'
import { commonLbFields, edsFields } from './outbound.ts'

/** A cluster that passes connections on as they are: the TLS in them is of those who speak it. */
export function passthroughCluster(
  { name, policy, causes }: PassedOnPort,
  service: MeshService,
  config: MeshConfig,
): EncodedResource {
  const { connectionPool, loadBalancer, outlierDetection, retryBudget } = policy
  return encode(
    ClusterSchema,
    name,
    {
      name,
      ...edsFields(name),
      ...connectionPoolFields(connectionPool, config, retryBudget),
      // Who comes to a gateway has chosen no endpoint.
      ...loadBalancerFields(loadBalancer?.simple === 'PASSTHROUGH' ? undefined : loadBalancer),
      ...outlierDetectionFields(outlierDetection),
      ...commonLbFields(service, policy, config),
      metadata: {
        filterMetadata: {
          [TELEMETRY_METADATA]: {
            services: [{ host: service.hostname, name: service.name, namespace: service.namespace }],
            // The listener knows no service: telemetry reads it here.
            destination_service: service.hostname,
            destination_service_name: service.name,
            destination_service_namespace: service.namespace,
          },
          ...provenanceMetadata(causes),
        },
      },
    },
    causes,
  )
}
