// A gRPC server as anybody would write it: `server.mjs NAME ADDRESS xds|plain`. It answers with its name and with who
// called. With `xds` it is told by the control plane what it takes.
import { Server, ServerCredentials } from '@grpc/grpc-js'
import { register, XdsServer, XdsServerCredentials } from '@grpc/grpc-js-xds'
import { GREETER } from './greeter.mjs'

register()
const [name, address, kind] = process.argv.slice(2)
const insecure = ServerCredentials.createInsecure()
const [server, credentials] =
  kind === 'xds' ? [new XdsServer(), new XdsServerCredentials(insecure)] : [new Server(), insecure]

function answer(call, reply) {
  const certificate = call.getAuthContext().sslPeerCertificate
  const [forwarded = ''] = call.metadata.get('x-forwarded-client-cert')
  reply(null, { name, caller: certificate?.subjectaltname ?? '', forwarded })
}

server.addService(GREETER, { SayHello: answer, Secret: answer })
server.bindAsync(address, credentials, failure => {
  if (failure) throw failure
  console.log(JSON.stringify({ msg: 'serving', address }))
})
