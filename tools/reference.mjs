// `npm run reference`: writes docs/reference/ from the sources. With --check it writes nothing and fails when
// a page is not what the sources say. It needs a build.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { commandPages } from './reference/commands.mjs'
import { configurationPages } from './reference/configuration.mjs'
import { hubApiPages } from './reference/hub-api.mjs'
import { NOTICE } from './reference/markdown.mjs'
import { metricsPages } from './reference/metrics.mjs'
import { portsPages } from './reference/ports-and-files.mjs'
import { problemPages } from './reference/problems.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const target = join(root, 'docs', 'reference')
const check = process.argv.includes('--check')

/** Path below docs/reference → text. */
const pages = new Map()
for (const make of [
  configurationPages,
  commandPages,
  metricsPages,
  problemPages,
  portsPages,
  hubApiPages,
  indexPage,
]) {
  try {
    for (const [path, text] of await make(root, pages)) pages.set(path, `${text.trimEnd()}\n`)
  } catch (failure) {
    console.error(`reference: ${failure.message}`)
    process.exit(1)
  }
}

const written = readExisting(target)
const stale = [
  ...[...pages].filter(([path, text]) => written.get(path) !== text).map(([path]) => path),
  ...[...written.keys()].filter(path => !pages.has(path)),
]
if (check) {
  for (const path of stale)
    console.error(`reference: docs/reference/${path} is not what the sources say: run npm run reference`)
  if (stale.length > 0) process.exit(1)
  console.log(`reference: ${pages.size} pages are what the sources say`)
} else {
  for (const path of stale) {
    const file = join(target, path)
    if (!pages.has(path)) rmSync(file)
    else {
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, pages.get(path))
    }
  }
  console.log(`reference: ${pages.size} pages, ${stale.length} changed`)
}

function readExisting(folder, found = new Map()) {
  let entries = []
  try {
    entries = readdirSync(folder, { withFileTypes: true })
  } catch (failure) {
    // Before the first run there is no such folder.
    if (failure.code !== 'ENOENT') throw failure
  }
  for (const entry of entries) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) readExisting(path, found)
    else found.set(relative(target, path), readFileSync(path, 'utf8'))
  }
  return found
}

/** The first page lists the others by their titles. */
function indexPage(_root, others) {
  const lines = [...others].map(([path, text]) => {
    const title = /^# (.+)$/m.exec(text)?.[1] ?? path
    return `${path.includes('/') ? '  ' : ''}- [${title}](${path})`
  })
  return [['README.md', `# Reference\n\n${NOTICE}\n\n${lines.join('\n')}`]]
}
