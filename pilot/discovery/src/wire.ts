import type { EncodedResource } from '@seine/envoy'

const VARINT_7 = 0x80
const encoder = new TextEncoder()

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
  const parts = resources.map(resource => deltaFrame(resource, type))
  for (const name of absent)
    parts.push(
      lengthDelimited(
        Field.resources,
        Buffer.concat([text(Field.resourceName, name), text(Field.resourceAliases, name)]),
      ),
    )
  parts.push(
    text(Field.typeUrl, type),
    text(Field.nonce, nonce),
    ...removed.map(name => text(Field.removed, name)),
  )
  return Buffer.concat(parts)
}

/** A `DiscoveryResponse` of the state-of-the-world protocol. */
export function stateResponse(
  type: string,
  version: string,
  nonce: string,
  resources: readonly EncodedResource[],
): Buffer {
  return Buffer.concat([
    text(Field.versionInfo, version),
    ...resources.map(resource => anyFrame(resource, type)),
    text(Field.typeUrl, type),
    text(Field.nonce, nonce),
  ])
}

/** The bytes a resource takes in a response. */
export function frameSize(resource: EncodedResource, type: string): number {
  return deltaFrame(resource, type).length
}

function deltaFrame(resource: EncodedResource, type: string): Buffer {
  const known = framed.get(resource)
  if (known) return known
  const body = Buffer.concat([
    text(Field.resourceVersion, resource.version),
    lengthDelimited(Field.resourceAny, anyBytes(resource, type)),
    text(Field.resourceName, resource.name),
    ...(resource.aliases ?? []).map(alias => text(Field.resourceAliases, alias)),
  ])
  const frame = lengthDelimited(Field.resources, body)
  framed.set(resource, frame)
  return frame
}

function anyFrame(resource: EncodedResource, type: string): Buffer {
  const known = framedAny.get(resource)
  if (known) return known
  const frame = lengthDelimited(Field.resources, anyBytes(resource, type))
  framedAny.set(resource, frame)
  return frame
}

function anyBytes(resource: EncodedResource, type: string): Buffer {
  return Buffer.concat([text(Field.anyType, type), lengthDelimited(Field.anyValue, resource.bytes)])
}

function text(field: number, value: string): Buffer {
  return lengthDelimited(field, encoder.encode(value))
}

function lengthDelimited(field: number, value: Uint8Array): Buffer {
  const head = Buffer.from([(field << 3) | 2, ...varint(value.length)])
  return Buffer.concat([head, value])
}

function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  while (rest >= VARINT_7) {
    bytes.push((rest % VARINT_7) | VARINT_7)
    rest = Math.floor(rest / VARINT_7)
  }
  bytes.push(rest)
  return bytes
}
