import { UNIX_PREFIX } from '@seine/api'
import type { ListenerSchema } from '@seine/envoy/envoy/config/listener/v3/listener'
import { isSocket } from '@seine/model'
import type { Addresses } from '../address-families.ts'
import type { Init } from '../init.ts'

type ListenerInit = Init<typeof ListenerSchema>
type AddressInit = NonNullable<ListenerInit['address']>

/** Whoever may enter the folder may connect, as to a port of loopback: the application is another user than the proxy. */
const SOCKET_MODE = 0o666

/** The addresses on which a listener takes connections to a port, or the Unix domain socket. */
export function listeningOn(
  [first, ...others]: Addresses,
  port: number,
): Pick<ListenerInit, 'address' | 'additionalAddresses'> {
  return {
    address: addressOf(first, port),
    ...(others.length > 0
      ? { additionalAddresses: others.map(address => ({ address: addressOf(address, port) })) }
      : {}),
  }
}

/** The name of a listener, as Istio gives it: a socket has the port 0. */
export function listenerName([first]: Addresses, port: number): string {
  return `${first}_${isSocket(first) ? 0 : port}`
}

/** An address in the form Envoy takes. An abstract socket has no file, and so no mode. */
function addressOf(address: string, port: number): AddressInit {
  if (isSocket(address)) {
    const path = address.slice(UNIX_PREFIX.length)
    return { address: { case: 'pipe', value: { path, mode: path.startsWith('@') ? 0 : SOCKET_MODE } } }
  }
  return {
    address: { case: 'socketAddress', value: { address, portSpecifier: { case: 'portValue', value: port } } },
  }
}
