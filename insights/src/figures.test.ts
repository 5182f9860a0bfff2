import { describe, expect, it } from 'vitest'
import { type Column, Columns, MAX_COLUMNS } from './columns.ts'
import { addSums, figuresOf, NO_TRAFFIC, quantile } from './figures.ts'

function figures(amounts: readonly (readonly [Column, number])[], seconds: number, open?: number) {
  const columns = new Columns()
  const numbered = amounts.map(([column, amount]) => [columns.numberOf(column), amount] as const)
  const sums = new Float64Array(columns.size)
  for (const [number, amount] of numbered) sums[number] = amount
  return figuresOf(sums, columns, seconds, open)
}

describe('figuresOf', () => {
  it('divides by the time, and counts 5xx and no answer as failures', () => {
    expect(
      figures(
        [
          [{ kind: 'response', class: '2xx' }, 60],
          [{ kind: 'response', class: '4xx' }, 20],
          [{ kind: 'response', class: '5xx' }, 15],
          [{ kind: 'response', class: 'none' }, 5],
          [{ kind: 'flag', flag: 'UH' }, 15],
        ],
        10,
      ),
    ).toEqual({
      rate: 10,
      errorRate: 0.2,
      responses: { '2xx': 6, '4xx': 2, '5xx': 1.5, none: 0.5 },
      flags: { UH: 1.5 },
    })
  })

  it('gives quantiles where something was timed', () => {
    const bucket = (bound: number, count: number) => [{ kind: 'bucket', bound }, count] as const
    const { p50, p90, p99 } = figures([bucket(10, 80), bucket(5, 0), bucket(25, 20), bucket(Infinity, 0)], 1)
    expect(p50).toBeCloseTo(8.125)
    expect(p90).toBeCloseTo(17.5)
    expect(p99).toBeCloseTo(24.25)
    expect(figures([bucket(10, 0)], 1)).toEqual({ rate: 0, errorRate: 0 })
  })

  it('counts TCP by connections and bytes; those that never connected are connections too', () => {
    expect(
      figures(
        [
          [{ kind: 'opened' }, 15],
          [{ kind: 'closed' }, 14],
          [{ kind: 'unconnected' }, 5],
          [{ kind: 'broken' }, 6],
          [{ kind: 'sent' }, 4000],
          [{ kind: 'received' }, 100],
        ],
        10,
        3,
      ),
    ).toEqual({
      rate: 2,
      errorRate: 0.3,
      tcp: { connections: 2, open: 3, errorRate: 0.3, sentBytes: 400, receivedBytes: 10 },
    })
  })

  it('shows old connections that break, and such as only stay open', () => {
    const broken = figures([[{ kind: 'broken' }, 2]], 10)
    expect(broken).toMatchObject({ rate: 0, errorRate: 1, tcp: { connections: 0, errorRate: 1 } })
    expect(figures([], 10, 4)).toMatchObject({ rate: 0, errorRate: 0, tcp: { open: 4 } })
  })

  it('knows nothing of a time that was not watched', () => {
    expect(figures([[{ kind: 'response', class: '2xx' }, 60]], 0)).toEqual(NO_TRAFFIC)
  })
})

describe('quantile', () => {
  it('interpolates within a bucket, which begins where the empty one before it ends', () => {
    const buckets = [
      [1, 0],
      [10, 0],
      [25, 10],
    ] as const
    expect(quantile(buckets, 0.5)).toBeCloseTo(17.5)
    expect(quantile(buckets, 1)).toBe(25)
  })

  it('is the last bound for what is beyond it', () => {
    expect(
      quantile(
        [
          [5, 1],
          [Infinity, 9],
        ],
        0.99,
      ),
    ).toBe(5)
  })
})

it('adds amounts of an array that is shorter', () => {
  expect(addSums(new Float64Array([1, 2, 3]), new Float64Array([1, 1]))).toEqual(new Float64Array([2, 3, 3]))
})

it('numbers a bounded number of columns; more flags count as others', () => {
  const columns = new Columns()
  for (let n = 0; n < 2 * MAX_COLUMNS; n++) columns.numberOf({ kind: 'flag', flag: `F${n}` })
  expect(columns.size).toBe(MAX_COLUMNS)
  expect(columns.at(columns.numberOf({ kind: 'flag', flag: 'one more' }))).toEqual({
    kind: 'flag',
    flag: 'other',
  })
  expect(columns.at(columns.numberOf({ kind: 'flag', flag: 'F3' }))).toEqual({ kind: 'flag', flag: 'F3' })
})
