import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadFiles } from './load-files.ts'
import { MAX_FILE_BYTES } from './read.ts'

const namespace = (name: string) => `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}}\n`
let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'seine-load-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('loadFiles', () => {
  it('reads folders in order, files of any name, and stdin', async () => {
    mkdirSync(join(folder, 'dir'))
    writeFileSync(join(folder, 'dir/b.yml'), namespace('b'))
    writeFileSync(join(folder, 'dir/a.yaml'), namespace('a'))
    writeFileSync(join(folder, 'dir/readme.md'), 'text')
    writeFileSync(join(folder, 'any'), namespace('any'))
    symlinkSync(folder, join(folder, 'dir/up'))
    const stdin = Readable.from([namespace('s').slice(0, 9), namespace('s').slice(9)])
    const { resources, problems } = await loadFiles([join(folder, 'dir'), join(folder, 'any'), '-'], {
      stdin,
    })
    expect(problems).toEqual([])
    expect(resources.map(one => one.metadata.name)).toEqual(['a', 'b', 'any', 's'])
    expect(resources[3]?.origin?.file).toBe('stdin')
  })

  it('reports what is missing, too large or there twice', async () => {
    writeFileSync(join(folder, 'large.yaml'), Buffer.alloc(MAX_FILE_BYTES + 1, 32))
    writeFileSync(join(folder, 'a.yaml'), `${namespace('a')}---\n${namespace('a')}`)
    const { resources, problems } = await loadFiles([folder, join(folder, 'nope.yaml')])
    expect(resources).toHaveLength(1)
    expect(problems.map(problem => problem.code).sort()).toEqual([
      'duplicate-resource',
      'file-not-found',
      'file-too-large',
    ])
  })
})
