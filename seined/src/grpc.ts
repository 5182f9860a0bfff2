import {
  experimental,
  Server as GrpcServer,
  type Server,
  ServerCredentials,
  type ServerOptions,
} from '@grpc/grpc-js'
import type { Closable } from '@seine/kit'
import { listenFailure, type WantedPort } from './listen-failure.ts'
import type { ServerIdentity } from './server-identity.ts'

const OPTIONS: ServerOptions = {
  'grpc.max_receive_message_length': 16 << 20,
  'grpc.max_send_message_length': -1,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  // Nobody asks for gRPC's own statistics of each stream and message; keeping them costs for each.
  'grpc.enable_channelz': 0,
}

/** A gRPC server with its services added by `register`. */
export function grpcServer(register: (server: Server) => void): Server {
  const server = new GrpcServer(OPTIONS)
  register(server)
  return server
}

/** Listens; over TLS where an identity is given. Rejects with a message that says what to do when it can't. */
export async function listenGrpc(
  server: Server,
  wanted: WantedPort,
  identity?: ServerIdentity,
): Promise<Closable> {
  const credentials = identity
    ? experimental.createCertificateProviderServerCredentials(identity, null, false)
    : ServerCredentials.createInsecure()
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`${wanted.host}:${wanted.port}`, credentials, failure => {
      if (failure) reject(listenFailure(wanted, failure))
      else resolve()
    })
  })
  return {
    close: async () => {
      server.forceShutdown()
    },
  }
}
