import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { type Any, AnySchema } from '@bufbuild/protobuf/wkt'
import { type Server, type ServerDuplexStream, status } from '@grpc/grpc-js'
import { TypeUrl } from '@seine/envoy'
import { SecretSchema } from '@seine/envoy/envoy/extensions/transport_sockets/tls/v3/secret'
import {
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from '@seine/envoy/envoy/service/discovery/v3/discovery'
import type { Logger } from '@seine/kit'
import type { CertificateKeeper, WorkloadCertificate } from './certificate-keeper.ts'
import { same } from './upstream.ts'

/** The secrets that there are: the workload's certificate, and what it trusts. */
const SECRETS: readonly string[] = ['default', 'ROOTCA']

type Call = ServerDuplexStream<Buffer, Buffer>

/** Adds Envoy's secret discovery to the agent's server: `default` is the workload's certificate, `ROOTCA` what it trusts. */
export function addSecretService(server: Server, keeper: CertificateKeeper, logger: Logger): void {
  const method = {
    path: '/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets',
    requestStream: true,
    responseStream: true,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  }
  server.addService({ StreamSecrets: method }, { StreamSecrets: (call: Call) => serve(call, keeper, logger) })
}

function serve(call: Call, keeper: CertificateKeeper, logger: Logger): void {
  let names: readonly string[] = []
  let nonce = 0
  let sentFor = ''
  const send = (certificate: WorkloadCertificate) => {
    const key = `${certificate.serial} ${names.join()}`
    if (names.length === 0 || key === sentFor) return
    sentFor = key
    const resources = names.flatMap(name => secret(name, certificate) ?? [])
    const response = create(DiscoveryResponseSchema, {
      versionInfo: certificate.serial,
      nonce: String(++nonce),
      typeUrl: TypeUrl.secret,
      resources,
    })
    call.write(Buffer.from(toBinary(DiscoveryResponseSchema, response)))
  }
  const stop = keeper.subscribe(certificate => send(certificate))
  call.on('data', (message: Buffer) => {
    try {
      const request = fromBinary(DiscoveryRequestSchema, message)
      if (request.errorDetail)
        logger.error({ reason: request.errorDetail.message, secrets: names }, 'envoy rejected a secret')
      names = request.resourceNames
      const unknown = names.filter(name => !SECRETS.includes(name))
      if (unknown.length > 0) logger.warn({ unknown }, 'envoy asks for secrets that the agent does not have')
      if (keeper.current) send(keeper.current)
    } catch (failure) {
      call.emit('error', { code: status.INVALID_ARGUMENT, details: String(failure) })
    }
  })
  call.on('end', () => call.end())
  for (const event of ['end', 'cancelled', 'error', 'close']) call.on(event, stop)
}

function secret(name: string, certificate: WorkloadCertificate): Any | undefined {
  const inline = (text: string) => ({ specifier: { case: 'inlineString' as const, value: text } })
  if (name === 'default') {
    return pack(
      create(SecretSchema, {
        name,
        type: {
          case: 'tlsCertificate',
          value: {
            certificateChain: inline(certificate.chain),
            privateKey: inline(certificate.key.reveal()),
          },
        },
      }),
    )
  }
  if (name === 'ROOTCA')
    return pack(
      create(SecretSchema, {
        name,
        type: { case: 'validationContext', value: { trustedCa: inline(certificate.root) } },
      }),
    )
  return undefined
}

function pack(message: ReturnType<typeof create<typeof SecretSchema>>): Any {
  return create(AnySchema, { typeUrl: TypeUrl.secret, value: toBinary(SecretSchema, message) })
}
