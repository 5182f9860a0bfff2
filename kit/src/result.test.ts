import { expect, test } from 'vitest'
import { errorMessage } from './result.ts'

test('an error says what caused it', () => {
  expect(errorMessage(new Error('no start', { cause: new Error('port 80 is in use') }))).toBe(
    'no start: port 80 is in use',
  )
})

test('an error that gathers others says what they are', () => {
  const gathered = new AggregateError([new Error('a', { cause: new Error('b') }), 'c'], 'some parts failed')
  expect(errorMessage(gathered)).toBe('some parts failed: a: b; c')
})

test('what is no error is said as it is', () => {
  expect(errorMessage('out of paper')).toBe('out of paper')
})
