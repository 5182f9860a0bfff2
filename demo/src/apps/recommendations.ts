import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js'
import { bookOf, recommendationsFor } from './books.ts'
import {
  type RecommendReply,
  type RecommendRequest,
  recommendationsService,
} from './lib/recommendations-api.ts'
import { endOnSignal, settings, workloadOf } from './lib/settings.ts'

const self = settings('recommendations', 50051)

function recommend(
  call: ServerUnaryCall<RecommendRequest, RecommendReply>,
  reply: sendUnaryData<RecommendReply>,
): void {
  const { productId } = call.request
  if (bookOf(productId) === undefined) reply({ code: status.NOT_FOUND, details: `no product ${productId}` })
  else
    reply(null, { titles: recommendationsFor(productId).map(book => book.title), servedBy: workloadOf(self) })
}

const server = new Server()
server.addService(recommendationsService().service, { recommend })
server.bindAsync(`0.0.0.0:${self.port}`, ServerCredentials.createInsecure(), failure => {
  if (failure) throw failure
  console.log(JSON.stringify({ message: 'listening', ...self }))
})
endOnSignal(() => server.forceShutdown())
