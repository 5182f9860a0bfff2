import { describe, expect, it } from 'vitest'
import type { HubSpan } from './hub-inputs.ts'
import { TraceStore } from './trace-store.ts'

const hex = (n: number, length: number) => n.toString(16).padStart(length, '0')
const span = (trace: number, id: number, parent: number, more: Partial<HubSpan> = {}): HubSpan => ({
  traceId: hex(trace, 32),
  spanId: hex(id, 16),
  parentSpanId: parent === 0 ? '' : hex(parent, 16),
  name: `span ${id}`,
  kind: 'server',
  startUs: 1_000_000 * trace + id * 1000,
  durationUs: 5000,
  service: `service${id}`,
  error: false,
  attributes: {},
  ...more,
})

describe('the trace store', () => {
  it('puts spans that came in any order into their tree', () => {
    const store = new TraceStore()
    store.add([span(1, 4, 2), span(1, 3, 1)])
    store.add([span(1, 1, 0, { durationUs: 9000 }), span(1, 2, 1, { error: true })])
    const trace = store.get(hex(1, 32))
    expect(trace?.spanList.map(({ name, depth }) => `${depth} ${name}`)).toEqual([
      '0 span 1',
      '1 span 2',
      '2 span 4',
      '1 span 3',
    ])
    expect(trace).toMatchObject({ root: 'service1', spans: 4, error: true, startedAt: 1001, durationMs: 9 })
  })

  it('shows spans that are their own ancestors once', () => {
    const store = new TraceStore()
    store.add([span(1, 1, 2), span(1, 2, 1), span(1, 3, 3)])
    expect(store.get(hex(1, 32))?.spanList).toHaveLength(3)
  })

  it('lists the newest first, and names a call by what was asked for', () => {
    const store = new TraceStore()
    const attributes = { 'http.method': 'GET', 'http.url': 'http://web:80/products?id=1' }
    store.add([span(1, 1, 0), span(2, 1, 0, { attributes })])
    expect(store.list(10).map(({ operation }) => operation)).toEqual(['GET /products?id=1', 'span 1'])
    expect(store.list(1)).toHaveLength(1)
  })

  it('keeps no more traces, spans and spans of one trace than it may', () => {
    const store = new TraceStore({ traces: 3, spans: 10, spansPerTrace: 4 })
    for (let id = 1; id <= 9; id++) store.add([span(1, id, 0)])
    expect(store.get(hex(1, 32))?.spans).toBe(4)
    for (let id = 1; id <= 4; id++) store.add([span(2, id, 0)])
    store.add([span(3, 1, 0), span(3, 2, 0)])
    expect(store.list(10)).toHaveLength(3)
    // The eleventh span: the oldest trace makes room.
    store.add([span(3, 3, 0)])
    expect(store.list(10).map(({ id }) => id)).toEqual([hex(3, 32), hex(2, 32)])
    store.add([span(4, 1, 0), span(5, 1, 0)])
    expect(store.list(10).map(({ id }) => id)).toEqual([hex(5, 32), hex(4, 32), hex(3, 32)])
    // The same span again is none more.
    for (let n = 0; n < 20; n++) store.add([span(5, 1, 0)])
    expect(store.list(10)).toHaveLength(3)
  })

  it('keeps a bounded part of what a span says', () => {
    const store = new TraceStore()
    const attributes = Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`a${n}`, 'é'.repeat(5000)]))
    store.add([span(1, 1, 0, { attributes, name: 'n'.repeat(5000), durationUs: -5 })])
    const [kept] = store.get(hex(1, 32))?.spanList ?? []
    expect(Object.keys(kept?.attributes ?? {})).toHaveLength(64)
    expect(kept?.attributes['a3']).toBe('é'.repeat(1024))
    expect(kept?.name).toHaveLength(1024)
    expect(kept?.durationMs).toBe(0)
  })
})
