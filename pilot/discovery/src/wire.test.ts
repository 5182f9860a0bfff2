import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf'
import type { EncodedResource } from '@seine/envoy'
import {
  DeltaDiscoveryResponseSchema,
  DiscoveryResponseSchema,
} from '@seine/envoy/envoy/service/discovery/v3/discovery'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { deltaResponse, frameSize, type Response, stateResponse } from './wire.ts'

const text = fc.string({ minLength: 1, maxLength: 200, unit: 'binary' })
const anyResource: fc.Arbitrary<EncodedResource> = fc.record({
  name: text,
  version: text,
  bytes: fc.uint8Array({ minLength: 1, maxLength: 300 }),
  aliases: fc.array(text, { maxLength: 3 }),
  provenance: fc.constant([]),
})
const type = fc.constantFrom('type.googleapis.com/envoy.config.cluster.v3.Cluster', 't')

function deltaMessage(
  typeUrl: string,
  nonce: string,
  resources: readonly EncodedResource[],
  removedResources: string[],
  absent: string[],
) {
  return create(DeltaDiscoveryResponseSchema, {
    typeUrl,
    nonce,
    removedResources,
    resources: [
      ...resources.map(({ name, version, bytes, aliases }) => ({
        name,
        version,
        aliases: [...(aliases ?? [])],
        resource: { typeUrl, value: bytes },
      })),
      ...absent.map(name => ({ name, aliases: [name] })),
    ],
  })
}

/** Takes the bytes as the transport does, behind a header. The order of fields is not the schema's. */
function expectMessage<D extends DescMessage>(
  schema: D,
  response: Response,
  expected: MessageShape<D>,
): void {
  const framed = Buffer.alloc(5 + response.byteLength)
  response.copy(framed, 5)
  const bytes = framed.subarray(5)
  expect(response.toBuffer().equals(bytes)).toBe(true)
  const wanted = toBinary(schema, expected)
  expect(bytes.length).toBe(wanted.length)
  expect(Buffer.from(toBinary(schema, fromBinary(schema, bytes))).equals(wanted)).toBe(true)
}

describe('deltaResponse', () => {
  it('writes what protobuf-es writes', () => {
    const names = fc.array(text, { maxLength: 4 })
    fc.assert(
      fc.property(
        type,
        text,
        fc.array(anyResource, { maxLength: 5 }),
        names,
        names,
        (typeUrl, nonce, all, removed, absent) => {
          const expected = deltaMessage(typeUrl, nonce, all, removed, absent)
          const response = deltaResponse(typeUrl, nonce, all, removed, absent)
          expectMessage(DeltaDiscoveryResponseSchema, response, expected)
        },
      ),
    )
  })

  // A length takes one byte more from each of these on.
  it.each([127, 128, 16_383, 16_384, 2_097_151, 2_097_152])('frames a resource of %i bytes', size => {
    const one = { name: 'n', version: 'v', bytes: new Uint8Array(size).fill(7), provenance: [] }
    const response = deltaResponse('t', '1', [one], [], [])
    expectMessage(DeltaDiscoveryResponseSchema, response, deltaMessage('t', '1', [one], [], []))
    expect(frameSize(one, 't')).toBe(response.byteLength - deltaResponse('t', '1', [], [], []).byteLength)
  })

  it('leaves nothing out that is empty', () => {
    const one = { name: 'n', version: '', bytes: new Uint8Array(), provenance: [] }
    const response = deltaResponse('t', '1', [one], [], ['gone'])
    const read = fromBinary(DeltaDiscoveryResponseSchema, response.toBuffer())
    expect(read.resources.map(({ name, resource }) => [name, resource?.typeUrl])).toEqual([
      ['n', 't'],
      ['gone', undefined],
    ])
  })
})

describe('stateResponse', () => {
  it('writes what protobuf-es writes', () => {
    fc.assert(
      fc.property(
        type,
        text,
        text,
        fc.array(anyResource, { maxLength: 5 }),
        (typeUrl, versionInfo, nonce, all) => {
          const expected = create(DiscoveryResponseSchema, {
            typeUrl,
            versionInfo,
            nonce,
            resources: all.map(({ bytes }) => ({ typeUrl, value: bytes })),
          })
          expectMessage(DiscoveryResponseSchema, stateResponse(typeUrl, versionInfo, nonce, all), expected)
        },
      ),
    )
  })
})
