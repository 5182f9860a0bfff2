import { create, toBinary } from '@bufbuild/protobuf'
import { BinaryReader } from '@bufbuild/protobuf/wire'
import { DeltaDiscoveryRequestSchema } from '@seine/envoy/envoy/service/discovery/v3/discovery'

/** A resource of a response: its name, and its serialised message; empty where the server says that there is none. */
export interface ReceivedResource {
  readonly name: string
  readonly value: Uint8Array
}

/** What a sidecar reads of a `DeltaDiscoveryResponse`. */
export interface ReceivedResponse {
  readonly type: string
  readonly nonce: string
  readonly resources: readonly ReceivedResource[]
  readonly removed: readonly string[]
}

/** Field numbers of the messages that are read below. */
const Response = { resources: 2, type: 4, nonce: 5, removed: 6 } as const
const Resource = { any: 2, name: 3 } as const
const ANY_VALUE = 2

/**
 * Reads a response without decoding the resources in it: hundreds of clients share one process, and what
 * they cost must not slow down the server that is measured.
 */
export function readResponse(message: Uint8Array): ReceivedResponse {
  const resources: ReceivedResource[] = []
  const removed: string[] = []
  let type = ''
  let nonce = ''
  const reader = new BinaryReader(message)
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag()
    if (field === Response.resources) resources.push(readResource(reader.bytes()))
    else if (field === Response.type) type = reader.string()
    else if (field === Response.nonce) nonce = reader.string()
    else if (field === Response.removed) removed.push(reader.string())
    else reader.skip(wireType, field)
  }
  return { type, nonce, resources, removed }
}

function readResource(bytes: Uint8Array): ReceivedResource {
  let name = ''
  let value: Uint8Array = new Uint8Array()
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag()
    if (field === Resource.name) name = reader.string()
    else if (field === Resource.any) value = readAny(reader.bytes())
    else reader.skip(wireType, field)
  }
  return { name, value }
}

function readAny(bytes: Uint8Array): Uint8Array {
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag()
    if (field === ANY_VALUE) return reader.bytes()
    reader.skip(wireType, field)
  }
  return new Uint8Array()
}

/** A serialised `DeltaDiscoveryRequest`. */
export function deltaRequest(
  init: Omit<Parameters<typeof create<typeof DeltaDiscoveryRequestSchema>>[1] & object, '$typeName'>,
): Buffer {
  return Buffer.from(toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, init)))
}
