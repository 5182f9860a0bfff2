import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { PATHS } from './paths.ts'
import { watchedFolders } from './watched-folders.ts'

describe('the folders that the mesh watches', () => {
  let state: string
  beforeEach(async () => {
    state = await mkdtemp(join(tmpdir(), 'seine-folders-'))
  })
  afterEach(() => rm(state, { recursive: true }))

  it('are fresh copies of the demo’s own', async () => {
    const { app, config } = await watchedFolders({}, state)
    for (const folder of [app, config]) expect(folder.startsWith(state)).toBe(true)
    const own = await readFile(join(PATHS.app, 'ingress.yaml'), 'utf8')
    await writeFile(join(app, 'ingress.yaml'), 'kind: Service')
    await writeFile(join(app, 'more.yaml'), 'kind: Service')
    expect(await readFile(join(PATHS.app, 'ingress.yaml'), 'utf8')).toBe(own)
    const again = await watchedFolders({}, state)
    expect(await readFile(join(again.app, 'ingress.yaml'), 'utf8')).toBe(own)
    expect(await readdir(again.app)).toEqual(await readdir(PATHS.app))
    expect(await readdir(config)).toEqual(await readdir(PATHS.config))
  })

  it('are those that are asked for, as they are', async () => {
    expect(await watchedFolders({ app: state, config: join(state, 'mine') }, state)).toEqual({
      app: state,
      config: join(state, 'mine'),
    })
    expect(await readdir(state)).toEqual([])
  })
})
