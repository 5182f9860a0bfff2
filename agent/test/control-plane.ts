import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import {
  Client,
  credentials,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type StatusObject,
  type sendUnaryData,
} from '@grpc/grpc-js'
import {
  IstioCertificateRequestSchema,
  IstioCertificateResponseSchema,
} from '@seine/envoy/istio/security/v1alpha1/ca'

const ADS = '/envoy.service.discovery.v3.AggregatedDiscoveryService/'
const CSR = '/istio.v1.auth.IstioCertificateService/CreateCertificate'

/** An Envoy's stream as the control plane sees it. */
export type AdsCall = ServerDuplexStream<Buffer, Buffer>

/** How a control plane of a test behaves. What is left out is not served. */
export interface Behaviour {
  /** The chain that answers a CSR, or the failure. */
  onCsr?(csr: string, ttlS: number, token: string): Promise<string[] | Partial<StatusObject>>
  onStream?(call: AdsCall, method: string): void
  readonly tls?: { readonly certificate: string; readonly key: string }
  /** 0 for any. */
  readonly port?: number
}

/** A real gRPC server that speaks as much of the control plane's protocols as a test needs. */
export interface ControlPlane {
  readonly port: number
  /** Ends it as a crash would: streams break and the port is free. */
  stop(): void
}

export function same(value: Buffer): Buffer {
  return value
}

/** The definition of a method whose messages pass as bytes. */
export function rawMethod(path: string, streams: boolean) {
  return {
    path,
    requestStream: streams,
    responseStream: streams,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  }
}

export async function startControlPlane(behaviour: Behaviour): Promise<ControlPlane> {
  const server = new Server({ 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 })
  const { onCsr, onStream, tls } = behaviour
  if (onCsr)
    server.addService(
      { CreateCertificate: rawMethod(CSR, false) },
      {
        CreateCertificate: (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) => {
          const { csr, validityDuration } = fromBinary(IstioCertificateRequestSchema, call.request)
          onCsr(csr, Number(validityDuration), tokenOf(call)).then(
            answer =>
              Array.isArray(answer)
                ? reply(null, Buffer.from(toBinary(IstioCertificateResponseSchema, response(answer))))
                : reply(answer),
            failure => reply({ details: String(failure) }),
          )
        },
      },
    )
  if (onStream) {
    const methods = ['DeltaAggregatedResources', 'StreamAggregatedResources']
    server.addService(
      Object.fromEntries(methods.map(name => [name, rawMethod(ADS + name, true)])),
      Object.fromEntries(methods.map(name => [name, (call: AdsCall) => onStream(call, name)])),
    )
  }
  const identity = tls && [{ cert_chain: Buffer.from(tls.certificate), private_key: Buffer.from(tls.key) }]
  const port = await listen(
    server,
    `127.0.0.1:${behaviour.port ?? 0}`,
    identity ? ServerCredentials.createSsl(null, identity) : ServerCredentials.createInsecure(),
  )
  return { port, stop: () => server.forceShutdown() }
}

function response(certChain: string[]) {
  return create(IstioCertificateResponseSchema, { certChain })
}

/** The bearer token of a call. */
export function tokenOf(call: { metadata: { get(name: string): (string | Buffer)[] } }): string {
  return String(call.metadata.get('authorization')[0] ?? '').replace(/^Bearer /, '')
}

/** @returns the port; 0 on a Unix socket. */
export function listen(
  server: Server,
  address: string,
  as = ServerCredentials.createInsecure(),
): Promise<number> {
  return new Promise((resolve, reject) =>
    server.bindAsync(address, as, (failure, port) => (failure ? reject(failure) : resolve(port))),
  )
}

/** A client without TLS that comes back fast. */
export function plainClient(target: string): Client {
  return new Client(target, credentials.createInsecure(), {
    'grpc.initial_reconnect_backoff_ms': 20,
    'grpc.min_reconnect_backoff_ms': 20,
    'grpc.max_reconnect_backoff_ms': 50,
    'grpc.max_receive_message_length': -1,
  })
}
