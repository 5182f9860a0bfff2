import { describe, expect, it } from 'vitest'
import { Incremental, type Query } from './incremental.ts'

const parity: Query<string> = {
  name: 'parity',
  compute: (key, read) => ((read.input<number>(key) ?? 0) % 2 === 0 ? 'even' : 'odd'),
}
const both: Query<string> = {
  name: 'both',
  compute: (key, read) =>
    key
      .split('+')
      .map(one => read.ask(parity, one))
      .join(),
}

describe('incremental answers', () => {
  it('are made again only when what they read came out different', () => {
    const made = new Incremental()
    made.put('a', 1)
    made.put('b', 2)
    expect(made.ask(both, 'a+b')).toBe('odd,even')
    expect(made.settle()).toEqual(['both a+b', 'parity a', 'parity b'])
    made.put('a', 3)
    expect(made.touched(both)).toEqual(['a+b'])
    expect(made.ask(both, 'a+b')).toBe('odd,even')
    expect(made.settle()).toEqual(['parity a'])
    made.put('a', 4)
    expect(made.ask(both, 'a+b')).toBe('even,even')
    expect(made.settle()).toEqual(['parity a', 'both a+b'])
  })

  it('are not touched by an input that is put in as it is', () => {
    const made = new Incremental()
    made.put('a', 1)
    made.ask(parity, 'a')
    made.settle()
    made.put('a', 1)
    expect(made.touched(parity)).toEqual([])
  })

  it('follow what they read now, not what they read once', () => {
    const choice: Query<unknown> = {
      name: 'choice',
      compute: (_key, read) => (read.input('first') ? read.input('a') : read.input('b')),
    }
    const made = new Incremental()
    made.put('first', true)
    made.put('a', 'A')
    made.ask(choice, '')
    made.put('first', false)
    made.ask(choice, '')
    made.settle()
    made.put('a', 'other')
    expect(made.touched(choice)).toEqual([])
    made.put('b', 'B')
    expect(made.ask(choice, '')).toBe('B')
  })

  it('can be forgotten, with those that only they had asked for', () => {
    const made = new Incremental()
    made.put('a', 1)
    made.ask(both, 'a+b')
    made.settle()
    made.forget(both, 'a+b')
    made.put('a', 2)
    expect(made.touched(parity)).toEqual([])
    expect(made.ask(both, 'a+b')).toBe('even,even')
  })
})
