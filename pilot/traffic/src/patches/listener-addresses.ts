import { fromBinary } from '@bufbuild/protobuf'
import type { EncodedResource } from '@seine/envoy'
import { ListenerSchema } from '@seine/envoy/envoy/config/listener/v3/listener'

const known = new WeakMap<EncodedResource, readonly string[]>()

/** The addresses that a listener binds, with protocol and port; none for one that is bound to none. */
function addressesOf(resource: EncodedResource): readonly string[] {
  const found = known.get(resource)
  if (found) return found
  const { address, additionalAddresses, bindToPort } = fromBinary(ListenerSchema, resource.bytes)
  const all = bindToPort === false ? [] : [address, ...additionalAddresses.map(one => one.address)]
  const made = all.flatMap(one => {
    if (one?.address.case !== 'socketAddress') return []
    const { protocol, address: ip, portSpecifier } = one.address.value
    return [`${protocol} ${ip} ${portSpecifier.value ?? ''}`]
  })
  known.set(resource, made)
  return made
}

/** The listener among others that has an address of this one: Envoy takes none of the same address as another. */
export function sameAddress(
  listener: EncodedResource,
  others: Iterable<EncodedResource>,
): EncodedResource | undefined {
  const own = addressesOf(listener)
  if (own.length === 0) return undefined
  for (const other of others)
    if (other.name !== listener.name && addressesOf(other).some(address => own.includes(address)))
      return other
  return undefined
}
