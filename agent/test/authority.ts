import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

x509.cryptoProvider.set(webcrypto as Crypto)

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const DAY_MS = 24 * 3_600_000

/** What a certificate is to say, where that is not what its CSR asks for. */
export interface Signing {
  readonly notAfter: Date
  readonly identity?: string
  /** Certify a key that nobody asked for. */
  readonly withOtherKey?: boolean
}

/** A certificate authority for tests: it signs whatever it is told to. */
export class TestAuthority {
  readonly rootPem: string
  readonly #keys: CryptoKeyPair
  #serial = 0

  private constructor(keys: CryptoKeyPair, rootPem: string) {
    this.#keys = keys
    this.rootPem = rootPem
  }

  static async create(): Promise<TestAuthority> {
    const keys = await newKeys()
    const root = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: '01',
      name: 'CN=test root',
      notBefore: new Date(Date.now() - DAY_MS),
      notAfter: new Date(Date.now() + 3650 * DAY_MS),
      signingAlgorithm: ALGORITHM,
      keys,
      extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
    })
    return new TestAuthority(keys, `${root.toString('pem')}\n`)
  }

  /** The chain that answers a CSR, leaf first. */
  async sign(csrPem: string, { notAfter, identity, withOtherKey }: Signing): Promise<string[]> {
    const csr = new x509.Pkcs10CertificateRequest(csrPem)
    const asked = csr.extensions.find(one => one instanceof x509.SubjectAlternativeNameExtension)
    const names: x509.JsonGeneralNames = identity
      ? [{ type: 'url', value: identity }]
      : (asked?.names.toJSON() ?? [])
    const publicKey = withOtherKey ? (await newKeys()).publicKey : csr.publicKey
    return [await this.#issue(publicKey, names, notAfter), this.rootPem]
  }

  /** Key and certificate of a TLS server. */
  async server(names: x509.JsonGeneralNames): Promise<{ certificate: string; key: string }> {
    const keys = await newKeys()
    const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
    return {
      certificate: await this.#issue(keys.publicKey, names, new Date(Date.now() + DAY_MS)),
      key: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY'),
    }
  }

  async #issue(publicKey: x509.PublicKeyType, names: x509.JsonGeneralNames, notAfter: Date): Promise<string> {
    this.#serial++
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: this.#serial.toString(16).padStart(2, '0'),
      issuer: 'CN=test root',
      subject: 'O=test',
      notBefore: new Date(Date.now() - 2 * DAY_MS),
      notAfter,
      publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions: [new x509.SubjectAlternativeNameExtension(names)],
    })
    return `${certificate.toString('pem')}\n`
  }
}

async function newKeys(): Promise<CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as CryptoKeyPair
}
