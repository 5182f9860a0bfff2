// A gRPC client as anybody would write it: `client.mjs PORT`. It makes calls when it is asked to over HTTP, as
// `GET /?target=xds:///greeter:7070&count=10&method=SayHello&header=x-user:alice&timeout=5000`, and tells what came back.
import { createServer } from 'node:http'
import { Client, credentials, Metadata } from '@grpc/grpc-js'
import { register, XdsChannelCredentials } from '@grpc/grpc-js-xds'
import { GREETER } from './greeter.mjs'

register()
const clients = new Map()

function clientOf(target) {
  const known = clients.get(target)
  if (known) return known
  const client = new Client(target, new XdsChannelCredentials(credentials.createInsecure()))
  clients.set(target, client)
  return client
}

function call(target, { path, requestSerialize, responseDeserialize }, metadata, timeoutMs) {
  return new Promise(resolve => {
    const deadline = new Date(Date.now() + timeoutMs)
    clientOf(target).makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      {},
      metadata,
      { deadline },
      (failure, answer) => resolve(failure ? { code: failure.code, details: failure.details } : answer),
    )
  })
}

createServer(async (request, response) => {
  const { searchParams: asked } = new URL(request.url, 'http://client')
  const metadata = new Metadata()
  for (const header of asked.getAll('header')) metadata.set(...header.split(':'))
  const method = GREETER[asked.get('method') ?? 'SayHello']
  const answers = []
  for (let made = 0; made < Number(asked.get('count') ?? 1); made++)
    answers.push(await call(asked.get('target'), method, metadata, Number(asked.get('timeout') ?? 5000)))
  response.end(JSON.stringify(answers))
}).listen(Number(process.argv[2]), '127.0.0.1', () => console.log(JSON.stringify({ msg: 'listening' })))
