import { readFile } from 'node:fs/promises'
import { create, toBinary } from '@bufbuild/protobuf'
import { type ChannelOptions, Client, credentials, Metadata } from '@grpc/grpc-js'
import { DeltaDiscoveryRequestSchema } from '@seine/envoy/envoy/service/discovery/v3/discovery'
import { type AgentSettings, nodeId, nodeMetadata } from './settings.ts'

/** The name in the certificate of the control plane's TLS port, whatever address it is reached by. */
const SERVER_NAME = 'seined.seine-system.svc'

const OPTIONS: ChannelOptions = {
  'grpc.ssl_target_name_override': SERVER_NAME,
  'grpc.default_authority': SERVER_NAME,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 2000,
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
}

/** A client of the control plane's TLS port, which must show a certificate of the mesh's root. */
export async function controlPlaneClient(address: string, rootCertFile: string): Promise<Client> {
  return new Client(address, credentials.createSsl(await readFile(rootCertFile)), OPTIONS)
}

/** The workload's token as call metadata. It is read each time: the platform replaces it before it ends. */
export async function bearer(tokenFile: string): Promise<Metadata> {
  const metadata = new Metadata()
  metadata.set('authorization', `Bearer ${(await readFile(tokenFile, 'utf8')).trim()}`)
  return metadata
}

/** The delta protocol of ADS. */
export const DELTA_ADS = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources'

/** Messages are passed on as bytes. */
export function same(value: Buffer): Buffer {
  return value
}

/** The node that the agent's own streams are of: the proxy's, called by another name. */
export function agentNode(settings: AgentSettings) {
  return { id: nodeId(settings), cluster: 'seine-agent', metadata: nodeMetadata(settings) }
}

/** A request of the delta protocol as bytes. */
export function deltaRequest(init: Parameters<typeof create<typeof DeltaDiscoveryRequestSchema>>[1]): Buffer {
  return Buffer.from(toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, init)))
}
