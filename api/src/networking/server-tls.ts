import { z } from 'zod'
import { oneOf } from '../fields.ts'
import type { FieldPath, Findings } from '../rules.ts'

const TLS_VERSIONS = ['TLS_AUTO', 'TLSV1_0', 'TLSV1_1', 'TLSV1_2', 'TLSV1_3'] as const

const certificateFiles = z.strictObject({
  serverCertificate: z.string().optional(),
  privateKey: z.string().optional(),
  caCertificates: z.string().optional(),
})

/** Istio `ServerTLSSettings`: how a gateway or a sidecar's listener takes TLS. */
export const serverTlsField = z
  .strictObject({
    httpsRedirect: z.boolean().optional(),
    mode: z
      .enum(['PASSTHROUGH', 'SIMPLE', 'MUTUAL', 'AUTO_PASSTHROUGH', 'ISTIO_MUTUAL', 'OPTIONAL_MUTUAL'])
      .optional(),
    serverCertificate: z.string().optional(),
    privateKey: z.string().optional(),
    caCertificates: z.string().optional(),
    caCrl: z.string().optional(),
    tlsCertificates: z.array(certificateFiles).min(1).max(2, 'at most two certificates').optional(),
    credentialName: z.string().optional(),
    credentialNames: z.array(z.string()).min(1).max(2, 'at most two certificates').optional(),
    caCertCredentialName: z.string().optional(),
    subjectAltNames: z.array(z.string()).optional(),
    verifyCertificateSpki: z.array(z.string()).optional(),
    verifyCertificateHash: z.array(z.string()).optional(),
    insecureSkipVerify: z.boolean().optional(),
    minProtocolVersion: z.enum(TLS_VERSIONS).optional(),
    maxProtocolVersion: z.enum(TLS_VERSIONS).optional(),
    cipherSuites: z.array(z.string()).optional(),
  })
  .superRefine(oneOf(['serverCertificate', 'credentialName', 'credentialNames', 'tlsCertificates']))

export type ServerTlsSettings = z.infer<typeof serverTlsField>

/** The cipher suites that a gateway takes, by OpenSSL's names. */
const CIPHER_SUITES: ReadonlySet<string> = new Set([
  'ALL',
  ...['ECDSA', 'RSA'].flatMap(key => [
    `ECDHE-${key}-AES128-GCM-SHA256`,
    `ECDHE-${key}-AES256-GCM-SHA384`,
    `ECDHE-${key}-CHACHA20-POLY1305`,
    `ECDHE-${key}-AES128-SHA`,
    `ECDHE-${key}-AES256-SHA`,
  ]),
  'AES128-GCM-SHA256',
  'AES256-GCM-SHA384',
  'AES128-SHA',
  'AES256-SHA',
  'DES-CBC3-SHA',
])

/** Whether a name is one of a single cipher suite. */
export function isCipherSuite(name: string): boolean {
  return name !== 'ALL' && CIPHER_SUITES.has(name)
}

const CERTIFICATE_FIELDS = [
  'serverCertificate',
  'privateKey',
  'caCertificates',
  'tlsCertificates',
  'credentialName',
  'credentialNames',
] as const

/** What says how TLS is ended. */
const OF_ENDED_TLS = [
  'subjectAltNames',
  'verifyCertificateSpki',
  'verifyCertificateHash',
  'minProtocolVersion',
  'maxProtocolVersion',
  'cipherSuites',
] as const

/** The rules of TLS settings that depend on their mode. */
export function checkServerTls(
  tls: ServerTlsSettings | undefined,
  path: FieldPath,
  findings: Findings,
): void {
  if (!tls) return
  if (tls.insecureSkipVerify) checkUnverified(tls, path, findings)
  checkCiphers(tls, path, findings)
  const mode = tls.mode ?? 'PASSTHROUGH'
  if (mode === 'ISTIO_MUTUAL') {
    for (const field of CERTIFICATE_FIELDS)
      if (tls[field]?.length)
        findings.error([...path, field], "ISTIO_MUTUAL uses the mesh's own certificates: leave it out")
  } else if (mode === 'PASSTHROUGH' || mode === 'AUTO_PASSTHROUGH') {
    for (const field of [...CERTIFICATE_FIELDS, 'caCrl', 'caCertCredentialName'] as const)
      if (tls[field]?.length)
        findings.warn([...path, field], `${mode} ends no TLS, so it uses no certificates: leave it out`)
    for (const field of OF_ENDED_TLS)
      if (tls[field]?.length)
        findings.warn([...path, field], `${mode} ends no TLS, so it has no effect: leave it out`)
  } else checkCertificates(tls, mode, path, findings)
}

/** What is said of certificates of clients, where any is taken. */
function checkUnverified(tls: ServerTlsSettings, path: FieldPath, findings: Findings): void {
  if (tls.mode !== 'MUTUAL' && tls.mode !== 'OPTIONAL_MUTUAL') {
    const message = 'has no effect: clients are asked for certificates in mode MUTUAL or OPTIONAL_MUTUAL'
    findings.warn([...path, 'insecureSkipVerify'], message)
    return
  }
  const checks = ['caCertificates', 'caCertCredentialName', 'subjectAltNames', 'caCrl'] as const
  for (const field of [...checks, 'verifyCertificateSpki', 'verifyCertificateHash'] as const)
    if (tls[field]?.length)
      findings.warn([...path, field], 'has no effect: insecureSkipVerify verifies nothing')
}

function checkCertificates(
  tls: ServerTlsSettings,
  mode: 'SIMPLE' | 'MUTUAL' | 'OPTIONAL_MUTUAL',
  path: FieldPath,
  findings: Findings,
): void {
  if (tls.caCrl && tls.credentialName)
    findings.error([...path, 'caCrl'], 'belongs into the secret that credentialName names')
  else if (tls.caCrl && mode === 'SIMPLE')
    findings.error([...path, 'caCrl'], 'SIMPLE asks clients for no certificates: leave it out')
  if (tls.credentialName || tls.credentialNames?.length) return
  const checksClients = mode !== 'SIMPLE' && !tls.insecureSkipVerify
  if (checksClients && !tls.caCertificates && !tls.caCertCredentialName)
    findings.error([...path, 'caCertificates'], `${mode} needs it, to check the certificates of clients`)
  const [sources, at]: [readonly z.infer<typeof certificateFiles>[], (index: number) => FieldPath] =
    tls.tlsCertificates
      ? [tls.tlsCertificates, index => [...path, 'tlsCertificates', index]]
      : [[tls], () => path]
  for (const [index, source] of sources.entries())
    for (const field of ['serverCertificate', 'privateKey'] as const)
      if (!source[field])
        findings.error([...at(index), field], `${mode} needs it, or a credentialName that leads to a secret`)
}

function checkCiphers(tls: ServerTlsSettings, path: FieldPath, findings: Findings): void {
  const isOld = tls.minProtocolVersion === 'TLSV1_0' || tls.minProtocolVersion === 'TLSV1_1'
  if (isOld && !tls.cipherSuites?.length)
    findings.warn(
      [...path, 'minProtocolVersion'],
      'none of the usual cipher suites works below TLS 1.2: name some in cipherSuites',
    )
  for (const [index, suite] of (tls.cipherSuites ?? []).entries()) {
    const at = [...path, 'cipherSuites', index]
    // What begins with a sign (`-AES128-SHA`, `[A|B]`) is an expression, which Envoy reads.
    if (/^[A-Za-z0-9]/.test(suite) && !CIPHER_SUITES.has(suite))
      findings.warn(at, `${suite} is no cipher suite that gateways know; it is left out`)
    else if (tls.cipherSuites?.indexOf(suite) !== index) findings.warn(at, `${suite} is there twice`)
  }
}
