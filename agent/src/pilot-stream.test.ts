import { EventEmitter } from 'node:events'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { type Client, Metadata } from '@grpc/grpc-js'
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
} from '@seine/envoy/envoy/service/discovery/v3/discovery'
import { FakeClock, silentLogger } from '@seine/kit'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { testSettings } from '../test/settings.ts'
import { PilotStream, type Subscription } from './pilot-stream.ts'

const HEALTH = 'type.googleapis.com/istio.v1.HealthInformation'

/** Pilot's end of the stream. */
class PilotEnd extends EventEmitter {
  readonly requests: DeltaDiscoveryRequest[] = []

  write(message: Buffer): void {
    this.requests.push(fromBinary(DeltaDiscoveryRequestSchema, message))
  }

  cancel(): void {}

  sends(typeUrl: string, nonce: string): void {
    const response = create(DeltaDiscoveryResponseSchema, { typeUrl, nonce })
    this.emit('data', Buffer.from(toBinary(DeltaDiscoveryResponseSchema, response)))
  }
}

describe('PilotStream', () => {
  const clock = new FakeClock()
  let ends: PilotEnd[]
  let taken: string[]
  let stream: PilotStream

  const subscription = (type: string): Subscription => ({
    type,
    versions: () => ({ [`${type}-one`]: '7' }),
    take: ({ nonce }) => {
      taken.push(`${type} ${nonce}`)
      if (nonce === 'bad') throw new Error('no sense')
    },
  })
  const pilot = async (count = 1): Promise<PilotEnd> => {
    await vi.waitFor(() => expect(ends).toHaveLength(count))
    return ends[count - 1] as PilotEnd
  }

  /** What came after the subscriptions: type, nonce and error. */
  const briefly = ({ requests }: PilotEnd) =>
    requests
      .slice(2)
      .map(({ typeUrl, responseNonce, errorDetail }) => `${typeUrl} ${responseNonce} ${errorDetail?.message}`)

  beforeEach(() => {
    ends = []
    taken = []
    const open = () => {
      const end = new PilotEnd()
      ends.push(end)
      return end
    }
    const options = {
      settings: testSettings({ group: 'vms' }),
      client: { makeBidiStreamRequest: open } as unknown as Client,
      authorize: async () => new Metadata(),
      clock,
      logger: silentLogger,
    }
    stream = new PilotStream(options, [subscription('a'), subscription('b')])
    stream.start()
  })

  it('asks for all of each type, saying who it is and what it has, and answers each by its type', async () => {
    const end = await pilot()
    expect(end.requests).toMatchObject([
      {
        typeUrl: 'a',
        resourceNamesSubscribe: ['*'],
        initialResourceVersions: { 'a-one': '7' },
        node: { metadata: { AUTO_REGISTER_GROUP: 'vms' } },
      },
      { typeUrl: 'b', initialResourceVersions: { 'b-one': '7' } },
    ])
    end.sends('b', 'n1')
    end.sends('a', 'bad')
    expect(taken).toEqual(['b n1', 'a bad'])
    expect(briefly(end)).toEqual(['b n1 undefined', 'a bad no sense'])
  })

  it('tells how the workload is as Istio does, and again when the stream comes again', async () => {
    const first = await pilot()
    stream.report({ healthy: true, reason: '' })
    stream.report({ healthy: false, reason: 'no answer' })
    expect(briefly(first)).toEqual([`${HEALTH}  undefined`, `${HEALTH}  no answer`])
    first.emit('end')
    stream.report({ healthy: true, reason: '' })
    clock.advance(1000)
    const second = await pilot(2)
    expect(briefly(second)).toEqual([`${HEALTH}  undefined`])
    second.emit('end')
    stream.report(undefined)
    clock.advance(1000)
    expect((await pilot(3)).requests).toHaveLength(2)
  })
})
