import { keyOf, type MeshResource, refOf } from '@seine/api'
import { randomResources } from '@seine/testing/unit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MeshModel } from './mesh-model.ts'
import type { MeshSnapshot } from './snapshot.ts'

/** More runs than usual: `SEINE_RUNS=2000 npx vitest run …`. */
const RUNS = Number(process.env['SEINE_RUNS'] ?? 100)

/** Everything of a snapshot but how many changes it took, with maps in the order of their keys. */
function contentOf({ version: _version, problems, ...maps }: MeshSnapshot): unknown {
  const inOrder = (value: unknown): unknown =>
    value instanceof Map
      ? [...value].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, one]) => [key, inOrder(one)])
      : typeof value === 'object' && value !== null && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).map(([key, one]) => [key, inOrder(one)]))
        : value
  return { maps: inOrder(maps), problems: problems.map(problem => JSON.stringify(problem)).sort() }
}

/** Takes resources in, so many at a time. */
function learn(resources: readonly MeshResource[], size: number): MeshModel {
  const model = new MeshModel()
  for (let at = 0; at < resources.length; at += size)
    model.apply({ upserts: resources.slice(at, at + size), deletes: [] })
  return model
}

/** Meshes with the same resources in another order. */
const orders = randomResources({ min: 2, max: 25 }).chain(resources =>
  fc.record({
    resources: fc.constant(resources),
    shuffled: fc.shuffledSubarray(resources, { minLength: resources.length }),
    size: fc.integer({ min: 1, max: 10 }),
  }),
)

/** Of rules for one host the one in force keeps it, and so does a route whose target another object takes over. */
const keepsItsPlace = ({ kind }: MeshResource) => kind === 'DestinationRule' || kind === 'VirtualService'

describe('the mesh', () => {
  it('is the same in whatever order its resources come in one change', () => {
    const property = fc.property(orders, ({ resources, shuffled }) => {
      const [one, other] = [resources, shuffled].map(list => learn(list, list.length).snapshot)
      expect(other && contentOf(other)).toEqual(one && contentOf(one))
    })
    fc.assert(property, { numRuns: RUNS })
  }, 120_000)

  it('is the same in however many changes its resources come', () => {
    const property = fc.property(orders, ({ resources, shuffled, size }) => {
      const known = resources.filter(one => !keepsItsPlace(one))
      const again = shuffled.filter(one => !keepsItsPlace(one))
      expect(contentOf(learn(again, size).snapshot)).toEqual(contentOf(learn(known, known.length).snapshot))
    })
    fc.assert(property, { numRuns: RUNS })
  }, 120_000)

  it('forgets what is removed', () => {
    const property = fc.property(orders, ({ resources, shuffled, size }) => {
      const gone = shuffled.filter(one => !keepsItsPlace(one)).slice(0, size)
      const keys = new Set(gone.map(one => keyOf(refOf(one))))
      const left = resources.filter(one => !keepsItsPlace(one) && !keys.has(keyOf(refOf(one))))
      const model = learn([...left, ...gone], 5)
      model.apply({ upserts: [], deletes: gone.map(refOf) })
      expect(contentOf(model.snapshot)).toEqual(contentOf(learn(left, 100).snapshot))
    })
    fc.assert(property, { numRuns: RUNS })
  }, 120_000)
})
