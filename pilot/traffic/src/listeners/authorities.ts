import type { EncodedResource } from '@seine/envoy'
import { SecretSchema } from '@seine/envoy/envoy/extensions/transport_sockets/tls/v3/secret'
import type { ChangeSet, MeshSnapshot } from '@seine/model'
import { encode } from '../encode.ts'

/**
 * Certificates of authorities by which listeners of the Gateway API check clients. They are no secrets, and travel as
 * if they were: one that Envoy can't read then is refused alone, and not with the listener and all its hosts.
 */
const SCHEME = 'authorities://'

/** The name, as SDS has it, of the authorities by which a server checks certificates of clients. */
export function clientAuthorityName(gateway: string, server: string): string {
  return `${SCHEME}${gateway}/${server}`
}

/** The authorities that a name stands for; undefined where it stands for none. */
export function clientAuthority({ gateways }: MeshSnapshot, sdsName: string): EncodedResource | undefined {
  if (!sdsName.startsWith(SCHEME)) return undefined
  const [namespace, name, server] = sdsName.slice(SCHEME.length).split('/')
  const found = gateways.get(`${namespace}/${name}`)?.spec.servers.find(({ port }) => port.name === server)
  if (found?.clientAuthorities === undefined) return undefined
  const trustedCa = { specifier: { case: 'inlineString' as const, value: found.clientAuthorities } }
  const type = { case: 'validationContext' as const, value: { trustedCa } }
  return encode(SecretSchema, sdsName, { name: sdsName, type }, found.cause ? [found.cause] : [])
}

/** The names of authorities that a change can touch. */
export function touchedAuthorities(
  before: MeshSnapshot,
  after: MeshSnapshot,
  changes: ChangeSet,
): Set<string> {
  const found = new Set<string>()
  for (const { gateways } of [before, after])
    for (const key of changes.gateways)
      for (const { clientAuthorities, port } of gateways.get(key)?.spec.servers ?? [])
        if (clientAuthorities !== undefined) found.add(clientAuthorityName(key, port.name))
  return found
}
