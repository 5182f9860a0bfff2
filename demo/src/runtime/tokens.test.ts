import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { expect, it } from 'vitest'
import { createTokenIssuer } from './tokens.ts'

const now = Date.now()
const clock = { now: () => now, after: () => () => undefined }
const subject = { namespace: 'default', serviceAccount: 'reviews', pod: 'reviews-v1-abc-x' }

it("mints tokens that verify against the issuer's JWKS and name the pod's identity", async () => {
  const issuer = await createTokenIssuer(clock)
  const token = (await issuer.mint(subject)).reveal()
  const { payload } = await jwtVerify(token, createLocalJWKSet({ keys: [...issuer.jwks.keys] }), {
    issuer: 'https://seine.local',
    audience: 'istio-ca',
    algorithms: ['ES256'],
  })
  expect(payload).toMatchObject({
    sub: 'system:serviceaccount:default:reviews',
    'kubernetes.io': {
      namespace: 'default',
      serviceaccount: { name: 'reviews' },
      pod: { name: 'reviews-v1-abc-x' },
    },
    iat: Math.floor(now / 1_000),
    exp: Math.floor(now / 1_000) + 3_600,
  })
  expect(decodeProtectedHeader(token).kid).toBe(issuer.jwks.keys[0]?.kid)
})

it('publishes no private key and prints no token', async () => {
  const issuer = await createTokenIssuer(clock)
  expect(issuer.jwks.keys[0]).not.toHaveProperty('d')
  expect(String(await issuer.mint(subject))).toBe('[redacted]')
})

it('signs with a key of its own: another issuer does not verify its tokens', async () => {
  const [one, other] = await Promise.all([createTokenIssuer(clock), createTokenIssuer(clock)])
  const token = (await one.mint(subject)).reveal()
  await expect(jwtVerify(token, createLocalJWKSet({ keys: [...other.jwks.keys] }))).rejects.toThrow()
})
