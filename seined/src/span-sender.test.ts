import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Logger } from '@seine/kit'
import type { ReceivedSpan } from '@seine/mixer-telemetry'
import { eventually } from '@seine/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SpanSender, spansTo } from './span-sender.ts'

const SOON = { everyMs: 5 }
let hub: Server
let url: string
/** How many spans came with each call. */
let calls: number[]
let answer: (response: ServerResponse) => void
let lines: string[]

const note = (fields: unknown, message?: string) =>
  void lines.push(message ? `${message} ${JSON.stringify(fields)}` : String(fields))
const logger = { warn: note, info: note } as unknown as Logger

beforeEach(async () => {
  calls = []
  lines = []
  answer = response => response.end('{}')
  hub = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      calls.push((JSON.parse(Buffer.concat(chunks).toString()) as unknown[]).length)
      answer(response)
    })
  })
  await new Promise<void>(resolve => hub.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(hub.address() as AddressInfo).port}`
})
afterEach(async () => {
  hub.closeAllConnections()
  await new Promise(resolve => hub.close(resolve))
})

function spans(count: number, more: Partial<ReceivedSpan> = {}): ReceivedSpan[] {
  return Array.from({ length: count }, (_, n) => ({
    traceId: n.toString(16).padStart(32, '0'),
    spanId: n.toString(16).padStart(16, '0'),
    parentSpanId: '',
    name: 'GET /',
    kind: 'server' as const,
    startUs: 1,
    durationUs: 1,
    service: 'web',
    error: false,
    attributes: {},
    ...more,
  }))
}

describe('the span sender', () => {
  it('sends what comes, in calls of a bounded size, one at a time', async () => {
    const waiting: ServerResponse[] = []
    answer = response => void waiting.push(response)
    const sender = new SpanSender(url, logger)
    sender.send(spans(1))
    await eventually(() => expect(calls).toEqual([1]), SOON)
    sender.send(spans(1500))
    sender.send(spans(1000))
    waiting.shift()?.end('{}')
    await eventually(() => expect(calls).toEqual([1, 1000]), SOON)
    answer = response => response.end('{}')
    waiting.shift()?.end('{}')
    await eventually(() => expect(calls).toEqual([1, 1000, 1000, 500]), SOON)
    expect(lines).toEqual([])
  })

  it('drops the oldest when the hub is too slow, and tells how many', async () => {
    const waiting: ServerResponse[] = []
    answer = response => void waiting.push(response)
    const sender = new SpanSender(url, logger)
    sender.send(spans(1))
    await eventually(() => expect(waiting).toHaveLength(1), SOON)
    for (let n = 0; n < 3; n++) sender.send(spans(10_000))
    answer = response => response.end('{}')
    waiting[0]?.end('{}')
    await eventually(() => expect(calls.reduce((sum, count) => sum + count)).toBe(20_001), SOON)
    await eventually(() => expect(lines).toHaveLength(2), SOON)
    expect(lines[0]).toContain('spans are dropped {"reason":"the hub is slower than spans come"')
    expect(lines[1]).toContain('the hub takes spans again {"dropped":10000')
  })

  it('goes on after a refusal, told once with its reason', async () => {
    answer = response => response.writeHead(400).end('{"error":"body/0 must be object"}')
    const sender = new SpanSender(url, logger)
    sender.send(spans(1))
    sender.send(spans(2))
    await eventually(() => expect(calls).toEqual([1, 2]), SOON)
    answer = response => response.end('{}')
    await eventually(() => {
      sender.send(spans(1))
      expect(lines).toHaveLength(2)
    }, SOON)
    expect(lines[0]).toContain('it answered 400: {\\"error\\":\\"body/0 must be object\\"}')
    expect(lines[1]).toContain('the hub takes spans again {"dropped":3')
  })

  it('says so when nobody is there', async () => {
    const sender = new SpanSender('http://127.0.0.1:1', logger)
    sender.send(spans(1))
    await eventually(() => expect(lines[0]).toMatch(/^spans are dropped /), SOON)
  })

  it('keeps back what belongs to no trace', async () => {
    const sender = new SpanSender(url, logger)
    sender.send([...spans(1, { traceId: '' }), ...spans(1, { spanId: '' }), ...spans(1, { durationUs: -1 })])
    sender.send(spans(2))
    await eventually(() => expect(calls).toEqual([2]), SOON)
  })

  it('is none without a hub', () => {
    spansTo(undefined, logger)(spans(1))
    expect(lines).toEqual(['no hub is given: spans are received and dropped'])
  })
})
