import { Server as GrpcServer, type Server, ServerCredentials, type ServerOptions } from '@grpc/grpc-js'
import type { Closable } from '@seine/kit'

const OPTIONS: ServerOptions = {
  'grpc.max_receive_message_length': 16 << 20,
  'grpc.max_send_message_length': -1,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
}

/** Key and certificate of a server, PEM. */
export interface ServerIdentity {
  readonly certificate: string
  readonly key: string
}

/** A gRPC server with its services added by `register`. */
export function grpcServer(register: (server: Server) => void): Server {
  const server = new GrpcServer(OPTIONS)
  register(server)
  return server
}

/** Listens; over TLS where an identity is given. Rejects with a message that names the port when it can't. */
export async function listenGrpc(
  server: Server,
  host: string,
  port: number,
  identity?: ServerIdentity,
): Promise<Closable> {
  const credentials = identity
    ? ServerCredentials.createSsl(null, [
        { cert_chain: Buffer.from(identity.certificate), private_key: Buffer.from(identity.key) },
      ])
    : ServerCredentials.createInsecure()
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, credentials, failure => {
      if (failure)
        reject(
          new Error(
            `can't listen on ${host}:${port}: is another control plane running? (${failure.message})`,
          ),
        )
      else resolve()
    })
  })
  return {
    close: async () => {
      server.forceShutdown()
    },
  }
}
