import { readFile, stat } from 'node:fs/promises'
import type { Metadata } from '@grpc/grpc-js'
import { err, errorMessage, ok, type Result } from '@seine/kit'
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose'
import { type CallerIdentity, spiffeId } from './identity.ts'

/** The audience that tokens for the mesh are made for, Istio's. */
export const TOKEN_AUDIENCE = 'istio-ca'
const MAX_TOKEN_BYTES = 16_384

/** Checks callers' tokens against the keys of trusted issuers, which a file holds and which may change. */
export class TokenVerifier {
  readonly #file: string
  readonly #now: () => number
  #keys: ReturnType<typeof createLocalJWKSet> | undefined
  #mtimeMs = 0

  /** `now` gives ms since the epoch. */
  constructor(file: string, now: () => number) {
    this.#file = file
    this.#now = now
  }

  /** Who the token speaks for, or what is wrong with it. */
  async verify(token: string): Promise<Result<CallerIdentity, string>> {
    if (token.length > MAX_TOKEN_BYTES) return err('the token is longer than 16 KiB')
    const loaded = await this.#load()
    if (!loaded.ok) return loaded
    try {
      const { payload } = await jwtVerify(token, loaded.value, {
        audience: TOKEN_AUDIENCE,
        currentDate: new Date(this.#now()),
        algorithms: ['ES256', 'RS256'],
        requiredClaims: ['exp', 'sub'],
      })
      return identityOf(payload)
    } catch (failure) {
      return err(explain(failure))
    }
  }

  async #load(): Promise<Result<ReturnType<typeof createLocalJWKSet>, string>> {
    try {
      const { mtimeMs } = await stat(this.#file)
      if (!this.#keys || mtimeMs !== this.#mtimeMs) {
        this.#keys = createLocalJWKSet(JSON.parse(await readFile(this.#file, 'utf8')) as JSONWebKeySet)
        this.#mtimeMs = mtimeMs
      }
      return ok(this.#keys)
    } catch (failure) {
      return err(`the trusted token issuers can't be read from ${this.#file}: ${errorMessage(failure)}`)
    }
  }
}

/** Who a call's bearer token speaks for, with the SPIFFE ID, or why it speaks for nobody. */
export async function authenticateBearer(
  metadata: Metadata,
  verifier: TokenVerifier,
  trustDomain: string,
): Promise<Result<CallerIdentity & { readonly identity: string }, string>> {
  const header = metadata.get('authorization')[0]
  const token = typeof header === 'string' ? /^Bearer (.+)$/i.exec(header)?.[1] : undefined
  if (!token)
    return err('a token is needed: send the service account token as "authorization: Bearer <token>"')
  const verified = await verifier.verify(token)
  return verified.ok ? ok({ ...verified.value, identity: spiffeId(trustDomain, verified.value) }) : verified
}

function identityOf(payload: JWTPayload): Result<CallerIdentity, string> {
  const [, namespace, serviceAccount] =
    /^system:serviceaccount:([^:]+):([^:]+)$/.exec(payload.sub ?? '') ?? []
  if (!namespace || !serviceAccount) return err(`the token's subject "${payload.sub}" is no service account`)
  const kubernetes = payload['kubernetes.io'] as { pod?: { name?: unknown } } | undefined
  const pod = kubernetes?.pod?.name
  return ok({ namespace, serviceAccount, ...(typeof pod === 'string' ? { pod } : {}) })
}

function explain(failure: unknown): string {
  if (failure instanceof errors.JWTExpired) return 'the token has expired'
  if (failure instanceof errors.JWTClaimValidationFailed) {
    if (failure.claim === 'aud')
      return `the token is not for this mesh: its audience must be ${TOKEN_AUDIENCE}`
    return `the token's claim ${failure.claim} is not acceptable: ${failure.reason}`
  }
  if (failure instanceof errors.JWKSNoMatchingKey) return 'the token was issued by nobody this mesh trusts'
  if (failure instanceof errors.JWSSignatureVerificationFailed) return "the token's signature is wrong"
  return `the token can't be read: ${errorMessage(failure)}`
}
