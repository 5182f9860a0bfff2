import { afterAll, afterEach, beforeAll, describe } from 'vitest'
import { type Mesh, meshRuns, sharedMesh } from './mesh.ts'

/**
 * A group of tests on the shared mesh; skipped where none can run. What a test applies is removed after it,
 * what a `beforeAll` applies after the group: call `keep` there.
 */
export function describeMesh(title: string, define: (mesh: () => Mesh) => void): void {
  describe.skipIf(!meshRuns())(title, () => {
    let mesh: Mesh | undefined
    let kept: readonly string[] | undefined
    beforeAll(async () => {
      mesh = await sharedMesh()
    })
    const current = () => {
      if (mesh === undefined) throw new Error('the mesh is there inside of tests only')
      return mesh
    }
    define(current)
    // Defined after the group's own: runs when those have applied what all its tests need.
    beforeAll(() => {
      kept = current().config.written
    })
    afterEach(async () => {
      const own = current().config.written.filter(name => !kept?.includes(name))
      if (own.length > 0) await current().remove(...own)
    })
    afterAll(() => mesh?.reset())
  })
}
