import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as x509 from '@peculiar/x509'
import type { Clock } from '@seine/kit'

x509.cryptoProvider.set(webcrypto as Crypto)

export const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const ROOT_LIFETIME_MS = 10 * 365 * 24 * 3_600_000

/** The mesh's root: what every identity in it hangs on. */
export interface RootAuthority {
  readonly certificate: x509.X509Certificate
  readonly pem: string
  readonly key: CryptoKey
}

/**
 * The root that the folder holds, or a new one, written there. The folder and the key are the owner's alone.
 * Throws when what is there can't be read.
 */
export async function loadOrCreateRoot(
  folder: string,
  trustDomain: string,
  clock: Clock,
): Promise<RootAuthority> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await chmod(folder, 0o700)
  const paths = { certificate: join(folder, 'root-cert.pem'), key: join(folder, 'root-key.pem') }
  const existing = await readRoot(paths)
  if (existing) return existing
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const now = clock.now()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `O=${trustDomain}, CN=Seine root`,
    notBefore: new Date(now - 60_000),
    notAfter: new Date(now + ROOT_LIFETIME_MS),
    signingAlgorithm: ALGORITHM,
    keys: keys as CryptoKeyPair,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey as CryptoKey),
    ],
  })
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  await writeWhole(paths.key, `${x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`, 0o600)
  await writeWhole(paths.certificate, `${certificate.toString('pem')}\n`, 0o644)
  return { certificate, pem: `${certificate.toString('pem')}\n`, key: keys.privateKey as CryptoKey }
}

async function readRoot(paths: { certificate: string; key: string }): Promise<RootAuthority | undefined> {
  const [pem, keyPem] = await Promise.all([readIfThere(paths.certificate), readIfThere(paths.key)])
  if (pem === undefined || keyPem === undefined) return undefined
  const key = await webcrypto.subtle.importKey(
    'pkcs8',
    x509.PemConverter.decodeFirst(keyPem),
    ALGORITHM,
    false,
    ['sign'],
  )
  return { certificate: new x509.X509Certificate(pem), pem, key: key as CryptoKey }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new Error(`can't read ${path}`, { cause: failure })
  }
}

/** Appears whole or not at all, never readable by others in between. */
async function writeWhole(path: string, content: string, mode: number): Promise<void> {
  await writeFile(`${path}.new`, content, { mode })
  await rename(`${path}.new`, path)
}

/** A random serial number of 127 bits, positive. */
export function serial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16))
  bytes[0] = (bytes[0] ?? 0) & 0x7f
  return Buffer.from(bytes).toString('hex')
}
