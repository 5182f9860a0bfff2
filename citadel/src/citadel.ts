import { join } from 'node:path'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { type Metadata, type Server, type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js'
import {
  IstioCertificateRequestSchema,
  IstioCertificateResponseSchema,
} from '@seine/envoy/istio/security/v1alpha1/ca'
import { type Clock, Counter, err, type Logger, ok, type Registry, type Result } from '@seine/kit'
import {
  type IssuedCertificate,
  issueServerCertificate,
  type Refusal,
  type SigningParams,
  signCsr,
} from './certificates.ts'
import type { CallerIdentity } from './identity.ts'
import { loadOrCreateRoot, type RootAuthority } from './keys.ts'
import { authenticateBearer, TokenVerifier } from './tokens.ts'

/** What citadel needs from outside. */
export interface CitadelOptions {
  /** Holds `root-cert.pem`, `root-key.pem` and `token-issuers.json`. */
  readonly folder: string
  readonly trustDomain: string
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Registry
  /** The longest life of a workload's certificate, ms. */
  readonly maxTtlMs: number
}

const SERVICE = '/istio.v1.auth.IstioCertificateService/CreateCertificate'
const SERVER_TTL_MS = 90 * 24 * 3_600_000

/** The mesh's certificate authority. It knows callers by their service account tokens and speaks Istio's CSR protocol. */
export class Citadel {
  readonly #options: CitadelOptions
  readonly #root: RootAuthority
  readonly #tokens: TokenVerifier
  readonly #outcomes: Counter

  private constructor(options: CitadelOptions, root: RootAuthority) {
    this.#options = options
    this.#root = root
    this.#tokens = new TokenVerifier(join(options.folder, 'token-issuers.json'), () => options.clock.now())
    this.#outcomes = new Counter({
      name: 'citadel_server_csr_count',
      help: 'Certificate signing requests by outcome',
      labelNames: ['outcome'],
      registers: [options.metrics],
    })
  }

  /** Reads or makes the root. Rejects when the folder can't be used. */
  static async open(options: CitadelOptions): Promise<Citadel> {
    return new Citadel(options, await loadOrCreateRoot(options.folder, options.trustDomain, options.clock))
  }

  /** The root certificate that the mesh trusts, PEM. */
  get rootPem(): string {
    return this.#root.pem
  }

  /** Who a call's bearer token speaks for, or why it speaks for nobody. */
  authenticate(metadata: Metadata): Promise<Result<CallerIdentity & { readonly identity: string }, string>> {
    return authenticateBearer(metadata, this.#tokens, this.#options.trustDomain)
  }

  /** Signs a CSR for a caller that has been authenticated. */
  sign(params: SigningParams): Promise<Result<IssuedCertificate, Refusal>> {
    return signCsr(this.#root, this.#options.trustDomain, this.#options.clock, this.#options.maxTtlMs, params)
  }

  /** Key and certificate for one of the control plane's servers. */
  serverCertificate(
    names: readonly string[],
    addresses: readonly string[],
  ): Promise<{ certificate: string; key: string; notAfter: Date }> {
    return issueServerCertificate(this.#root, this.#options.clock, names, addresses, SERVER_TTL_MS)
  }

  /** Adds the CSR service to a gRPC server. */
  addTo(server: Server): void {
    const same = (value: Buffer) => value
    const definition = {
      CreateCertificate: {
        path: SERVICE,
        requestStream: false,
        responseStream: false,
        requestSerialize: same,
        requestDeserialize: same,
        responseSerialize: same,
        responseDeserialize: same,
      },
    }
    server.addService(definition, {
      CreateCertificate: (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>) => {
        this.#create(call).then(
          answer => (answer.ok ? reply(null, answer.value) : reply(answer.error)),
          failure => {
            this.#options.logger.error({ err: failure }, 'signing failed')
            reply({ code: status.INTERNAL, details: 'signing failed; see the log of citadel' })
          },
        )
      },
    })
  }

  async #create(
    call: ServerUnaryCall<Buffer, Buffer>,
  ): Promise<Result<Buffer, { code: status; details: string }>> {
    const { logger } = this.#options
    const caller = await this.authenticate(call.metadata)
    if (!caller.ok) return this.#refused(call, status.UNAUTHENTICATED, caller.error)
    const request = fromBinary(IstioCertificateRequestSchema, call.request)
    const signed = await this.sign({
      csrPem: request.csr,
      caller: caller.value,
      ttlMs: Number(request.validityDuration) * 1000,
    })
    if (!signed.ok)
      return this.#refused(
        call,
        signed.error.code === 'malformed' ? status.INVALID_ARGUMENT : status.PERMISSION_DENIED,
        signed.error.message,
        caller.value.identity,
      )
    const { chain, identity, serial, notAfter } = signed.value
    this.#outcomes.inc({ outcome: 'issued' })
    logger.info(
      {
        audit: true,
        identity,
        serial,
        notAfter: notAfter.toISOString(),
        pod: caller.value.pod,
        peer: call.getPeer(),
      },
      'certificate issued',
    )
    return ok(
      Buffer.from(
        toBinary(
          IstioCertificateResponseSchema,
          create(IstioCertificateResponseSchema, { certChain: [...chain] }),
        ),
      ),
    )
  }

  #refused(
    call: ServerUnaryCall<Buffer, Buffer>,
    code: status,
    details: string,
    identity?: string,
  ): { readonly ok: false; readonly error: { code: status; details: string } } {
    this.#outcomes.inc({ outcome: 'refused' })
    this.#options.logger.warn(
      { audit: true, identity, reason: details, peer: call.getPeer() },
      'certificate refused',
    )
    return err({ code, details })
  }
}
