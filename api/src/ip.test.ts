import { describe, expect, it } from 'vitest'
import { canonicalCidr, canonicalIp, cidrCovers } from './ip.ts'

it.each([
  ['10.0.0.1', '10.0.0.1'],
  ['10.0.0.256', undefined],
  ['10.0.0.01', undefined],
  ['10.0.0', undefined],
  ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
  ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
  ['::', '::'],
  ['::1', '::1'],
  ['1::', '1::'],
  ['::ffff:10.0.0.1', '::ffff:a00:1'],
  ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ['1:2:3', undefined],
  ['1::2::3', undefined],
  ['12345::', undefined],
  [':::', undefined],
  ['web', undefined],
])('canonicalIp(%s) is %s', (text, expected) => {
  expect(canonicalIp(text)).toBe(expected)
})

it.each([
  ['10.0.0.0/8', '10.0.0.0/8'],
  ['2001:DB8::/32', '2001:db8::/32'],
  ['10.1.2.3/12', '10.0.0.0/12'],
  ['10.1.2.3/32', '10.1.2.3/32'],
  ['10.1.2.3/0', '0.0.0.0/0'],
  ['2001:db8:ffff::1/33', '2001:db8:8000::/33'],
  ['10.0.0.0/33', undefined],
  ['10.0.0.0/', undefined],
  ['10.0.0.0', undefined],
  ['10.0.0.0/8/8', undefined],
])('canonicalCidr(%s) is %s', (text, expected) => {
  expect(canonicalCidr(text)).toBe(expected)
})

describe('cidrCovers', () => {
  it.each([
    ['10.0.0.0/8', '10.1.0.0/16', true],
    ['10.0.0.0/8', '10.1.2.3', true],
    ['10.1.0.0/16', '10.0.0.0/8', false],
    ['10.1.0.0/16', '10.2.0.1', false],
    ['10.1.0.1', '10.1.0.1', true],
    ['2001:db8::/32', '2001:DB8:1::1', true],
    ['0.0.0.0/0', '2001:db8::1', false],
  ])('%s covers %s: %s', (outer, inner, expected) => {
    expect(cidrCovers(outer, inner)).toBe(expected)
  })
})
