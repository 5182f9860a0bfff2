import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { expect, it } from 'vitest'
import { recommendationsFor, reviewsOf } from '../books.ts'
import { escapeHtml, renderPage } from '../page.ts'
import { compose } from './answer.ts'
import { failed } from './http-client.ts'
import { askLine, serveLines } from './line-protocol.ts'
import { forwardedHeaders } from './trace.ts'

it('forwards the trace headers and nothing else', () => {
  const headers = {
    'x-request-id': 'r',
    traceparent: 't',
    b3: 'b',
    cookie: 'secret',
    authorization: 'secret',
    host: 'h',
  }
  expect(forwardedHeaders(headers)).toEqual({ 'x-request-id': 'r', traceparent: 't', b3: 'b' })
})

it('is well only if every part is, and tells who served and what failed', () => {
  const part = { ok: true, data: 1, servedBy: ['ratings-v1'], failures: [] }
  expect(compose('reviews-v2', 'x', [part])).toEqual({
    ok: true,
    data: 'x',
    servedBy: ['reviews-v2', 'ratings-v1'],
    failures: [],
  })
  expect(compose('page', 'x', [part, failed('details: refused')])).toMatchObject({
    ok: false,
    failures: ['details: refused'],
  })
})

it('shows stars only in versions that ask for ratings', () => {
  expect(reviewsOf(0)[0]).not.toHaveProperty('stars')
  expect(reviewsOf(0, { Reviewer1: 5 }, 'red')[0]).toMatchObject({ stars: 5, color: 'red' })
  expect(recommendationsFor(0).map(book => book.id)).toEqual([1, 2])
})

it('renders what is missing as missing, and text as text', () => {
  const page = renderPage({
    ok: false,
    data: { quote: '<script>' },
    servedBy: ['productpage-v1'],
    failures: ['reviews: <refused>'],
  })
  expect(page).toContain('not available right now')
  expect(page).toContain('reviews: &lt;refused&gt;')
  expect(page).not.toContain('<script>')
  expect(escapeHtml(`"'&`)).toBe('&quot;&#39;&amp;')
})

it('answers lines over TCP', async () => {
  const server = serveLines({ service: 's', version: 'v1', pod: 'p', port: 0 }, line => `OK ${line}`)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  expect(await askLine('127.0.0.1', port, 'STOCK 1')).toBe('OK STOCK 1')
  server.close()
  await once(server, 'close')
  await expect(askLine('127.0.0.1', port, 'STOCK 1')).rejects.toThrow(/ECONNREFUSED/)
})
