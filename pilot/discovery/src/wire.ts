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

const framed = new WeakMap<EncodedResource, Buffer>()
const framedAny = new WeakMap<EncodedResource, Buffer>()

/** A `DeltaDiscoveryResponse`: a small envelope around resources that were framed once for all streams. */
export function deltaResponse(
  type: string,
  nonce: string,
  resources: readonly EncodedResource[],
  removed: readonly string[],
  absent: readonly string[],
): Buffer {
  const frames = resources.map(resource => deltaFrame(resource, type))
  for (const name of absent) frames.push(absentFrame(name))
  let size = textSize(type) + textSize(nonce)
  for (const frame of frames) size += frame.length
  for (const name of removed) size += textSize(name)
  const writer = new Writer(Buffer.allocUnsafe(size))
  for (const frame of frames) writer.copy(frame)
  writer.text(Field.typeUrl, type)
  writer.text(Field.nonce, nonce)
  for (const name of removed) writer.text(Field.removed, name)
  return writer.buffer
}

/** A `DiscoveryResponse` of the state-of-the-world protocol. */
export function stateResponse(
  type: string,
  version: string,
  nonce: string,
  resources: readonly EncodedResource[],
): Buffer {
  const frames = resources.map(resource => anyFrame(resource, type))
  let size = textSize(version) + textSize(type) + textSize(nonce)
  for (const frame of frames) size += frame.length
  const writer = new Writer(Buffer.allocUnsafe(size))
  writer.text(Field.versionInfo, version)
  for (const frame of frames) writer.copy(frame)
  writer.text(Field.typeUrl, type)
  writer.text(Field.nonce, nonce)
  return writer.buffer
}

/** The bytes a resource takes in a response. */
export function frameSize(resource: EncodedResource, type: string): number {
  return deltaFrame(resource, type).length
}

function deltaFrame(resource: EncodedResource, type: string): Buffer {
  const known = framed.get(resource)
  if (known) return known
  const { name, version, aliases = [] } = resource
  const any = anySize(resource, type)
  let size = textSize(version) + delimitedSize(any) + textSize(name)
  for (const alias of aliases) size += textSize(alias)
  const writer = new Writer(lasting(delimitedSize(size)))
  writer.head(Field.resources, size)
  writer.text(Field.resourceVersion, version)
  writer.head(Field.resourceAny, any)
  writeAny(writer, resource, type)
  writer.text(Field.resourceName, name)
  for (const alias of aliases) writer.text(Field.resourceAliases, alias)
  framed.set(resource, writer.buffer)
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

function anyFrame(resource: EncodedResource, type: string): Buffer {
  const known = framedAny.get(resource)
  if (known) return known
  const size = anySize(resource, type)
  const writer = new Writer(lasting(delimitedSize(size)))
  writer.head(Field.resources, size)
  writeAny(writer, resource, type)
  framedAny.set(resource, writer.buffer)
  return writer.buffer
}

function anySize({ bytes }: EncodedResource, type: string): number {
  return textSize(type) + delimitedSize(bytes.length)
}

function writeAny(writer: Writer, { bytes }: EncodedResource, type: string): void {
  writer.text(Field.anyType, type)
  writer.head(Field.anyValue, bytes.length)
  writer.copy(bytes)
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

  copy(bytes: Uint8Array): void {
    this.buffer.set(bytes, this.#at)
    this.#at += bytes.length
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
