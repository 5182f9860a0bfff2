import { describe, expect, it } from 'vitest'
import { requests, sidecarLines } from '../test/metrics-text.ts'
import { MetricsReader, parsePrometheus } from './prometheus-text.ts'

const WANTED = new Set([
  'a',
  'b_bucket',
  'istio_requests_total',
  'istio_request_duration_milliseconds_bucket',
])

function inPieces(text: string, size: number) {
  const reader = new MetricsReader(WANTED)
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size))
  reader.end()
  return reader.samples
}

describe('MetricsReader', () => {
  it('reads labels, values and bounds of the wanted families', () => {
    const text =
      '# TYPE a counter\na{x="1",y="a \\"b\\" \\\\ c\\nd, }{ ü"} 3\nother{x="1"} 4\na 5 1700000000\nab 6\n\na{} +Inf\nb_bucket{x="1",le="0.5"} 7\nb_bucket{x="1",le="+Inf"} 8'
    expect(parsePrometheus(text, WANTED)).toEqual([
      { name: 'a', labels: { x: '1', y: 'a "b" \\ c\nd, }{ ü' }, le: undefined, value: 3 },
      { name: 'a', labels: {}, le: undefined, value: 5 },
      { name: 'a', labels: {}, le: undefined, value: Number.POSITIVE_INFINITY },
      { name: 'b_bucket', labels: { x: '1' }, le: 0.5, value: 7 },
      { name: 'b_bucket', labels: { x: '1' }, le: Number.POSITIVE_INFINITY, value: 8 },
    ])
  })

  it('takes a bound wherever it stands among the labels', () => {
    const bounds = parsePrometheus('b_bucket{le="5"} 1\nb_bucket{x="1",le="6",y="2"} 2', WANTED)
    expect(bounds).toEqual([
      { name: 'b_bucket', labels: {}, le: 5, value: 1 },
      { name: 'b_bucket', labels: { x: '1', y: '2' }, le: 6, value: 2 },
    ])
  })

  it('passes over what is no sample', () => {
    expect(parsePrometheus('a\na{x="1"\na{x="1"} \na{x="1"} many\n{x="1"} 1\n', WANTED)).toEqual([])
  })

  it('reads the same in pieces of any size', () => {
    const text = `${sidecarLines()}${requests(5, { reporter: 'source', from: 'web-v1', to: 'details-v1', service: 'détails' })}`
    const whole = parsePrometheus(text, WANTED)
    expect(whole).toHaveLength(21)
    for (const size of [1, 2, 7, 100, 1021]) expect(inPieces(text, size)).toEqual(whole)
  })

  it('reads the labels of a histogram once', () => {
    const samples = parsePrometheus(requests(5, { reporter: 'source', from: 'web-v1' }), WANTED)
    expect(samples).toHaveLength(21)
    expect(new Set(samples.map(({ labels }) => labels)).size).toBe(1)
  })

  it('refuses a line without end, and more samples than a sidecar has', () => {
    const reader = new MetricsReader(WANTED)
    expect(() => {
      for (let n = 0; n < 100; n++) reader.push(Buffer.alloc(1024, 'a'))
    }).toThrow('longer than 8 KiB')
    expect(() => parsePrometheus(`a{x="${'y'.repeat(10_000)}"} 1\n`, WANTED)).toThrow('longer than 8 KiB')
    expect(parsePrometheus(`unwanted{x="${'y'.repeat(10_000)}"} 1\n`, WANTED)).toEqual([])
    const lines = Buffer.from('a 1\n'.repeat(1000))
    const many = new MetricsReader(WANTED)
    expect(() => {
      for (let n = 0; n < 1000; n++) many.push(lines)
    }).toThrow('more than 200000 samples')
  })
})
