import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { MeshResource } from '@seine/api'
import { keyOf, refOf } from '@seine/api'
import { FakeClock, type Problem, silentLogger } from '@seine/kit'
import type { ResourceChange } from '@seine/model'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { FileSource } from './file-source.ts'

const rule = (name: string, host = name) =>
  `apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata:\n  name: ${name}\nspec:\n  host: ${host}\n`

/** Applies what a source tells, as the model does. */
class Told {
  readonly resources = new Map<string, MeshResource>()
  readonly changes: ResourceChange[] = []
  problems: readonly Problem[] = []

  readonly take = (change: ResourceChange, problems: readonly Problem[]): void => {
    this.changes.push(change)
    this.problems = problems
    for (const ref of change.deletes) this.resources.delete(keyOf(ref))
    for (const resource of change.upserts) this.resources.set(keyOf(refOf(resource)), resource)
  }

  /** `name→host` of each rule. */
  rules(): string[] {
    return [...this.resources.values()]
      .map(one => `${one.metadata.name}→${one.kind === 'DestinationRule' ? one.spec.host : '?'}`)
      .sort()
  }

  codes(): string[] {
    return this.problems.map(problem => problem.code)
  }
}

let folder: string
let told: Told
let source: FileSource

const write = (name: string, text: string) => writeFileSync(join(folder, name), text)

async function start(...folders: string[]): Promise<void> {
  source = new FileSource(
    { folders: folders.length > 0 ? folders : [folder], logger: silentLogger },
    told.take,
  )
  await source.start()
}

async function until(check: () => void): Promise<void> {
  await vi.waitFor(check, { timeout: 5000, interval: 2 })
}

const untilRules = (...expected: string[]) => until(() => expect(told.rules()).toEqual(expected))

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'seine-files-'))
  told = new Told()
})

afterEach(async () => {
  await source.close()
  rmSync(folder, { recursive: true, force: true })
})

describe('FileSource', () => {
  it('tells everything once at the start', async () => {
    mkdirSync(join(folder, 'sub'))
    write('a.yaml', `${rule('a')}---\n${rule('b')}`)
    write('sub/c.json', JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'c' } }))
    write('notes.txt', 'no configuration')
    write('.hidden.yaml', rule('hidden'))
    await start()
    expect(told.changes).toHaveLength(1)
    expect([...told.resources.keys()].sort()).toEqual([
      'DestinationRule/default/a',
      'DestinationRule/default/b',
      'Namespace//c',
    ])
    expect(told.problems).toEqual([])
  })

  it('tells what is created, changed and deleted, and nothing else', async () => {
    write('a.yaml', rule('a'))
    write('b.yaml', rule('b'))
    await start()
    write('c.yaml', rule('c'))
    await untilRules('a→a', 'b→b', 'c→c')
    write('a.yaml', rule('a', 'other'))
    await untilRules('a→other', 'b→b', 'c→c')
    rmSync(join(folder, 'c.yaml'))
    await untilRules('a→other', 'b→b')
    const names = told.changes.slice(1).flatMap(change => change.upserts.map(one => one.metadata.name))
    expect(new Set(names)).toEqual(new Set(['a', 'c']))
  })

  it('loses none of many quick changes of one file', async () => {
    write('a.yaml', rule('a', 'h0'))
    await start()
    for (let round = 1; round <= 200; round++) {
      write('a.yaml', rule('a', `h${round}`))
      if (round % 10 === 0) await new Promise(resolve => setImmediate(resolve))
    }
    await untilRules('a→h200')
  })

  it('sees a change a few milliseconds after another', async () => {
    write('a.yaml', rule('a', 'h0'))
    await start()
    for (let round = 1; round <= 20; round++) {
      write('a.yaml', rule('a', `h${round}`))
      await untilRules(`a→h${round}`)
    }
  })

  it('sees files written into folders the moment these are made', async () => {
    await start()
    const expected: string[] = []
    for (let index = 10; index < 30; index++) {
      mkdirSync(join(folder, `d${index}/deep`), { recursive: true })
      write(`d${index}/a.yaml`, rule(`a${index}`))
      await new Promise(resolve => setImmediate(resolve))
      write(`d${index}/deep/b.yaml`, rule(`b${index}`))
      expected.push(`a${index}→a${index}`, `b${index}→b${index}`)
    }
    await untilRules(...expected.sort())
  })

  it('forgets a folder that is removed and reads one put in its place', async () => {
    mkdirSync(join(folder, 'sub'))
    write('sub/a.yaml', rule('a'))
    await start()
    rmSync(join(folder, 'sub'), { recursive: true })
    await untilRules()
    mkdirSync(join(folder, 'sub'))
    write('sub/b.yaml', rule('b'))
    await untilRules('b→b')
    write('sub/b.yaml', rule('b', 'later'))
    await untilRules('b→later')
  })

  it('reads a folder that appears after the start, and again after it was removed', async () => {
    const late = join(folder, 'x/late')
    await start(late)
    expect(told.codes()).toEqual(['folder-missing'])
    mkdirSync(late, { recursive: true })
    writeFileSync(join(late, 'a.yaml'), rule('a'))
    await untilRules('a→a')
    expect(told.problems).toEqual([])
    rmSync(join(folder, 'x'), { recursive: true })
    await untilRules()
    mkdirSync(late, { recursive: true })
    writeFileSync(join(late, 'b.yaml'), rule('b'))
    await untilRules('b→b')
  })

  it('watches a single file', async () => {
    write('one.conf', rule('a'))
    await start(join(folder, 'one.conf'))
    expect(told.rules()).toEqual(['a→a'])
    write('one.conf', rule('a', 'changed'))
    await untilRules('a→changed')
  })

  it('ends a descent that a link leads back up', async () => {
    write('a.yaml', rule('a'))
    symlinkSync(folder, join(folder, 'loop'))
    await start()
    expect(told.problems).toEqual([])
    rmSync(join(folder, 'loop'))
    symlinkSync(folder, join(folder, 'loop'))
    write('b.yaml', rule('b'))
    await untilRules('a→a', 'b→b')
    expect(told.problems).toEqual([])
  })

  it('follows the links of a mounted ConfigMap', async () => {
    const version = (name: string, host: string) => {
      mkdirSync(join(folder, name))
      write(`${name}/a.yaml`, rule('a', host))
    }
    version('..v1', 'one')
    symlinkSync('..v1', join(folder, '..data'))
    symlinkSync('..data/a.yaml', join(folder, 'a.yaml'))
    await start()
    expect(told.rules()).toEqual(['a→one'])
    version('..v2', 'two')
    symlinkSync('..v2', join(folder, '..data_tmp'))
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
    await untilRules('a→two')
  })
})

describe('FileSource and half-written files', () => {
  it('compares now and then, as the system does not tell everything', async () => {
    // Nobody watches what a link leads to.
    mkdirSync(join(folder, 'config'))
    write('changed', rule('changed'))
    write('gone', rule('gone'))
    write('same', rule('same'))
    for (const name of ['changed', 'gone', 'same'])
      symlinkSync(join(folder, name), join(folder, 'config', `${name}.yaml`))
    const clock = new FakeClock(1_000_000)
    source = new FileSource({ folders: [join(folder, 'config')], logger: silentLogger, clock }, told.take)
    await source.start()
    write('changed', rule('changed', 'elsewhere'))
    rmSync(join(folder, 'gone'))
    clock.advance(30_000)
    await untilRules('changed→elsewhere', 'gone→gone', 'same→same')
    await until(() => expect(clock.pending).toContain(10))
    clock.advance(10)
    await untilRules('changed→elsewhere', 'same→same')
    expect(told.changes.slice(1).flatMap(({ upserts }) => upserts)).toHaveLength(1)
  })

  it('serves the old content of a file that is truncated before it is written again', async () => {
    write('a.yaml', rule('a'))
    await start()
    write('a.yaml', '')
    await new Promise(resolve => setImmediate(resolve))
    write('a.yaml', rule('a').slice(0, -3))
    await new Promise(resolve => setImmediate(resolve))
    write('a.yaml', rule('a', 'new'))
    await untilRules('a→new')
    expect(told.changes.flatMap(change => change.deletes)).toEqual([])
    expect(told.changes.slice(1).flatMap(change => change.upserts)).toHaveLength(1)
  })

  it('believes a file that stays empty, or ends without a line break', async () => {
    write('a.yaml', rule('a'))
    write('b.yaml', rule('b'))
    await start()
    write('a.yaml', '')
    write('b.yaml', rule('b', 'unended').trimEnd())
    await untilRules('b→unended')
  })

  it('sees an atomic replacement as a change, also where the old file is moved away first', async () => {
    write('a.yaml', rule('a'))
    await start()
    write('.tmp', rule('a', 'renamed'))
    renameSync(join(folder, '.tmp'), join(folder, 'a.yaml'))
    await untilRules('a→renamed')
    renameSync(join(folder, 'a.yaml'), join(folder, 'a.yaml~'))
    await new Promise(resolve => setImmediate(resolve))
    write('a.yaml', rule('a', 'vim'))
    await untilRules('a→vim')
    expect(told.changes.flatMap(change => change.deletes)).toEqual([])
  })
})

describe('FileSource and broken files', () => {
  it('serves the last good version of a file that stops parsing, and reports it', async () => {
    write('a.yaml', rule('a'))
    await start()
    write('a.yaml', 'kind: [\n')
    await until(() => expect(told.codes()).toContain('yaml-syntax'))
    expect(told.rules()).toEqual(['a→a'])
    write('a.yaml', rule('a', 'mended'))
    await untilRules('a→mended')
    expect(told.problems).toEqual([])
  })

  it('serves the good documents of a file and the last good version of the broken one', async () => {
    write('a.yaml', `${rule('a')}---\n${rule('b')}---\n${rule('c')}`)
    await start()
    write('a.yaml', `${rule('a', 'new')}---\n${rule('b').replace('host:', 'hots:')}`)
    await untilRules('a→new', 'b→b')
    expect(told.problems[0]).toMatchObject({ code: 'IST0106', position: { line: 12 } })
  })

  it('lets a document go that was never good', async () => {
    const nope = 'apiVersion: v1\nkind: Nope\n'
    write('a.yaml', `${nope}---\n${rule('a')}---\n${rule('b')}`)
    await start()
    expect(told.codes()).toEqual(['unknown-kind'])
    write('a.yaml', `${nope}---\n${rule('a')}`)
    await untilRules('a→a')
  })

  it('dates what comes after the start, so that of two that collide the one that was there first stays', async () => {
    write('z.yaml', rule('z'))
    await start()
    write('a.yaml', rule('a'))
    await untilRules('a→a', 'z→z')
    const dates = () =>
      Object.fromEntries(
        [...told.resources.values()].map(({ metadata }) => [metadata.name, metadata.creationTimestamp]),
      )
    const first = dates()
    expect(first).toEqual({ z: undefined, a: expect.stringMatching(/^\d{4}-.+Z$/) })
    write('a.yaml', rule('a', 'changed'))
    write('z.yaml', rule('z', 'changed'))
    await untilRules('a→changed', 'z→changed')
    expect(dates()).toEqual(first)
  })

  it('keeps the object that was there first when another file brings it too, and names both places', async () => {
    write('b.yaml', rule('x', 'first'))
    await start()
    write('a.yaml', rule('x', 'second'))
    await until(() =>
      expect(told.problems).toMatchObject([
        { code: 'duplicate-resource', position: { file: join(folder, 'a.yaml'), line: 1 } },
      ]),
    )
    expect(told.problems[0]?.message).toContain(`${join(folder, 'b.yaml')}:1:1`)
    await untilRules('x→first')
    rmSync(join(folder, 'b.yaml'))
    await untilRules('x→second')
    expect(told.problems).toEqual([])
    expect(told.changes.flatMap(change => change.deletes)).toEqual([])
  })
})
