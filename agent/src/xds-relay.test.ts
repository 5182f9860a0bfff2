import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Client,
  type ClientDuplexStream,
  Metadata,
  Server,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import { silentLogger } from '@seine/kit'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  type AdsCall,
  type ControlPlane,
  listen,
  plainClient,
  same,
  startControlPlane,
  tokenOf,
} from '../test/control-plane.ts'
import { addXdsRelay } from './xds-relay.ts'

const ADS = '/envoy.service.discovery.v3.AggregatedDiscoveryService/'
/** What pilot saw of a stream. */
interface Seen {
  readonly call: AdsCall
  readonly method: string
  readonly token: string
  readonly messages: string[]
  ended: boolean
}

let folder: string
let pilot: ControlPlane
let upstream: Client
let envoy: Client
let agent: Server
let seen: Seen[]
let connected: boolean[]
let authorize: () => Promise<Metadata>

function onStream(call: AdsCall, method: string): void {
  const stream: Seen = { call, method, token: tokenOf(call), messages: [], ended: false }
  seen.push(stream)
  call.on('data', (message: Buffer) => {
    stream.messages.push(message.toString())
    call.write(Buffer.from(`re: ${message}`))
  })
  call.on('cancelled', () => {
    stream.ended = true
  })
  call.on('error', () => {})
}

beforeEach(async () => {
  seen = []
  connected = []
  let reads = 0
  authorize = async () => {
    const metadata = new Metadata()
    metadata.set('authorization', `Bearer token-${++reads}`)
    return metadata
  }
  pilot = await startControlPlane({ onStream })
  upstream = plainClient(`127.0.0.1:${pilot.port}`)
  folder = await mkdtemp(join(tmpdir(), 'seine-relay-'))
  agent = new Server({ 'grpc.max_receive_message_length': -1 })
  addXdsRelay(agent, {
    client: upstream,
    authorize: () => authorize(),
    logger: silentLogger,
    onConnected: is => connected.push(is),
  })
  await listen(agent, `unix:${folder}/agent.sock`)
  envoy = plainClient(`unix:${folder}/agent.sock`)
})

afterEach(async () => {
  envoy.close()
  upstream.close()
  agent.forceShutdown()
  pilot.stop()
  await rm(folder, { recursive: true })
})

/** A stream of Envoy's. */
class EnvoyStream {
  readonly arrived: string[] = []
  readonly over: Promise<ServiceError>
  readonly stream: ClientDuplexStream<Buffer, Buffer>

  constructor(method = 'DeltaAggregatedResources') {
    this.stream = envoy.makeBidiStreamRequest(ADS + method, same, same, new Metadata())
    this.stream.on('data', (message: Buffer) => this.arrived.push(message.toString()))
    this.over = new Promise(resolve => this.stream.on('error', resolve))
  }

  send(...messages: string[]): void {
    for (const message of messages) this.stream.write(Buffer.from(message))
  }
}

function eventually(check: () => void): Promise<void> {
  return vi.waitFor(check, { interval: 2, timeout: 20_000 })
}

describe('the xDS relay', () => {
  it.each([
    'DeltaAggregatedResources',
    'StreamAggregatedResources',
  ])('passes the messages of %s on as they are, both ways and in order, with the token of the workload', async method => {
    const stream = new EnvoyStream(method)
    stream.send('one', 'two')
    await eventually(() => expect(stream.arrived).toEqual(['re: one', 're: two']))
    expect(seen.map(one => [one.method, one.token, one.messages])).toEqual([
      [method, 'token-1', ['one', 'two']],
    ])
    expect(connected[0]).toBe(true)
  })

  it('holds what Envoy sends until the token has been read', async () => {
    const readers: ((metadata: Metadata) => void)[] = []
    authorize = () => new Promise(resolve => readers.push(resolve))
    const stream = new EnvoyStream()
    stream.send('one', 'two')
    await eventually(() => expect(readers.length).toBe(1))
    // By the time another stream that was opened later is served, both have arrived.
    authorize = async () => new Metadata()
    const other = new EnvoyStream()
    other.send('three')
    await eventually(() => expect(other.arrived).toEqual(['re: three']))
    expect(seen.map(one => one.messages)).toEqual([['three']])
    readers[0]?.(new Metadata())
    await eventually(() => expect(stream.arrived).toEqual(['re: one', 're: two']))
  })

  it('tells Envoy when pilot is lost, and serves its next stream when pilot is back', async () => {
    const first = new EnvoyStream()
    first.send('what I want')
    await eventually(() => expect(first.arrived.length).toBe(1))
    pilot.stop()
    expect((await first.over).code).toBe(status.UNAVAILABLE)
    expect(connected).toEqual([true, false])

    // Envoy asks again and again; it is told at once that there is no pilot.
    const between = new EnvoyStream()
    between.send('what I want')
    expect((await between.over).code).toBe(status.UNAVAILABLE)

    pilot = await startControlPlane({ onStream, port: pilot.port })
    let last: EnvoyStream | undefined
    await vi.waitFor(
      async () => {
        last = new EnvoyStream()
        last.send('what I want', 'and have')
        await vi.waitFor(() => expect(last?.arrived.length).toBe(2), { interval: 2, timeout: 200 })
      },
      { interval: 20, timeout: 20_000 },
    )
    expect(seen.at(-1)?.messages).toEqual(['what I want', 'and have'])
    expect(connected.at(-1)).toBe(true)
    expect(seen.at(-1)?.token).not.toBe('token-1')
  })

  it('ends the stream to pilot when Envoy ends its own', async () => {
    const stream = new EnvoyStream()
    stream.send('one')
    await eventually(() => expect(stream.arrived.length).toBe(1))
    stream.stream.cancel()
    await eventually(() => expect(seen[0]?.ended).toBe(true))
  })

  it("passes pilot's reason on when it turns the workload away", async () => {
    const stream = new EnvoyStream()
    stream.send('one')
    await eventually(() => expect(stream.arrived.length).toBe(1))
    seen[0]?.call.emit('error', { code: status.PERMISSION_DENIED, details: 'this token is for another' })
    expect(await stream.over).toMatchObject({
      code: status.UNAVAILABLE,
      details: 'this token is for another',
    })
  })

  it('says so when the token can not be read, and reads it again the next time', async () => {
    const readable = authorize
    authorize = () => Promise.reject(new Error('ENOENT: no such file, token'))
    const stream = new EnvoyStream()
    stream.send('one')
    expect(await stream.over).toMatchObject({
      code: status.UNAVAILABLE,
      details: "the workload's token can't be read: ENOENT: no such file, token",
    })
    authorize = readable
    const next = new EnvoyStream()
    next.send('two')
    await eventually(() => expect(next.arrived).toEqual(['re: two']))
  })

  it('lets pilot wait for an Envoy that does not read, and loses nothing', async () => {
    const stream = new EnvoyStream()
    stream.send('one')
    await eventually(() => expect(stream.arrived.length).toBe(1))
    stream.stream.pause()
    const [{ call }] = seen as [Seen]
    const large = 'x'.repeat(200_000)
    let written = 0
    // A pilot writes until it is told that the transport is full, then when it is told to go on.
    const writeOn = () => {
      while (written < 400) {
        written++
        if (!call.write(Buffer.from(`${written} ${large}`))) return
      }
    }
    call.on('drain', writeOn)
    writeOn()
    // All that can has flowed when no more does while another stream is served for a while.
    const other = new EnvoyStream()
    for (let before = -1; before !== written; ) {
      before = written
      for (let turn = 1; turn <= 20; turn++) {
        const answers = other.arrived.length
        other.send('still there?')
        await eventually(() => expect(other.arrived.length).toBe(answers + 1))
      }
    }
    expect(written).toBeLessThan(300)
    stream.stream.resume()
    await eventually(() => expect(stream.arrived.length).toBe(401))
    expect(stream.arrived.slice(1).map(text => Number(text.split(' ')[0]))).toEqual(
      Array.from({ length: 400 }, (_, at) => at + 1),
    )
  })
})
