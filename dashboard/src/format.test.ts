import { expect, it } from 'vitest'
import { byteRate, latency, percent, rate, relativeTime } from './format.ts'

it.each([
  [0, '0/s'],
  [0.04, '0.04/s'],
  [2.23, '2.2/s'],
  [42.4, '42/s'],
  [1234, '1.2k/s'],
])('rate(%d) is %s', (value, text) => {
  expect(rate(value)).toBe(text)
})

it.each([
  [0, '0%'],
  [0.0004, '<0.1%'],
  [0.0123, '1.2%'],
  [0.5, '50%'],
])('percent(%d) is %s', (value, text) => {
  expect(percent(value)).toBe(text)
})

it.each([
  [undefined, '–'],
  [0.5, '0.50 ms'],
  [8.49, '8.5 ms'],
  [34.4, '34 ms'],
  [1200, '1.2 s'],
])('latency(%d) is %s', (value, text) => {
  expect(latency(value)).toBe(text)
})

it.each([
  [90_000, 'in 2 min'],
  [-5000, '5 s ago'],
  [82_800_000, 'in 23 h'],
])('relativeTime(now + %d) is %s', (offset, text) => {
  expect(relativeTime(1_000_000_000 + offset, 1_000_000_000)).toBe(text)
})

it('writes bytes per second with a fitting unit', () => {
  expect([0, 340.4, 1234, 5_000_000].map(byteRate)).toEqual(['0 B/s', '340 B/s', '1.2 kB/s', '5.0 MB/s'])
})
