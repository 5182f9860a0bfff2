/** What Kubernetes allows of a name. */
const LONGEST_NAME = 253

/**
 * The name of the WorkloadEntry of a workload that registers by a group, Istio's: `<group>-<address>[-<network>]`, with
 * `-` for the colons of an IPv6 address, and cut at its front where it is too long.
 */
export function registeredName(group: string, address: string, network: string | undefined): string {
  const parts = [group, address.replaceAll(':', '-'), ...(network ? [network] : [])]
  return parts.join('-').slice(-LONGEST_NAME)
}
