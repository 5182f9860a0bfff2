import { expect, test } from 'vitest'
import { describeMesh } from '../harness/index.ts'

describeMesh('routing', mesh => {
  test('without configuration all versions answer', async () => {
    const answers = await mesh().pod('client').http('http://echo/', { count: 60 })
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200))
    expect(new Set(answers.map(({ echo }) => echo?.version))).toEqual(new Set(['v1', 'v2', 'v3']))
  })
})
