import { type Clock, Secret } from '@seine/kit'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'

export const TOKEN_ISSUER = 'https://seine.local'
export const TOKEN_AUDIENCE = 'istio-ca'
/** How long a token is good for. The runtime writes a new one at half of it, as a kubelet does. */
export const TOKEN_LIFETIME_S = 3_600

/** Whom a token speaks for. */
export interface TokenSubject {
  readonly namespace: string
  readonly serviceAccount: string
  readonly pod: string
}

/** Stands in for the Kubernetes API server's token issuer. The key lives in this process only. */
export interface TokenIssuer {
  /** What verifiers read: the public key as a JWKS. */
  readonly jwks: { readonly keys: readonly JWK[] }
  mint(subject: TokenSubject): Promise<Secret>
}

/** The claims of a projected service account token. */
export function claimsOf(subject: TokenSubject): Record<string, unknown> {
  return {
    'kubernetes.io': {
      namespace: subject.namespace,
      serviceaccount: { name: subject.serviceAccount },
      pod: { name: subject.pod },
    },
  }
}

/** Makes an issuer with a new ES256 key. */
export async function createTokenIssuer(clock: Clock): Promise<TokenIssuer> {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const jwk = await exportJWK(publicKey)
  const kid = await calculateJwkThumbprint(jwk)
  return {
    jwks: { keys: [{ ...jwk, kid, alg: 'ES256', use: 'sig' }] },
    async mint(subject) {
      const now = Math.floor(clock.now() / 1_000)
      const token = await new SignJWT(claimsOf(subject))
        .setProtectedHeader({ alg: 'ES256', kid, typ: 'JWT' })
        .setIssuer(TOKEN_ISSUER)
        .setAudience(TOKEN_AUDIENCE)
        .setSubject(`system:serviceaccount:${subject.namespace}:${subject.serviceAccount}`)
        .setIssuedAt(now)
        .setNotBefore(now)
        .setExpirationTime(now + TOKEN_LIFETIME_S)
        .sign(privateKey)
      return new Secret(token)
    },
  }
}
