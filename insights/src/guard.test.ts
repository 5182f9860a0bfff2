import { describe, expect, it } from 'vitest'
import { type Asked, refusal } from './guard.ts'

const HOSTS = ['localhost', '127.0.0.1', '::1', 'mesh.example.com']
const asked = (headers: Asked['headers'], more: Partial<Asked> = {}) =>
  refusal(
    { method: 'GET', path: '/api/v1/graph', ...more, headers: { host: 'localhost:15080', ...headers } },
    HOSTS,
  )

describe('refusal', () => {
  it('lets those in who ask for this machine or the configured host by name', () => {
    for (const host of ['localhost:15080', 'LOCALHOST', '127.0.0.1:15080', '[::1]:15080', 'mesh.example.com'])
      expect(asked({ host })).toBeUndefined()
  })

  it('refuses names that someone else points here, on pages and API alike', () => {
    for (const host of [
      'evil.example.com',
      'localhost.evil.com',
      '127.0.0.1.evil.com',
      'a@localhost',
      '',
      'x y',
    ])
      for (const path of ['/', '/api/v1/graph'])
        expect(asked({ host }, { path })).toBe(`the host "${host}" is not served here`)
  })

  it('refuses what pages of other origins ask for', () => {
    const origin = 'https://evil.example.com'
    expect(asked({ origin })).toBe(`pages of ${origin} may not read anything here`)
    expect(asked({ origin }, { method: 'POST' })).toBe(`pages of ${origin} may not change anything here`)
    expect(asked({ origin: 'null' })).toBeDefined()
    expect(asked({ origin: 'http://localhost.evil.com' })).toBeDefined()
    expect(asked({ 'sec-fetch-site': 'cross-site' })).toBe('pages of other sites may not use this API')
    expect(asked({ 'sec-fetch-site': 'same-site' }, { method: 'POST' })).toBeDefined()
  })

  it('lets its own page, and programs, ask and tell', () => {
    const own = { origin: 'http://localhost:15080', 'sec-fetch-site': 'same-origin' }
    for (const method of ['GET', 'HEAD', 'POST']) {
      expect(asked(own, { method })).toBeUndefined()
      expect(asked({}, { method })).toBeUndefined()
    }
  })

  it('lets a page of this machine at another port read, but not tell', () => {
    const origin = 'http://localhost:5173'
    expect(asked({ origin })).toBeUndefined()
    expect(asked({ origin }, { method: 'POST' })).toBeDefined()
  })

  it('lets links from elsewhere lead to pages', () => {
    expect(asked({ 'sec-fetch-site': 'cross-site' }, { path: '/services' })).toBeUndefined()
  })
})
