import 'reflect-metadata'
import { webcrypto, X509Certificate } from 'node:crypto'
import { mkdir, mkdtemp, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Metadata } from '@grpc/grpc-js'
import * as x509 from '@peculiar/x509'
import { createMetrics, silentLogger, systemClock } from '@seine/kit'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { beforeAll, describe, expect, it } from 'vitest'
import { Citadel } from './citadel.ts'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const DAY = 24 * 3_600_000
let citadel: Citadel
let folder: string
let issuerKey: Awaited<ReturnType<typeof generateKeyPair>>

beforeAll(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'seine-citadel-')), 'citadel')
  await mkdir(folder)
  issuerKey = await generateKeyPair('ES256')
  await writeFile(
    join(folder, 'token-issuers.json'),
    JSON.stringify({ keys: [{ ...(await exportJWK(issuerKey.publicKey)), kid: 'k', alg: 'ES256' }] }),
  )
  citadel = await Citadel.open({
    folder,
    trustDomain: 'cluster.local',
    clock: systemClock,
    logger: silentLogger,
    metrics: createMetrics(),
    maxTtlMs: DAY,
  })
})

async function token(
  changes: { audience?: string; expires?: string; sub?: string; key?: typeof issuerKey } = {},
): Promise<Metadata> {
  const jwt = await new SignJWT({ 'kubernetes.io': { pod: { name: 'reviews-v1-abc-x' } } })
    .setProtectedHeader({ alg: 'ES256', kid: 'k' })
    .setSubject(changes.sub ?? 'system:serviceaccount:default:reviews')
    .setAudience(changes.audience ?? 'istio-ca')
    .setExpirationTime(changes.expires ?? '5m')
    .sign((changes.key ?? issuerKey).privateKey)
  const metadata = new Metadata()
  metadata.set('authorization', `Bearer ${jwt}`)
  return metadata
}

async function csr(names: { type: 'url' | 'dns'; value: string }[]): Promise<string> {
  const keys = (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as CryptoKeyPair
  const extensions = names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    keys,
    signingAlgorithm: ALGORITHM,
    extensions,
  })
  return request.toString('pem')
}

const caller = { namespace: 'default', serviceAccount: 'reviews', pod: 'reviews-v1-abc-x' }

describe('authenticate', () => {
  it('knows a service account by its token', async () => {
    const found = await citadel.authenticate(await token())
    expect(found).toEqual({
      ok: true,
      value: { ...caller, identity: 'spiffe://cluster.local/ns/default/sa/reviews' },
    })
  })

  it.each([
    ['another audience', async () => token({ audience: 'vault' }), /audience must be istio-ca/],
    ['an expired token', async () => token({ expires: '-1m' }), /has expired/],
    [
      'a token that somebody else signed',
      async () => token({ key: await generateKeyPair('ES256') }),
      /signature is wrong/,
    ],
    ['a user', async () => token({ sub: 'alice' }), /no service account/],
    ['no token', async () => new Metadata(), /a token is needed/],
  ])('refuses %s and says so', async (_name, make, message) => {
    const found = await citadel.authenticate(await make())
    expect(found.ok ? '' : found.error).toMatch(message)
  })
})

describe('sign', () => {
  it('signs the identity of the token and the workload it asks for', async () => {
    const signed = await citadel.sign({
      csrPem: await csr([{ type: 'dns', value: 'reviews-v1.default.reviews.v1.workload.cluster.local' }]),
      caller,
      ttlMs: 3_600_000,
    })
    if (!signed.ok) throw new Error(signed.error.message)
    const certificate = new X509Certificate(signed.value.chain[0] ?? '')
    expect(certificate.subjectAltName).toBe(
      'URI:spiffe://cluster.local/ns/default/sa/reviews, DNS:reviews-v1.default.reviews.v1.workload.cluster.local',
    )
    expect(certificate.verify(new X509Certificate(citadel.rootPem).publicKey)).toBe(true)
    expect(certificate.ca).toBe(false)
  })

  it('bounds the lifetime', async () => {
    const signed = await citadel.sign({ csrPem: await csr([]), caller, ttlMs: 1000 * DAY })
    if (!signed.ok) throw new Error(signed.error.message)
    expect(signed.value.notAfter.getTime() - Date.now()).toBeLessThanOrEqual(DAY)
  })

  it.each([
    [
      "somebody else's identity",
      [{ type: 'url' as const, value: 'spiffe://cluster.local/ns/default/sa/admin' }],
      /asks for spiffe:\/\/cluster.local\/ns\/default\/sa\/admin, but its token is for .*\/reviews/,
    ],
    [
      'a workload of another namespace',
      [{ type: 'dns' as const, value: 'reviews-v1.prod.reviews.v1.workload.cluster.local' }],
      /namespace prod/,
    ],
    [
      "another pod's workload",
      [{ type: 'dns' as const, value: 'ratings-v1.default.ratings.v1.workload.cluster.local' }],
      /workload ratings-v1, but its token is for the pod reviews/,
    ],
    [
      "a workload whose name is the beginning of the pod's",
      [{ type: 'dns' as const, value: 'rev.default.reviews.v1.workload.cluster.local' }],
      /workload rev, but its token is for the pod reviews/,
    ],
    ['a name outside the mesh', [{ type: 'dns' as const, value: 'example.com' }], /none of a workload/],
  ])('refuses %s', async (_name, names, message) => {
    const signed = await citadel.sign({ csrPem: await csr(names), caller, ttlMs: DAY })
    expect(signed.ok ? '' : `${signed.error.code} ${signed.error.message}`).toMatch(message)
    expect(signed.ok ? '' : signed.error.code).toBe('not-allowed')
  })

  it('refuses what is no CSR', async () => {
    const signed = await citadel.sign({ csrPem: 'hello', caller, ttlMs: DAY })
    expect(signed.ok ? '' : signed.error.code).toBe('malformed')
  })
})

it("keeps the root's key to its owner and reads it again", async () => {
  expect((await stat(join(folder, 'root-key.pem'))).mode & 0o777).toBe(0o600)
  expect((await stat(folder)).mode & 0o777).toBe(0o700)
  const again = await Citadel.open({
    folder,
    trustDomain: 'cluster.local',
    clock: systemClock,
    logger: silentLogger,
    metrics: createMetrics(),
    maxTtlMs: DAY,
  })
  expect(again.rootPem).toBe(citadel.rootPem)
})
