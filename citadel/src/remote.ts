import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js'
import * as x509 from '@peculiar/x509'
import {
  IstioCertificateRequestSchema,
  IstioCertificateResponseSchema,
} from '@seine/envoy/istio/security/v1alpha1/ca'
import { ALGORITHM } from './keys.ts'

const METHOD = '/istio.v1.auth.IstioCertificateService/CreateCertificate'
const CALL_TIMEOUT_MS = 10_000
const TTL_S = 24 * 3600
/** Answers that stay the same until somebody changes the request or the rights. */
const FINAL: ReadonlySet<status> = new Set([
  status.UNAUTHENTICATED,
  status.PERMISSION_DENIED,
  status.INVALID_ARGUMENT,
])

/** How a component of the control plane asks a citadel in another process for its server's certificate. */
export interface ServerCertificateRequest {
  /** `host:port` of citadel. */
  readonly address: string
  readonly rootPem: string
  /** The control plane's own service account token. */
  readonly token: string
  readonly trustDomain: string
  readonly names: readonly string[]
  readonly addresses: readonly string[]
}

/** Citadel gave no certificate. */
export class CertificateRefused extends Error {
  /** Whether asking again may help: citadel was not reached, or had a failure of its own. */
  readonly mayPass: boolean

  constructor(message: string, mayPass: boolean) {
    super(message)
    this.mayPass = mayPass
  }
}

/** Makes a key, which stays here, and has it certified. PEM both. Rejects with a {@link CertificateRefused}. */
export async function requestServerCertificate(
  request: ServerCertificateRequest,
): Promise<{ certificate: string; key: string; notAfter: Date }> {
  const keys = (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as CryptoKeyPair
  const names = [
    ...request.names.map(value => ({ type: 'dns' as const, value })),
    ...request.addresses.map(value => ({ type: 'ip' as const, value })),
  ]
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [new x509.SubjectAlternativeNameExtension(names)],
  })
  const chain = await call(request, csr.toString('pem'))
  const [leaf] = chain
  if (!leaf)
    throw new CertificateRefused(`citadel at ${request.address} gave no certificate: empty answer`, true)
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  return {
    notAfter: new x509.X509Certificate(leaf).notAfter,
    certificate: chain.slice(0, -1).join(''),
    key: `${x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`,
  }
}

function call(
  { address, rootPem, token }: ServerCertificateRequest,
  csr: string,
): Promise<readonly string[]> {
  const client = new Client(address, credentials.createSsl(Buffer.from(rootPem)), {
    'grpc.ssl_target_name_override': 'seined.seine-system.svc',
  })
  const metadata = new Metadata()
  metadata.set('authorization', `Bearer ${token}`)
  const message = Buffer.from(
    toBinary(
      IstioCertificateRequestSchema,
      create(IstioCertificateRequestSchema, { csr, validityDuration: BigInt(TTL_S) }),
    ),
  )
  const same = (value: Buffer) => value
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      METHOD,
      same,
      same,
      message,
      metadata,
      { deadline: Date.now() + CALL_TIMEOUT_MS },
      (failure: ServiceError | null, answer?: Buffer) => {
        client.close()
        if (failure || !answer)
          reject(
            new CertificateRefused(
              `citadel at ${address} gave no certificate: ${failure?.details ?? 'no answer'}`,
              failure === null || !FINAL.has(failure.code),
            ),
          )
        else resolve(fromBinary(IstioCertificateResponseSchema, answer).certChain)
      },
    )
  })
}
