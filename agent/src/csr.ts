import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'
// By itself: the schemas of all kinds would be in the memory of every agent.
import { canonicalService } from '@seine/api/canonical-service'
import { Secret } from '@seine/kit'
import type { AgentSettings } from './settings.ts'

x509.cryptoProvider.set(webcrypto as Crypto)

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

/** A new key, which stays here, and the request to have it certified. PEM both. */
export interface KeyAndCsr {
  readonly key: Secret
  readonly csr: string
}

/** Makes a P-256 key and a CSR for the workload's SPIFFE ID and its workload name. */
export async function newKeyAndCsr(settings: AgentSettings): Promise<KeyAndCsr> {
  const keys = (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as CryptoKeyPair
  const names: x509.JsonGeneralNames = [
    { type: 'url', value: workloadIdentity(settings) },
    { type: 'dns', value: workloadDnsName(settings) },
  ]
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [new x509.SubjectAlternativeNameExtension(names)],
  })
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  return {
    key: new Secret(`${x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`),
    csr: request.toString('pem'),
  }
}

/** The workload's SPIFFE ID, which its service account gives it. */
export function workloadIdentity({ trustDomain, namespace, serviceAccount }: AgentSettings): string {
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`
}

/** `<workload>.<namespace>.<app>.<version>.workload.<trust domain>`: the receiving side labels its metrics with it. */
export function workloadDnsName({ workloadName, namespace, labels, trustDomain }: AgentSettings): string {
  const { app, version } = canonicalService(labels, workloadName)
  return [
    ...[workloadName, namespace, app, version].map(part => part.replaceAll('.', '--')),
    'workload',
    trustDomain,
  ].join('.')
}
