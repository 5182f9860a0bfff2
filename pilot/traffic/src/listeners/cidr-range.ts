/** An address or a range of addresses, `10.0.0.0/8`, as Envoy writes it. */
export function cidrRange(range: string): { addressPrefix: string; prefixLen: number } {
  const [addressPrefix = '', length] = range.split('/')
  return {
    addressPrefix,
    prefixLen: length === undefined ? (range.includes(':') ? 128 : 32) : Number(length),
  }
}
