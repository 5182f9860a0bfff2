import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Ran, run } from './command.ts'
import type { Pod } from './pod.ts'

/** What `openssl x509` says of a certificate. */
export interface CertificateFacts {
  readonly text: string
  readonly issuer: string
  readonly subject: string
  readonly subjectAltNames: readonly string[]
  readonly notBefore: Date
  readonly notAfter: Date
  readonly serial: string
  readonly publicKey: string
}

const PEM = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g

/** Shakes hands with `openssl s_client` from inside a pod. `more` are further options. */
export function sClient(from: Pod, address: string, port: number, ...more: readonly string[]): Promise<Ran> {
  return from.exec(['openssl', 's_client', '-connect', `${address}:${port}`, '-showcerts', ...more])
}

/** The certificates that the server showed, its own first. */
export function shownCertificates({ stdout }: Ran): readonly string[] {
  return stdout.match(PEM) ?? []
}

/** Reads a certificate in PEM. Throws what openssl says when it can't. */
export async function readCertificate(pem: string): Promise<CertificateFacts> {
  const text = await openssl(['x509', '-noout', '-text'], pem)
  const fields = await openssl(['x509', '-noout', '-issuer', '-subject', '-dates', '-serial'], pem)
  const field = (name: string) => new RegExp(`^${name}\\s*=\\s*(.*)$`, 'm').exec(fields)?.[1]?.trim() ?? ''
  const names = /Subject Alternative Name:.*\n\s*(.+)/.exec(text)?.[1] ?? ''
  return {
    text,
    issuer: field('issuer'),
    subject: field('subject'),
    subjectAltNames: names.split(', '),
    notBefore: new Date(field('notBefore')),
    notAfter: new Date(field('notAfter')),
    serial: field('serial'),
    publicKey: await openssl(['x509', '-noout', '-pubkey'], pem),
  }
}

/** The public part of a private key in PEM. */
export function publicKeyOf(privateKey: string): Promise<string> {
  return openssl(['pkey', '-pubout'], privateKey)
}

/** A key and a certificate that it signed itself, for a name. */
export async function selfSigned(name: string): Promise<{ readonly key: string; readonly cert: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'seine-e2e-cert-'))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1']
  const names = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`]
  await openssl(['req', '-x509', ...curve, ...names, '-keyout', key, '-out', cert], '')
  const pair = { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8') }
  await rm(folder, { recursive: true })
  return pair
}

async function openssl(args: readonly string[], input: string): Promise<string> {
  const { code, stdout, stderr } = await run(['openssl', ...args], input)
  if (code !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`)
  return stdout
}
