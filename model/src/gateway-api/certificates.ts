const BLOCK = /-----BEGIN CERTIFICATE-----([\s\S]*?)-----END CERTIFICATE-----/g

const SEQUENCE = 0x30
const BIT_STRING = 0x03

/**
 * Whether a text is certificates in PEM, as far as can be told without cryptography: each block holds what X.509
 * has at its outside, a signed part, an algorithm and a signature.
 */
export function isCertificates(pem: string): boolean {
  const blocks = [...pem.matchAll(BLOCK)]
  return blocks.length > 0 && blocks.every(([, text = '']) => isCertificate(text))
}

function isCertificate(base64: string): boolean {
  const bytes = decode(base64)
  const outer = bytes && elementAt(bytes, 0)
  if (!bytes || outer?.tag !== SEQUENCE || outer.end !== bytes.length) return false
  const tags: number[] = []
  for (let at = outer.start; at < outer.end; ) {
    const part = elementAt(bytes, at)
    if (!part || part.end > outer.end) return false
    tags.push(part.tag)
    at = part.end
  }
  return tags.join() === [SEQUENCE, SEQUENCE, BIT_STRING].join()
}

function decode(base64: string): Uint8Array | undefined {
  const text = base64.replace(/\s/g, '')
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) return undefined
  return Uint8Array.from(atob(text), char => char.charCodeAt(0))
}

interface Element {
  readonly tag: number
  /** Where its content begins and ends. */
  readonly start: number
  readonly end: number
}

/** The DER element at an offset; undefined where there is none. */
function elementAt(bytes: Uint8Array, at: number): Element | undefined {
  const [tag, first] = [bytes[at], bytes[at + 1]]
  if (tag === undefined || first === undefined) return undefined
  if (first < 0x80) return { tag, start: at + 2, end: at + 2 + first }
  const count = first & 0x7f
  if (count === 0 || count > 4) return undefined
  const size = bytes.subarray(at + 2, at + 2 + count).reduce((sum, byte) => sum * 256 + byte, 0)
  const start = at + 2 + count
  return { tag, start, end: start + size }
}
