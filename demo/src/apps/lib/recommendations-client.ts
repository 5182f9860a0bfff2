import { type Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js'
import type { Part } from './answer.ts'
import { failed } from './http-client.ts'
import { type RecommendReply, type RecommendRequest, recommendationsService } from './recommendations-api.ts'

type Recommend = (
  request: RecommendRequest,
  metadata: Metadata,
  options: { deadline: number },
  callback: (failure: ServiceError | null, reply?: RecommendReply) => void,
) => void

/** gRPC sets its own; a forwarded one would be sent twice. */
const NOT_FORWARDED = new Set(['user-agent'])

/** Asks recommendations over gRPC, with the trace headers as metadata. */
export function recommendationsClient(
  target: string,
): (productId: number, headers: Record<string, string>) => Promise<Part<readonly string[]>> {
  const client: Client & Record<string, unknown> = new (recommendationsService())(
    target,
    credentials.createInsecure(),
  ) as never
  const call = (client['recommend'] as Recommend).bind(client)
  return (productId, headers) => {
    const metadata = new Metadata()
    for (const [name, value] of Object.entries(headers))
      if (!NOT_FORWARDED.has(name)) metadata.set(name, value)
    return new Promise(resolve => {
      call({ productId }, metadata, { deadline: Date.now() + 5_000 }, (failure, reply) => {
        if (failure || reply === undefined)
          resolve(failed(`grpc://${target}: ${failure?.message ?? 'no reply'}`))
        else resolve({ ok: true, data: reply.titles, servedBy: [reply.servedBy], failures: [] })
      })
    })
  }
}
