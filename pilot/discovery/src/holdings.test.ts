import { TypeUrl } from '@seine/envoy'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HeldNames, Holdings, NameNumbers } from './holdings.ts'

describe('Holdings', () => {
  it('behave as maps, whatever others hold of the same names', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd', 'e')
    const step = fc.record({
      who: fc.nat(2),
      do: fc.constantFrom('set', 'set', 'delete', 'clear'),
      name,
      value: fc.string(),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        const numbers = new NameNumbers()
        const all = [0, 1, 2].map(() => ({
          held: new Holdings<string>(numbers),
          model: new Map<string, string>(),
        }))
        for (const one of steps) {
          const { held, model } = all[one.who] ?? {}
          if (!held || !model) continue
          if (one.do === 'set') {
            expect(held.set(one.name, one.value)).toBe(!model.has(one.name))
            model.set(one.name, one.value)
          } else if (one.do === 'delete') expect(held.delete(one.name)).toBe(model.delete(one.name))
          else {
            held.clear()
            model.clear()
          }
        }
        for (const { held, model } of all) {
          expect([...held.keys()].sort()).toEqual([...model.keys()].sort())
          expect(held.size).toBe(model.size)
          for (const key of ['a', 'b', 'c', 'd', 'e']) {
            expect(held.get(key)).toBe(model.get(key))
            expect(held.has(key)).toBe(model.has(key))
          }
        }
        expect(numbers.size).toBe(new Set(all.flatMap(({ model }) => [...model.keys()])).size)
      }),
    )
  })

  it('give the numbers of names that nobody holds to others', () => {
    const numbers = new NameNumbers()
    const one = new Holdings<true>(numbers)
    const other = new Holdings<true>(numbers)
    one.set('a', true)
    other.set('a', true)
    const number = numbers.of('a')
    one.clear()
    expect(numbers.of('a')).toBe(number)
    other.delete('a')
    expect(numbers.of('a')).toBeUndefined()
    one.set('b', true)
    expect(numbers.of('b')).toBe(number)
    expect(other.has('b')).toBe(false)
  })
})

describe('HeldNames', () => {
  it('number the names of each type apart', () => {
    const names = new HeldNames()
    expect(names.of(TypeUrl.cluster)).toBe(names.of(TypeUrl.cluster))
    expect(names.of(TypeUrl.cluster)).not.toBe(names.of(TypeUrl.endpoint))
    expect(names.of('unknown')).toBe(names.of('another'))
  })
})
