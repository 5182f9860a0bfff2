import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const DAY_MS = 24 * 3_600_000

/** A certificate and its key, in PEM. */
export interface IssuedPair {
  readonly certificate: string
  readonly key: string
}

/** A certificate authority for tests: it signs whatever it is told to. */
export class TestAuthority {
  /** The authority's own certificate, in PEM. */
  readonly root: string
  readonly #keys: webcrypto.CryptoKeyPair
  readonly #issued = new Map<string, Promise<IssuedPair>>()
  #serial = 0x1000

  private constructor(keys: webcrypto.CryptoKeyPair, root: string) {
    this.#keys = keys
    this.root = root
  }

  static async create(): Promise<TestAuthority> {
    x509.cryptoProvider.set(webcrypto as never)
    const keys = await newKeys()
    const root = await x509.X509CertificateGenerator.createSelfSigned({
      ...validity(),
      serialNumber: '01',
      name: 'CN=conformance root',
      signingAlgorithm: ALGORITHM,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    })
    return new TestAuthority(keys, pem(root))
  }

  /** A certificate for a name, which is a DNS name or a URI; the same each time. */
  issue(name: string): Promise<IssuedPair> {
    const known = this.#issued.get(name) ?? this.#issue(name)
    this.#issued.set(name, known)
    return known
  }

  /** A list of what is revoked: the certificates for these names. */
  async revoke(...names: readonly string[]): Promise<string> {
    const issued = await Promise.all(names.map(name => this.issue(name)))
    const list = await x509.X509CrlGenerator.create({
      issuer: 'CN=conformance root',
      thisUpdate: validity().notBefore,
      nextUpdate: validity().notAfter,
      entries: issued.map(({ certificate }) => ({
        serialNumber: new x509.X509Certificate(certificate).serialNumber,
        revocationDate: validity().notBefore,
        reason: x509.X509CrlReason.keyCompromise,
      })),
      signingKey: this.#keys.privateKey,
      signingAlgorithm: ALGORITHM,
    })
    return `${x509.PemConverter.encode(list.rawData, 'X509 CRL')}\n`
  }

  async #issue(name: string): Promise<IssuedPair> {
    const serialNumber = (this.#serial++).toString(16)
    const keys = await newKeys()
    const certificate = await x509.X509CertificateGenerator.create({
      ...validity(),
      serialNumber,
      issuer: 'CN=conformance root',
      subject: 'O=conformance',
      publicKey: keys.publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.SubjectAlternativeNameExtension([
          { type: name.includes('://') ? 'url' : 'dns', value: name },
        ]),
      ],
    })
    const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
    return { certificate: pem(certificate), key: `${x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n` }
  }
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>
}

function validity() {
  const now = Date.now()
  return { notBefore: new Date(now - DAY_MS), notAfter: new Date(now + DAY_MS) }
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem')}\n`
}
