import { createPrivateKey, X509Certificate } from 'node:crypto'
import { errorMessage } from './result.ts'

/**
 * What is wrong with a certificate and its key, both in PEM; undefined when nothing is.
 *
 * @param now ms since the epoch
 */
export function certificateProblem(certificate: string, key: string, now: number): string | undefined {
  try {
    const parsed = new X509Certificate(certificate)
    if (Date.parse(parsed.validTo) < now) return `the certificate expired on ${parsed.validTo}`
    return parsed.checkPrivateKey(createPrivateKey(key)) ? undefined : 'the key is of another certificate'
  } catch (failure) {
    return `it can't be read: ${errorMessage(failure)}`
  }
}
