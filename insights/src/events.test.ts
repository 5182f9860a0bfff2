import { FakeClock } from '@seine/kit'
import { describe, expect, it } from 'vitest'
import { EventStreams } from './events.ts'

const text = (stream: { read(): Buffer | null }) => stream.read()?.toString() ?? ''
/** Streams tell that they are closed a little later. */
const settled = () => new Promise<void>(resolve => setImmediate(resolve))

describe('event streams', () => {
  it('give each client what happens after it came', () => {
    const streams = new EventStreams(new FakeClock())
    const first = streams.open()
    streams.send({ type: 'scrape', at: 1 })
    const second = streams.open()
    streams.send({ type: 'config', at: 2 })
    if (!first || !second) throw new Error('two clients are few')
    expect(text(first)).toBe(
      'retry: 2000\n\ndata: {"type":"scrape","at":1}\n\ndata: {"type":"config","at":2}\n\n',
    )
    expect(text(second)).toBe('retry: 2000\n\ndata: {"type":"config","at":2}\n\n')
  })

  it('beat while someone listens', async () => {
    const clock = new FakeClock()
    const streams = new EventStreams(clock)
    const client = streams.open()
    if (!client) throw new Error('one client is few')
    text(client)
    clock.advance(15_000)
    expect(text(client)).toBe(': alive\n\n')
    clock.advance(30_000)
    expect(text(client)).toBe(': alive\n\n: alive\n\n')
    client.destroy()
    await settled()
    expect(streams.clients).toBe(0)
    clock.advance(15_000)
    expect(clock.pending).toEqual([])
    expect(streams.open()).toBeDefined()
    expect(clock.pending).toEqual([15_000])
  })

  it('take a bounded number of clients, and forget those that go', async () => {
    const streams = new EventStreams(new FakeClock())
    const clients = Array.from({ length: 64 }, () => streams.open())
    expect(clients).not.toContain(undefined)
    expect(streams.open()).toBeUndefined()
    clients[7]?.destroy()
    await settled()
    expect(streams.open()).toBeDefined()
  })

  it('drop a client that does not read', async () => {
    const streams = new EventStreams(new FakeClock())
    streams.open()
    const reading = streams.open()
    reading?.resume()
    for (let at = 0; at < 5000; at++) {
      streams.send({ type: 'scrape', at })
      if (at % 100 === 0) await settled()
    }
    expect(streams.clients).toBe(1)
    expect(reading?.destroyed).toBe(false)
  })

  it('end with the hub', async () => {
    const clock = new FakeClock()
    const streams = new EventStreams(clock)
    const client = streams.open()
    client?.resume()
    const ended = new Promise<void>(resolve => client?.on('end', () => resolve()))
    streams.close()
    await ended
    expect(clock.pending).toEqual([])
  })
})
