import type { EncodedResource } from '@seine/envoy'

/** Field numbers of `envoy.service.discovery.v3` messages that are written by hand around ready bytes. */
const Field = {
  resourceVersion: 1,
  resourceAny: 2,
  resourceName: 3,
  resourceAliases: 4,
  anyType: 1,
  anyValue: 2,
  resources: 2,
  typeUrl: 4,
  nonce: 5,
  removed: 6,
  versionInfo: 1,
} as const

/** What stands before a resource's own bytes in a response, made once for all streams. */
const heads = new WeakMap<EncodedResource, Buffer>()
const stateHeads = new WeakMap<EncodedResource, Buffer>()

/**
 * A serialised response in parts, most of them shared by all streams. The transport copies a message behind the
 * header that it puts before it; one that was put together first would be copied twice.
 */
export class Response {
  readonly byteLength: number
  readonly #parts: readonly Uint8Array[]

  constructor(parts: readonly Uint8Array[]) {
    this.#parts = parts
    this.byteLength = parts.reduce((sum, part) => sum + part.length, 0)
  }

  /** Writes the whole message into a buffer, from `start` on. */
  copy(target: Uint8Array, start: number): void {
    let at = start
    for (const part of this.#parts) {
      target.set(part, at)
      at += part.length
    }
  }

  toBuffer(): Buffer {
    return Buffer.concat(this.#parts)
  }
}

/** A `DeltaDiscoveryResponse`: a small envelope around resources that are shared by all streams. */
export function deltaResponse(
  type: string,
  nonce: string,
  resources: readonly EncodedResource[],
  removed: readonly string[],
  absent: readonly string[],
): Response {
  const parts: Uint8Array[] = []
  for (const resource of resources) parts.push(deltaHead(resource, type), resource.bytes)
  for (const name of absent) parts.push(absentFrame(name))
  let size = textSize(type) + textSize(nonce)
  for (const name of removed) size += textSize(name)
  const writer = new Writer(Buffer.allocUnsafe(size))
  writer.text(Field.typeUrl, type)
  writer.text(Field.nonce, nonce)
  for (const name of removed) writer.text(Field.removed, name)
  parts.push(writer.buffer)
  return new Response(parts)
}

/** A `DiscoveryResponse` of the state-of-the-world protocol. */
export function stateResponse(
  type: string,
  version: string,
  nonce: string,
  resources: readonly EncodedResource[],
): Response {
  const envelope = new Writer(Buffer.allocUnsafe(textSize(version) + textSize(type) + textSize(nonce)))
  envelope.text(Field.versionInfo, version)
  envelope.text(Field.typeUrl, type)
  envelope.text(Field.nonce, nonce)
  const parts: Uint8Array[] = [envelope.buffer]
  for (const resource of resources) parts.push(stateHead(resource, type), resource.bytes)
  return new Response(parts)
}

/** The bytes a resource takes in a response. */
export function frameSize(resource: EncodedResource, type: string): number {
  return deltaHead(resource, type).length + resource.bytes.length
}

/** The fields of a `Resource`, its content last: protobuf takes them in any order. */
function deltaHead(resource: EncodedResource, type: string): Buffer {
  const known = heads.get(resource)
  if (known) return known
  const { name, version, bytes, aliases = [] } = resource
  const any = anySize(resource, type)
  let size = textSize(version) + textSize(name) + delimitedSize(any)
  for (const alias of aliases) size += textSize(alias)
  const writer = new Writer(lasting(delimitedSize(size) - bytes.length))
  writer.head(Field.resources, size)
  writer.text(Field.resourceVersion, version)
  writer.text(Field.resourceName, name)
  for (const alias of aliases) writer.text(Field.resourceAliases, alias)
  writer.head(Field.resourceAny, any)
  writeAnyHead(writer, resource, type)
  heads.set(resource, writer.buffer)
  return writer.buffer
}

/** A resource without content, which says that there is none of that name. */
function absentFrame(name: string): Buffer {
  const size = 2 * textSize(name)
  const writer = new Writer(Buffer.allocUnsafe(delimitedSize(size)))
  writer.head(Field.resources, size)
  writer.text(Field.resourceName, name)
  writer.text(Field.resourceAliases, name)
  return writer.buffer
}

function stateHead(resource: EncodedResource, type: string): Buffer {
  const known = stateHeads.get(resource)
  if (known) return known
  const size = anySize(resource, type)
  const writer = new Writer(lasting(delimitedSize(size) - resource.bytes.length))
  writer.head(Field.resources, size)
  writeAnyHead(writer, resource, type)
  stateHeads.set(resource, writer.buffer)
  return writer.buffer
}

function anySize({ bytes }: EncodedResource, type: string): number {
  return textSize(type) + delimitedSize(bytes.length)
}

function writeAnyHead(writer: Writer, { bytes }: EncodedResource, type: string): void {
  writer.text(Field.anyType, type)
  writer.head(Field.anyValue, bytes.length)
}

/** A buffer of its own: one out of Node's pool would keep a whole slab of it for as long as it lives. */
function lasting(size: number): Buffer {
  return Buffer.allocUnsafeSlow(size)
}

/** Writes length-delimited fields, one after the other, into a buffer of exactly their size. */
class Writer {
  readonly buffer: Buffer
  #at = 0

  constructor(buffer: Buffer) {
    this.buffer = buffer
  }

  /** The tag and the length of a field whose content follows. */
  head(field: number, length: number): void {
    this.buffer[this.#at++] = (field << 3) | 2
    let rest = length
    while (rest > 0x7f) {
      this.buffer[this.#at++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.buffer[this.#at++] = rest
  }

  text(field: number, value: string): void {
    this.head(field, Buffer.byteLength(value))
    this.#at += this.buffer.write(value, this.#at)
  }
}

function textSize(value: string): number {
  return delimitedSize(Buffer.byteLength(value))
}

/** What a field of that length takes with its tag, which is one byte, and its length, which is seven bits a byte. */
function delimitedSize(length: number): number {
  let size = 2 + length
  for (let rest = length >>> 7; rest > 0; rest >>>= 7) size++
  return size
}
