/** Whether an IP address lies in a range. An IPv4 address never lies in an IPv6 range, nor the other way. */
export function inRange(address: string, prefix: string, length: number): boolean {
  const [own, other] = [bitsOf(address), bitsOf(prefix)]
  if (own === undefined || other === undefined || own.length !== other.length) return false
  return own.slice(0, length) === other.slice(0, length)
}

/** An address as a text of its bits; `undefined` if it is none. */
function bitsOf(address: string): string | undefined {
  if (address.includes(':')) return bitsOfIpv6(address)
  const parts = address.split('.').map(Number)
  if (parts.length !== 4 || parts.some(part => !Number.isInteger(part) || part < 0 || part > 255))
    return undefined
  return parts.map(part => part.toString(2).padStart(8, '0')).join('')
}

function bitsOfIpv6(address: string): string | undefined {
  const [head = '', tail] = address.split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':'))
  const [first, last] = [groups(head), groups(tail ?? '')]
  const missing = 8 - first.length - last.length
  if (tail === undefined ? missing !== 0 : missing < 0) return undefined
  const all = [...first, ...Array<string>(missing).fill('0'), ...last].map(group =>
    Number.parseInt(group, 16),
  )
  if (all.some(group => Number.isNaN(group) || group > 0xffff)) return undefined
  return all.map(group => group.toString(2).padStart(16, '0')).join('')
}
