import type { Server } from 'node:net'
import { networkInterfaces } from 'node:os'

/** Has servers listen on a port: one on IPv4 and, where the pod has an IPv6 address beside loopback, another on that. */
export function listenOn(port: number, make: () => Server): void {
  make().listen(port, '0.0.0.0')
  if (hasIpv6()) make().listen({ port, host: '::', ipv6Only: true })
}

function hasIpv6(): boolean {
  const addresses = Object.values(networkInterfaces()).flatMap(all => all ?? [])
  return addresses.some(({ family, internal, scopeid }) => family === 'IPv6' && !internal && scopeid === 0)
}
