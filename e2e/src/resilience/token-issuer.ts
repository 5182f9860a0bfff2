import { generateKeyPairSync, type JsonWebKey, type KeyObject, sign } from 'node:crypto'

/** What a token says, where it is not what a good one says. */
export interface Claims {
  readonly namespace?: string
  readonly serviceAccount: string
  readonly pod?: string
  readonly audience?: string
  /** Seconds from now; negative for a token that has expired. */
  readonly expiresInS?: number
}

/** Stands in for a platform's issuer of service account tokens, with a key of its own. */
export class TokenIssuer {
  readonly #key: KeyObject
  readonly #public: JsonWebKey
  readonly #kid: string

  constructor(kid = 'e2e') {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    this.#key = privateKey
    this.#public = publicKey.export({ format: 'jwk' })
    this.#kid = kid
  }

  /** What verifiers read. */
  get jwks(): string {
    return JSON.stringify({ keys: [{ ...this.#public, kid: this.#kid, alg: 'ES256', use: 'sig' }] })
  }

  token({
    namespace = 'shop',
    serviceAccount,
    pod,
    audience = 'istio-ca',
    expiresInS = 3600,
  }: Claims): string {
    const now = Math.floor(Date.now() / 1000)
    const claims = {
      iss: 'https://e2e.example',
      aud: audience,
      sub: `system:serviceaccount:${namespace}:${serviceAccount}`,
      iat: now - 7200,
      nbf: now - 7200,
      exp: now + expiresInS,
      ...(pod === undefined ? {} : { 'kubernetes.io': { pod: { name: pod } } }),
    }
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
    const signed = `${encode({ alg: 'ES256', typ: 'JWT', kid: this.#kid })}.${encode(claims)}`
    const signature = sign('sha256', Buffer.from(signed), { key: this.#key, dsaEncoding: 'ieee-p1363' })
    return `${signed}.${signature.toString('base64url')}`
  }
}
