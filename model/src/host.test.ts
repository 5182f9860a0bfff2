import { describe, expect, it } from 'vitest'
import { findService, hostAliases, hostCovers, resolveHost } from './host.ts'

describe('resolveHost', () => {
  it.each([
    ['web', 'web.a.svc.cluster.local'],
    ['WEB', 'web.a.svc.cluster.local'],
    ['web.b', 'web.b'],
    ['web.b.svc.cluster.local.', 'web.b.svc.cluster.local'],
    ['Example.COM', 'example.com'],
    ['*.Example.com', '*.example.com'],
    ['*', '*'],
    ['2001:DB8::1', '2001:db8::1'],
    ['10.0.0.1', '10.0.0.1'],
  ])('%s in namespace a is %s', (host, full) => {
    expect(resolveHost(host, 'a')).toBe(full)
  })
})

describe('hostCovers', () => {
  it.each([
    ['example.com', 'example.com', true],
    ['*.example.com', 'www.example.com', true],
    ['*.example.com', 'a.b.example.com', true],
    ['*.example.com', 'example.com', false],
    ['*.example.com', 'badexample.com', false],
    ['*', 'anything', true],
    ['example.com', 'www.example.com', false],
    ['*-api.example.com', 'shop-api.example.com', true],
    ['*-api.example.com', 'shop.example.com', false],
  ])('%s and %s: %s', (pattern, host, covers) => {
    expect(hostCovers(pattern, host)).toBe(covers)
  })
})

describe('findService', () => {
  const services = new Map(
    ['www.example.com', '*.example.com', '*-api.example.com', '*.com'].map(host => [host, host]),
  )
  it.each([
    ['www.example.com', 'www.example.com'],
    ['api.example.com', '*.example.com'],
    ['shop-api.example.com', '*-api.example.com'],
    ['a.b.example.com', '*.example.com'],
    ['example.com', '*.com'],
    ['example.org', undefined],
  ])('for %s is %s', (host, found) => {
    expect(findService(services, host)).toBe(found)
  })

  it('falls back to the one for any host', () => {
    expect(findService(new Map([['*', 'any']]), 'web')).toBe('any')
  })
})

describe('hostAliases', () => {
  it('are the shorter forms of a Kubernetes service’s name; the shortest in its own namespace only', () => {
    const full = 'web.a.svc.cluster.local'
    expect(hostAliases(full, 'a', 'b')).toEqual([full, 'web.a.svc', 'web.a'])
    expect(hostAliases(full, 'a', 'a')).toEqual([full, 'web.a.svc', 'web.a', 'web'])
  })

  it.each([
    'example.com',
    '*.a.svc.cluster.local',
    'x.web.a.svc.cluster.local',
  ])('of %s there are none', host => {
    expect(hostAliases(host, 'a', 'a')).toEqual([host])
  })
})
