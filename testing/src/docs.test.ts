import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type MeshResource, parseYaml } from '@seine/api'
import { formatProblem, type Problem } from '@seine/kit'
import { MeshModel } from '@seine/model'
import { loadFiles } from '@seine/source-files'
import { beforeAll, describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const PAGES = ['README.md', 'ARCHITECTURE.md', ...markdownIn('docs')]

function markdownIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder)).flatMap(name => {
    const path = join(folder, name)
    if (statSync(join(ROOT, path)).isDirectory()) return markdownIn(path)
    return name.endsWith('.md') ? [path] : []
  })
}

const read = (page: string): string => readFileSync(join(ROOT, page), 'utf8')

/** Blocks of YAML, each with the place it stands at. `# wrong: <code>` in one says what is wrong with it on purpose. */
function yamlBlocks(page: string): { place: string; text: string; wrong: string | undefined }[] {
  const source = read(page)
  return [...source.matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(({ 1: text = '', index }) => ({
    place: `${page}:${source.slice(0, index).split('\n').length + 1}`,
    text,
    wrong: /^# wrong: (\S+)$/m.exec(text)?.[1],
  }))
}

const blocks = PAGES.flatMap(yamlBlocks)

describe('configuration in the documentation', () => {
  let demo: readonly MeshResource[]

  beforeAll(async () => {
    const loaded = await loadFiles([join(ROOT, 'demo/app'), join(ROOT, 'demo/config')])
    expect(loaded.problems).toEqual([])
    demo = loaded.resources
  })

  /** What is wrong with a block, by itself and where it comes into the demo's mesh. */
  function problemsOf(text: string, place: string): readonly Problem[] {
    const parsed = parseYaml(text, place)
    const model = new MeshModel()
    model.apply({ upserts: demo, deletes: [] })
    const { snapshot } = model.apply({ upserts: parsed.resources, deletes: [] })
    return [...parsed.problems, ...snapshot.problems].filter(({ severity }) => severity === 'error')
  }

  it('stands on the task pages', () => {
    expect(blocks.filter(({ place }) => place.startsWith('docs/tasks/')).length).toBeGreaterThan(10)
  })

  it.each(blocks)('$place is taken, or refused as it says', ({ place, text, wrong }) => {
    const problems = problemsOf(text, place)
    if (wrong === undefined) expect(problems.map(formatProblem)).toEqual([])
    else expect([...new Set(problems.map(({ code }) => code))]).toEqual([wrong])
    expect(parseYaml(text, place).resources.length + problems.length).toBeGreaterThan(0)
  })
})

describe('the dependencies in ARCHITECTURE.md', () => {
  it('are those of all packages', () => {
    const manifest = (folder: string) =>
      JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8')) as Record<string, unknown>
    const folders = ['.', ...(manifest('.')['workspaces'] as string[])]
    const used = folders.flatMap(folder => {
      const { dependencies, devDependencies } = manifest(folder)
      return Object.keys({ ...(dependencies as object), ...(devDependencies as object) })
    })
    const section = /^## Dependencies$([\s\S]*?)^## /m.exec(read('ARCHITECTURE.md'))?.[1] ?? ''
    const rows = section.split('\n').filter(line => /^\| `/.test(line))
    const described = rows.flatMap(row =>
      [...(row.split('|')[1] ?? '').matchAll(/`([^`]+)`/g)].map(([, name]) => name),
    )
    const external = new Set(used.filter(name => !name.startsWith('@seine/')))
    expect(described.toSorted()).toEqual([...external].sort())
  })
})

describe('links in the documentation', () => {
  const links = PAGES.flatMap(page =>
    [...read(page).matchAll(/\]\(([^()\s]+)\)|(?:src|srcset)="([^"]+)"/g)]
      .map(([, link, image]) => link ?? image ?? '')
      .filter(link => !/^[a-z]+:/.test(link))
      .map(link => ({ page, link })),
  )

  it('are there', () => {
    expect(links.length).toBeGreaterThan(50)
  })

  it.each(links)('$page → $link', ({ page, link }) => {
    const [path = '', anchor] = link.split('#')
    const target = path === '' ? page : relative(ROOT, join(ROOT, dirname(page), path))
    expect(existsSync(join(ROOT, target)), `${target} is not there`).toBe(true)
    if (anchor !== undefined) expect(anchorsOf(target)).toContain(anchor)
  })
})

/** The names that GitHub gives to headings. */
function anchorsOf(page: string): string[] {
  const prose = read(page).replace(/^```[\s\S]*?^```/gm, '')
  return [...prose.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )
}
