import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { type Clock, err, ok, type Result } from '@seine/kit'
import { asWritten, type CallerIdentity, isPodOf, parseWorkloadName, spiffeId } from './identity.ts'
import { ALGORITHM, type RootAuthority, serial } from './keys.ts'

const MAX_CSR_BYTES = 16_384
const MIN_TTL_MS = 60_000
/** Clocks differ: a certificate is good from a little before it was made. */
const SKEW_MS = 60_000
/** The account that the control plane's own components run as: it may have the names of its servers. */
const CONTROL_PLANE = { namespace: 'seine-system', serviceAccount: 'seined' } as const

/** What a certificate is made from. */
export interface SigningParams {
  readonly csrPem: string
  readonly caller: CallerIdentity
  /** Wanted lifetime, ms; bounded by the authority's own limit. */
  readonly ttlMs: number
}

/** Why a CSR was refused: malformed, or for somebody else. */
export interface Refusal {
  readonly code: 'malformed' | 'not-allowed'
  readonly message: string
}

/** A signed certificate and what the audit log says of it. */
export interface IssuedCertificate {
  /** The certificate and the root, PEM. */
  readonly chain: readonly string[]
  readonly identity: string
  readonly serial: string
  readonly notAfter: Date
}

/** Signs for the identity that the caller proved, and for no other. The key stays with whoever made the CSR. */
export async function signCsr(
  root: RootAuthority,
  trustDomain: string,
  clock: Clock,
  maxTtlMs: number,
  params: SigningParams,
): Promise<Result<IssuedCertificate, Refusal>> {
  if (params.csrPem.length > MAX_CSR_BYTES) return refuse('malformed', 'the CSR is larger than 16 KiB')
  let csr: x509.Pkcs10CertificateRequest
  try {
    csr = new x509.Pkcs10CertificateRequest(params.csrPem)
  } catch {
    return refuse('malformed', 'the CSR is not PKCS#10 in PEM')
  }
  if (!(await csr.verify())) return refuse('malformed', "the CSR's own signature is wrong")
  const identity = spiffeId(trustDomain, params.caller)
  const names = checkNames(csr, identity, trustDomain, params.caller)
  if (!names.ok) return names
  const now = clock.now()
  const notAfter = new Date(now + Math.min(Math.max(params.ttlMs, MIN_TTL_MS), maxTtlMs))
  const serialNumber = serial()
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber,
    issuer: root.certificate.subject,
    subject: `O=${trustDomain}`,
    notBefore: new Date(now - SKEW_MS),
    notAfter,
    publicKey: csr.publicKey,
    signingKey: root.key,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment,
        true,
      ),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      new x509.SubjectAlternativeNameExtension([{ type: 'url', value: identity }, ...names.value]),
    ],
  })
  return ok({
    chain: [`${certificate.toString('pem')}\n`, root.pem],
    identity,
    serial: serialNumber,
    notAfter,
  })
}

/** The names to sign beside the identity, after checking that the CSR asks for nothing that is not the caller's. */
function checkNames(
  csr: x509.Pkcs10CertificateRequest,
  identity: string,
  trustDomain: string,
  caller: CallerIdentity,
): Result<x509.JsonGeneralName[], Refusal> {
  const extension = csr.extensions.find(one => one instanceof x509.SubjectAlternativeNameExtension)
  const signed: x509.JsonGeneralName[] = []
  const ofControlPlane =
    caller.namespace === CONTROL_PLANE.namespace && caller.serviceAccount === CONTROL_PLANE.serviceAccount
  for (const { type, value } of extension?.names.items ?? []) {
    if (type === 'url') {
      if (value !== identity)
        return refuse('not-allowed', `the CSR asks for ${value}, but its token is for ${identity}`)
      continue
    }
    if (!ofControlPlane) {
      const reason =
        type === 'dns'
          ? reasonAgainst(value, trustDomain, caller)
          : `the CSR asks for the address ${value}, which only the control plane may have`
      if (reason !== undefined) return refuse('not-allowed', reason)
    }
    if (type === 'dns' || type === 'ip') signed.push({ type, value })
  }
  if (!ofControlPlane && signed.length > 1)
    return refuse('not-allowed', 'the CSR asks for more than one workload name')
  return ok(signed)
}

/** Why a workload may not have a DNS name, or undefined when it may. */
function reasonAgainst(name: string, trustDomain: string, caller: CallerIdentity): string | undefined {
  const workload = parseWorkloadName(name, trustDomain)
  if (!workload) return `the CSR asks for the name ${name}, which is none of a workload of this mesh`
  if (workload.namespace !== asWritten(caller.namespace))
    return `the CSR asks for a workload of namespace ${workload.namespace}, but its token is for ${caller.namespace}`
  if (caller.pod === undefined || isPodOf(workload, caller.pod)) return undefined
  return `the CSR asks for the workload ${workload.workload}, but its token is for the pod ${caller.pod}`
}

function refuse(code: Refusal['code'], message: string): { readonly ok: false; readonly error: Refusal } {
  return err({ code, message })
}

/** A certificate for one of the control plane's own servers, with a new key. PEM both. */
export async function issueServerCertificate(
  root: RootAuthority,
  clock: Clock,
  names: readonly string[],
  addresses: readonly string[],
  ttlMs: number,
): Promise<{ certificate: string; key: string; notAfter: Date }> {
  const keys = (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as CryptoKeyPair
  const now = clock.now()
  const notAfter = new Date(now + ttlMs)
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    issuer: root.certificate.subject,
    subject: `CN=${names[0] ?? 'seined'}`,
    notBefore: new Date(now - SKEW_MS),
    notAfter,
    publicKey: keys.publicKey,
    signingKey: root.key,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        ...names.map(value => ({ type: 'dns' as const, value })),
        ...addresses.map(value => ({ type: 'ip' as const, value })),
      ]),
    ],
  })
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  return {
    certificate: `${certificate.toString('pem')}\n`,
    key: `${x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`,
    notAfter,
  }
}
