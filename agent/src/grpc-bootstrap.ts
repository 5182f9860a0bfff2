import { certificateFile } from './certificate-files.ts'
import { type AgentSettings, nodeId, nodeMetadata } from './settings.ts'

/** What the names of listeners begin with that servers ask for, Istio's. */
const SERVER_LISTENERS = 'xds.istio.io/grpc/lds/inbound/%s'
/** How often a gRPC library looks for a new certificate. The agent renews it when a third of its life is left. */
const REFRESH = '10s'

/** Where the agent relays an application's questions to pilot. It answers nothing else there. */
export function adsSocketPath({ runDir }: AgentSettings): string {
  return `${runDir}/xds.sock`
}

/**
 * The bootstrap of a gRPC library, as gRPC's A27, A29 and A36 have it: who the application is, where the agent is and,
 * where certificates are written, in which files. Without those a library refuses what asks for mutual TLS.
 */
export function grpcBootstrap(settings: AgentSettings): object {
  const { certificateFolder: folder } = settings.proxyless ?? {}
  return {
    xds_servers: [
      {
        server_uri: `unix://${adsSocketPath(settings)}`,
        // A socket of the pod's own; the agent speaks TLS from there on.
        channel_creds: [{ type: 'insecure' }],
        server_features: ['xds_v3'],
      },
    ],
    node: {
      id: nodeId(settings),
      cluster: `${settings.workloadName}.${settings.namespace}`,
      // Libraries ask for it; pilot knows where workloads are.
      locality: {},
      metadata: nodeMetadata(settings),
    },
    server_listener_resource_name_template: SERVER_LISTENERS,
    ...(folder === undefined
      ? {}
      : {
          certificate_providers: {
            default: {
              plugin_name: 'file_watcher',
              config: {
                private_key_file: certificateFile(folder, 'key'),
                certificate_file: certificateFile(folder, 'chain'),
                ca_certificate_file: certificateFile(folder, 'root'),
                refresh_interval: REFRESH,
              },
            },
          },
        }),
  }
}
