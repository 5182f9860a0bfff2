import { describe, expect, it } from 'vitest'
import { formatProblem } from './format-operators.ts'

describe('a format', () => {
  it.each([
    ['text'],
    ['100%% of %PROTOCOL%'],
    ['%REQ(x-user?x-other):10%'],
    ['%CEL(size(request.path))%'],
    ['%START_TIME(%Y-%m)%'],
    ['%DOWNSTREAM_PEER_URI_SAN%'],
  ])('%s is taken', text => {
    expect(formatProblem(text)).toBeUndefined()
  })

  it.each([
    ['%', 'begins an operator'],
    ['99% of', 'begins an operator'],
    ['%protocol%', 'begins an operator'],
    ['%REQ(x-user)', 'begins an operator'],
    ['%DOWNSTREAM%', 'Envoy has no operator %DOWNSTREAM%'],
    ['%REQ%', 'has to be told of what'],
    ['%REQ()%', 'has to be told of what'],
  ])('%s is refused', (text, reason) => {
    expect(formatProblem(text)).toContain(reason)
  })
})
