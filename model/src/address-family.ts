/** A kind of IP addresses. */
export type AddressFamily = 'ipv4' | 'ipv6'

/** The family of an IP address, or of a range of them. */
export function familyOf(address: string): AddressFamily {
  return address.includes(':') ? 'ipv6' : 'ipv4'
}

/** Those of the addresses that are of some families; all of them where it is not said of which. */
export function ofFamilies(
  addresses: readonly string[],
  families: readonly AddressFamily[] | undefined,
): readonly string[] {
  return families ? addresses.filter(address => families.includes(familyOf(address))) : addresses
}
