import { create } from '@bufbuild/protobuf'
import { duration } from '@seine/envoy'
import { type ConfigSource, ConfigSourceSchema } from '@seine/envoy/envoy/config/core/v3/config_source'

/** The names, as SDS has them, of the workload's own certificate and of the mesh's root. */
export const AGENT_SECRETS = { certificate: 'default', root: 'ROOTCA' } as const

/** Certificates come from the agent over a Unix socket, which the bootstrap's cluster `sds-grpc` names. */
export function agentSds(): ConfigSource {
  return create(ConfigSourceSchema, {
    resourceApiVersion: 2,
    initialFetchTimeout: duration(0),
    configSourceSpecifier: {
      case: 'apiConfigSource',
      value: {
        apiType: 2,
        transportApiVersion: 2,
        setNodeOnFirstMessageOnly: true,
        grpcServices: [{ targetSpecifier: { case: 'envoyGrpc', value: { clusterName: 'sds-grpc' } } }],
      },
    },
  })
}
