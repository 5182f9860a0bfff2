import {
  create,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf'
import type { EncodedResource, Provenance } from '@seine/envoy'

/** A generated resource, still readable, with what it came from. */
export interface Generated<D extends DescMessage = DescMessage> {
  readonly name: string
  readonly message: MessageShape<D>
  readonly provenance: readonly Provenance[]
}

/** Serialises a message once; the version is a hash of the bytes. */
export function encode<D extends DescMessage>(
  schema: D,
  name: string,
  init: MessageInitShape<D>,
  provenance: readonly Provenance[],
): EncodedResource {
  const bytes = toBinary(schema, create(schema, init))
  return { name, version: hashBytes(bytes), bytes, provenance: uniqueProvenance(provenance) }
}

/** 64 bits of FNV-1a in two lanes, as hexadecimal: enough to tell versions of one resource apart. */
export function hashBytes(bytes: Uint8Array): string {
  let a = 0x811c9dc5
  let b = 0xcbf29ce4
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] ?? 0
    a = Math.imul(a ^ byte, 0x01000193)
    b = Math.imul(b ^ byte ^ (a >>> 24), 0x01000197)
  }
  return (a >>> 0).toString(16).padStart(8, '0') + (b >>> 0).toString(16).padStart(8, '0')
}

function uniqueProvenance(list: readonly Provenance[]): readonly Provenance[] {
  const seen = new Map<string, Provenance>()
  for (const one of list) seen.set(`${one.kind}/${one.namespace}/${one.name}/${one.path ?? ''}`, one)
  return [...seen.values()]
}
