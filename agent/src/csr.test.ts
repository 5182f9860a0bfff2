import 'reflect-metadata'
import { createPrivateKey, createPublicKey } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { describe, expect, it } from 'vitest'
import { testSettings } from '../test/settings.ts'
import { newKeyAndCsr, workloadDnsName } from './csr.ts'

describe('newKeyAndCsr', () => {
  it('asks for the SPIFFE ID and the name of the workload, and for nothing else', async () => {
    const request = new x509.Pkcs10CertificateRequest((await newKeyAndCsr(testSettings())).csr)
    expect(await request.verify()).toBe(true)
    expect(request.subject).toBe('')
    const names = request.extensions.map(one =>
      one instanceof x509.SubjectAlternativeNameExtension ? one.names.toJSON() : one.type,
    )
    expect(names).toEqual([
      [
        { type: 'url', value: 'spiffe://cluster.local/ns/default/sa/bookinfo-reviews' },
        { type: 'dns', value: 'reviews-v1.default.reviews.v1.workload.cluster.local' },
      ],
    ])
  })

  it('names the application and its version as pilot and the injector do', () => {
    const nameWith = (labels: Record<string, string>) => workloadDnsName({ ...testSettings(), labels })
    const recommended = { 'app.kubernetes.io/name': 'shop', 'app.kubernetes.io/version': '1.2' }
    expect(nameWith(recommended)).toBe('reviews-v1.default.shop.1--2.workload.cluster.local')
    expect(nameWith({ ...recommended, app: 'old', version: 'old' })).toContain('.shop.1--2.')
    expect(nameWith({ ...recommended, 'service.istio.io/canonical-name': 'own' })).toContain('.own.1--2.')
    expect(nameWith({})).toBe('reviews-v1.default.reviews-v1.latest.workload.cluster.local')
  })

  it('keeps the key out of the request and out of what is printed', async () => {
    const made = await newKeyAndCsr(testSettings())
    const key = createPrivateKey(made.key.reveal())
    const secret = String(key.export({ format: 'jwk' }).d)
    const der = Buffer.from(new x509.Pkcs10CertificateRequest(made.csr).rawData)
    expect(der.includes(Buffer.from(secret, 'base64url'))).toBe(false)
    expect(JSON.stringify(made)).not.toContain('PRIVATE KEY')
    expect(made.csr).toContain('BEGIN CERTIFICATE REQUEST')
    // It is the key that the request is for.
    const asked = Buffer.from(new x509.Pkcs10CertificateRequest(made.csr).publicKey.rawData)
    expect(createPublicKey(key).export({ type: 'spki', format: 'der' })).toEqual(asked)
  })

  it('makes a new P-256 key each time', async () => {
    const [one, other] = await Promise.all([newKeyAndCsr(testSettings()), newKeyAndCsr(testSettings())])
    expect(one.key.reveal()).not.toBe(other.key.reveal())
    expect(createPrivateKey(one.key.reveal()).asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' })
  })
})

describe('workloadDnsName', () => {
  it.each([
    ['labels of the application', {}, 'reviews-v1.default.reviews.v1.workload.cluster.local'],
    [
      "Istio's canonical labels first",
      {
        labels: {
          app: 'a',
          version: 'b',
          'service.istio.io/canonical-name': 'c',
          'service.istio.io/canonical-revision': 'd',
        },
      },
      'reviews-v1.default.c.d.workload.cluster.local',
    ],
    ['no labels', { labels: {} }, 'reviews-v1.default.reviews-v1.latest.workload.cluster.local'],
    [
      'dots in parts',
      { workloadName: 'reviews.eu', labels: { app: 'r', version: '1.2.3' }, trustDomain: 'example.org' },
      'reviews--eu.default.r.1--2--3.workload.example.org',
    ],
  ])('is made of %s', (_name, changes, expected) => {
    expect(workloadDnsName(testSettings(changes))).toBe(expected)
  })
})
