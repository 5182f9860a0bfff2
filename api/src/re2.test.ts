import { describe, expect, it } from 'vitest'
import { re2Problem } from './re2.ts'

/** Judged by Envoy 1.40 itself, which took these. */
const TAKEN = [
  'a{1000}',
  '[a-z]{500}',
  '\\_',
  'a*?',
  'a{2}?',
  '^*',
  'a{,3}',
  '(?<n>a)',
  '(?P<n>a)',
  '[]a]',
  '[^]a]',
  '\\12',
  '\\0',
  '\\p{Greek}',
  '\\pZ',
  '\\P{^Lu}',
  '\\z',
  '\\C',
  '(?i)a',
  '(?i-s:a)',
  '\\Qa*\\E',
  '[[:alpha:]-]',
  '[\\d\\-x]',
  '\\x{41}\\x41',
  '(?:)',
  'é',
  '\\-\\/',
  '/api/v[0-9]+/.*',
  'a||b',
  '(?:[a-z]{50}){20}',
  '\\pL{49}',
  '.{1000}',
]

/** And refused these. */
const REFUSED = [
  ['a**', 'a repetition follows a repetition'],
  ['a++', 'a repetition follows a repetition'],
  ['a{2}{3}', 'a repetition follows a repetition'],
  ['*a', 'a repetition has nothing to repeat'],
  ['{2}', 'a repetition has nothing to repeat'],
  ['a|*', 'a repetition has nothing to repeat'],
  ['(*)', 'a repetition has nothing to repeat'],
  ['a{2000}', 'repetitions go up to 1000'],
  ['a{3,1}', 'repetitions go up to 1000'],
  ['((((a{10}){10}){10}){10})', 'repetitions go up to 1000'],
  ['\\pL{60}', 'is too large once its repetitions are written out'],
  ['\\u0041', 'there is no escape \\u'],
  ['\\Z', 'there is no escape \\Z'],
  ['\\é', 'there is no escape \\é'],
  ['[\\b]', 'there is no escape \\b'],
  ['\\1', 'back-references do not exist'],
  ['[^]', 'a [ is not closed'],
  ['\\p{Nope}', 'there is no class of characters Nope'],
  ['[[:foo:]]', 'there is no class of characters [:foo:]'],
  ['[z-a]', 'a range of characters goes the wrong way'],
  ['[a-\\d]', 'there is no escape \\d'],
  ['(?x)a', '(? begins a group with flags (i, m, s, U) or a name'],
  ['(?#c)', '(? begins a group with flags (i, m, s, U) or a name'],
  ['(?=a)', 'look-around does not exist'],
  ['(?<=a)', 'look-around does not exist'],
  ['\\xg1', '\\x takes two hexadecimal digits, or more in braces'],
  ['(a', 'a ( is not closed'],
  ['a)', 'there is a ) without its ('],
  ['\\', 'it ends too early'],
] as const

describe('re2Problem', () => {
  it.each(TAKEN)('takes %s', pattern => {
    expect(re2Problem(pattern)).toBeUndefined()
  })

  it.each(REFUSED)('refuses %s: %s', (pattern, problem) => {
    expect(re2Problem(pattern)).toBe(problem)
  })
})
