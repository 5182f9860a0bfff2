import type { GrpcObject, ServiceClientConstructor } from '@grpc/grpc-js'
import { loadPackageDefinition } from '@grpc/grpc-js'
import { fromJSON } from '@grpc/proto-loader'

/** `service Recommendations { rpc Recommend (RecommendRequest) returns (RecommendReply) }`, as protobuf.js writes it. */
const descriptor = {
  nested: {
    bookstore: {
      nested: {
        RecommendRequest: { fields: { productId: { type: 'int32', id: 1 } } },
        RecommendReply: {
          fields: {
            titles: { rule: 'repeated', type: 'string', id: 1 },
            servedBy: { type: 'string', id: 2 },
          },
        },
        Recommendations: {
          methods: { Recommend: { requestType: 'RecommendRequest', responseType: 'RecommendReply' } },
        },
      },
    },
  },
}

export interface RecommendRequest {
  readonly productId: number
}

export interface RecommendReply {
  readonly titles: readonly string[]
  readonly servedBy: string
}

/** The generated client class, which also carries the service's definition. */
export function recommendationsService(): ServiceClientConstructor {
  const loaded = loadPackageDefinition(
    fromJSON(descriptor as unknown as Parameters<typeof fromJSON>[0], { defaults: true }),
  )
  return (loaded['bookstore'] as GrpcObject)['Recommendations'] as ServiceClientConstructor
}
