/** An IP address in its one canonical form (RFC 5952 for IPv6), or undefined when the text is none. */
export function canonicalIp(text: string): string | undefined {
  if (text.includes(':')) return canonicalIpv6(text)
  const parts = text.split('.')
  const valid =
    parts.length === 4 && parts.every(part => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)
  return valid ? text : undefined
}

/**
 * A range of addresses in its one canonical form: `10.1.2.3/8` is `10.0.0.0/8`. Undefined when the text is no range.
 */
export function canonicalCidr(text: string): string | undefined {
  const [address = '', written = '', ...rest] = text.split('/')
  const ip = canonicalIp(address)
  if (ip === undefined || rest.length > 0 || !/^\d{1,3}$/.test(written)) return undefined
  const length = Number(written)
  const groups = ip.includes(':') ? ipv6Groups(ip) : ip.split('.').map(Number)
  const width = ip.includes(':') ? 16 : 8
  if (!groups || length > groups.length * width) return undefined
  const masked = groups.map((group, index) => maskBits(group, width, length - index * width))
  return `${width === 8 ? masked.join('.') : formatIpv6(masked)}/${length}`
}

/** Whether a range of addresses, or an address, lies in another; both are valid. */
export function cidrCovers(outer: string, inner: string): boolean {
  const [address = '', length = address.includes(':') ? '128' : '32'] = inner.split('/')
  const [wide = '', kept = wide.includes(':') ? '128' : '32'] = outer.split('/')
  return (
    Number(length) >= Number(kept) && canonicalCidr(`${address}/${kept}`) === canonicalCidr(`${wide}/${kept}`)
  )
}

/** Whether a text is an IP address. */
export function isIpAddress(text: string): boolean {
  return canonicalIp(text) !== undefined
}

/** Whether a text is a range of IP addresses, such as `10.0.0.0/8`. */
export function isCidr(text: string): boolean {
  return canonicalCidr(text) !== undefined
}

/** The group with all but its first `kept` bits cleared. */
function maskBits(group: number, width: number, kept: number): number {
  const cleared = Math.min(Math.max(width - kept, 0), width)
  return (group >> cleared) << cleared
}

function canonicalIpv6(text: string): string | undefined {
  const groups = ipv6Groups(text.toLowerCase())
  return groups && formatIpv6(groups)
}

function formatIpv6(groups: readonly number[]): string {
  const { start, length } = longestZeroes(groups)
  const hex = groups.map(group => group.toString(16))
  if (length < 2) return hex.join(':')
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`
}

/** The eight groups of an IPv6 address. */
function ipv6Groups(text: string): number[] | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [left, right] = halves.map(groupsOf)
  if (!left || (halves.length === 2 && !right)) return undefined
  if (!right) return left.length === 8 ? left : undefined
  const missing = 8 - left.length - right.length
  return missing < 1 ? undefined : [...left, ...new Array<number>(missing).fill(0), ...right]
}

function groupsOf(text: string): number[] | undefined {
  if (text === '') return []
  const groups: number[] = []
  const parts = text.split(':')
  for (const [index, part] of parts.entries()) {
    if (part.includes('.') && index === parts.length - 1) {
      const bytes = canonicalIp(part)?.split('.').map(Number)
      if (!bytes) return undefined
      const [a = 0, b = 0, c = 0, d = 0] = bytes
      groups.push(a * 256 + b, c * 256 + d)
    } else if (/^[0-9a-f]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16))
    else return undefined
  }
  return groups
}

/** The longest run of groups that are zero; the first of several. */
function longestZeroes(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  for (let start = 0; start < groups.length; start++) {
    let length = 0
    while (groups[start + length] === 0) length++
    if (length > best.length) best = { start, length }
  }
  return best
}
