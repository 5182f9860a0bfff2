import type { z } from 'zod'

type Issue = z.core.$ZodIssue

/** What a finding of zod says to a person: lower case, no final period. */
export function describeIssue(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      if (!issue.message.startsWith('Invalid input')) return issue.message
      return issue.input === undefined && issue.message.includes('undefined')
        ? 'is needed'
        : `must be ${article(issue.expected)}`
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).filter(Boolean).join(', ')}`
    case 'too_big':
      return issue.message.startsWith('Too big')
        ? limit(issue.origin, 'at most', issue.maximum)
        : issue.message
    case 'too_small':
      return issue.message.startsWith('Too small')
        ? limit(issue.origin, 'at least', issue.minimum)
        : issue.message
    case 'invalid_union':
      return [...new Set(issue.errors.flat().map(describeIssue))].join(', or ') || issue.message
    case 'invalid_key':
      return issue.issues.map(describeIssue).join(', ')
    default:
      return issue.message
  }
}

const EMPTY: Readonly<Record<string, string>> = {
  array: 'needs at least one entry',
  string: 'must not be empty',
}
const UNITS: Readonly<Record<string, string>> = { array: 'entries', string: 'characters' }

function limit(origin: string, how: string, bound: number | bigint): string {
  const unit = UNITS[origin]
  if (unit && how === 'at least' && Number(bound) === 1) return EMPTY[origin] ?? ''
  return unit ? `must have ${how} ${bound} ${unit}` : `must be ${how} ${bound}`
}

const NAMES: Readonly<Record<string, string>> = {
  record: 'map',
  object: 'map',
  int: 'whole number',
  boolean: 'boolean (true or false)',
  array: 'list',
}

function article(expected: string): string {
  const name = NAMES[expected] ?? expected
  return /^[aeiou]/.test(name) ? `an ${name}` : `a ${name}`
}
