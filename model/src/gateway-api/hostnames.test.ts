import { describe, expect, it } from 'vitest'
import { servedHosts } from './hostnames.ts'

describe('hosts of a route at a listener', () => {
  it.each([
    ['*', [], ['*']],
    ['*', ['a.example'], ['a.example']],
    ['a.example', [], ['a.example']],
    ['a.example', ['a.example', 'b.example'], ['a.example']],
    [
      '*.example',
      ['a.example', 'a.b.example', 'example', '*.c.example'],
      ['a.example', 'a.b.example', '*.c.example'],
    ],
    ['a.b.example', ['*.example', '*.b.example'], ['a.b.example']],
    ['*.b.example', ['*.example'], ['*.b.example']],
    ['*.example', ['*.other'], []],
    ['a.example', ['b.example'], []],
  ])('%s with %j are %j', (listener, route, hosts) => {
    expect(servedHosts(listener, route)).toEqual(hosts)
  })
})
