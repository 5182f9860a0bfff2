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
import { NameTable } from './name-table.ts'
import { PilotStream as AgentStream } from './pilot-stream.ts'
import { readSettings } from './settings.ts'

const TYPE = 'type.googleapis.com/seine.nds.v1.NameTable'
const settings = readSettings({
  POD_NAME: 'web-1',
  POD_NAMESPACE: 'shop',
  INSTANCE_IP: '10.0.0.1',
  CA_ADDR: 'ca:1',
  XDS_ADDR: 'xds:1',
  TOKEN_FILE: 'token',
  ROOT_CERT_FILE: 'root',
  RUN_DIR: 'run',
})

type Names = Readonly<
  Record<string, { readonly ips: readonly string[]; readonly aliases: readonly string[] }>
>

/** Pilot's end of the agent's stream. */
class PilotStream extends EventEmitter {
  readonly requests: DeltaDiscoveryRequest[] = []

  write(message: Buffer): void {
    this.requests.push(fromBinary(DeltaDiscoveryRequestSchema, message))
  }

  cancel(): void {}

  sends(names: Names, removed: readonly string[] = [], version = '1'): void {
    const encoder = new TextEncoder()
    const resources = Object.entries(names).map(([name, entry]) => ({
      name,
      version,
      resource: { typeUrl: TYPE, value: encoder.encode(JSON.stringify(entry)) },
    }))
    const init = {
      typeUrl: TYPE,
      nonce: `n${this.requests.length}`,
      resources,
      removedResources: [...removed],
    }
    this.emit(
      'data',
      Buffer.from(toBinary(DeltaDiscoveryResponseSchema, create(DeltaDiscoveryResponseSchema, init))),
    )
  }
}

describe('NameTable', () => {
  const clock = new FakeClock()
  let streams: PilotStream[]
  let table: NameTable
  let own: AgentStream

  const stream = async (count: number): Promise<PilotStream> => {
    await vi.waitFor(() => expect(streams).toHaveLength(count))
    return streams[count - 1] as PilotStream
  }

  beforeEach(() => {
    if (!settings.ok) throw new Error(settings.error)
    streams = []
    const open = () => {
      const made = new PilotStream()
      streams.push(made)
      return made
    }
    table = new NameTable()
    own = new AgentStream(
      {
        settings: settings.value,
        client: { makeBidiStreamRequest: open } as unknown as Client,
        authorize: async () => new Metadata(),
        clock,
        logger: silentLogger,
      },
      [table],
    )
    own.start()
  })

  it('answers full names and aliases, whatever their case, and acknowledges', async () => {
    const pilot = await stream(1)
    expect(table.loaded).toBe(false)
    pilot.sends({
      'reviews.shop.svc.cluster.local': { ips: ['10.96.0.1'], aliases: ['reviews.shop', 'reviews'] },
    })
    expect(table.loaded).toBe(true)
    for (const name of ['reviews.shop.svc.cluster.local', 'Reviews.Shop', 'reviews.'])
      expect(table.lookUp(name)).toEqual(['10.96.0.1'])
    expect(table.lookUp('ratings')).toBeUndefined()
    expect(pilot.requests.map(({ responseNonce }) => responseNonce)).toEqual(['', 'n1'])
  })

  it('answers names that a wildcard covers, as long as there is one, by the longest', async () => {
    const pilot = await stream(1)
    pilot.sends({
      '*.example.com': { ips: ['240.240.0.1'], aliases: [] },
      '*-api.example.com': { ips: ['240.240.0.2'], aliases: [] },
      'www.example.com': { ips: ['240.240.0.3'], aliases: [] },
    })
    const asked = ['a.b.Example.com.', 'shop-api.example.com', 'www.example.com', 'example.com']
    expect(asked.map(name => table.lookUp(name))).toEqual([
      ['240.240.0.1'],
      ['240.240.0.2'],
      ['240.240.0.3'],
      undefined,
    ])
    pilot.sends({}, ['*.example.com', '*-api.example.com'])
    expect(asked.map(name => table.lookUp(name))).toEqual([undefined, undefined, ['240.240.0.3'], undefined])
  })

  it('takes single names in and out and leaves the others', async () => {
    const pilot = await stream(1)
    pilot.sends({
      'a.shop.svc.cluster.local': { ips: ['10.96.0.1'], aliases: ['a'] },
      'b.shop.svc.cluster.local': { ips: ['10.96.0.2'], aliases: ['b'] },
    })
    pilot.sends({ 'c.shop.svc.cluster.local': { ips: ['10.96.0.3'], aliases: ['c'] } })
    pilot.sends({ 'b.shop.svc.cluster.local': { ips: ['10.96.0.9'], aliases: [] } }, [
      'a.shop.svc.cluster.local',
    ])
    expect(
      ['a', 'a.shop.svc.cluster.local', 'b', 'b.shop.svc.cluster.local', 'c'].map(n => table.lookUp(n)),
    ).toEqual([undefined, undefined, undefined, ['10.96.0.9'], ['10.96.0.3']])
  })

  it('prefers a full name to an alias, and of two hosts with one alias the first by name until it is gone', async () => {
    const pilot = await stream(1)
    pilot.sends({
      'web.shop.svc.cluster.local': { ips: ['10.96.0.1'], aliases: ['web.shop', 'shop'] },
      'web.shop': { ips: ['192.0.2.1'], aliases: ['shop'] },
    })
    expect(table.lookUp('web.shop')).toEqual(['192.0.2.1'])
    expect(table.lookUp('shop')).toEqual(['192.0.2.1'])
    pilot.sends({}, ['web.shop'])
    expect(table.lookUp('web.shop')).toEqual(['10.96.0.1'])
    expect(table.lookUp('shop')).toEqual(['10.96.0.1'])
  })

  it('keeps what it knows while pilot is away, and comes back with the versions it has', async () => {
    const pilot = await stream(1)
    pilot.sends({ 'a.shop.svc.cluster.local': { ips: ['10.96.0.1'], aliases: ['a'] } }, [], 'v7')
    pilot.emit('end')
    expect(table.lookUp('a')).toEqual(['10.96.0.1'])
    clock.advance(1000)
    const again = await stream(2)
    expect(again.requests[0]).toMatchObject({
      resourceNamesSubscribe: ['*'],
      initialResourceVersions: { 'a.shop.svc.cluster.local': 'v7' },
    })
    again.sends({}, ['a.shop.svc.cluster.local'])
    expect(table.lookUp('a')).toBeUndefined()
  })

  it.each<[string, (pilot: PilotStream) => void]>([
    ['what is no response', pilot => pilot.emit('data', Buffer.from([255, 255, 255]))],
    ['an entry without addresses', pilot => pilot.sends({ 'b.shop.svc.cluster.local': {} as never })],
  ])('refuses %s, keeps what it knows, and takes the next', async (_name, send) => {
    const pilot = await stream(1)
    const a = { 'a.shop.svc.cluster.local': { ips: ['10.96.0.1'], aliases: [] } }
    pilot.sends(a)
    send(pilot)
    expect(table.lookUp('a.shop.svc.cluster.local')).toEqual(['10.96.0.1'])
    expect(pilot.requests.at(-1)?.errorDetail?.message).toMatch(/./)
    pilot.sends({}, ['a.shop.svc.cluster.local'])
    expect(table.lookUp('a.shop.svc.cluster.local')).toBeUndefined()
    expect(pilot.requests.at(-1)?.errorDetail).toBeUndefined()
  })

  it('opens nothing more once it is closed', async () => {
    const pilot = await stream(1)
    pilot.emit('end')
    // Closed while the token is being read.
    clock.advance(1000)
    own.close()
    await new Promise(setImmediate)
    expect(streams).toHaveLength(1)
  })
})
