// Checks what the compiler does not: formatting and lint, which package may import which, and whether the
// reference documentation is what the sources say. It runs after a build.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/**
 * Package → the packages of ours that it may import. This is the table of ARCHITECTURE.md: data flows one
 * way. A package that is not listed may import nothing of ours.
 */
const MAY_IMPORT = {
  kit: [],
  api: ['envoy', 'kit'],
  envoy: ['kit', 'envoy-binary'],
  'envoy-binary': ['kit'],
  model: ['api', 'kit'],
  analysis: ['model', 'api', 'kit'],
  'source-files': ['model', 'api', 'kit'],
  injector: ['model', 'api', 'kit'],
  'pilot-traffic': ['model', 'api', 'envoy', 'kit'],
  'mixer-policy': ['pilot-traffic', 'model', 'api', 'envoy', 'kit'],
  'mixer-telemetry': ['pilot-traffic', 'model', 'api', 'envoy', 'kit'],
  'mixer-plugins': ['mixer-policy', 'mixer-telemetry', 'pilot-traffic'],
  'pilot-discovery': ['envoy', 'kit'],
  citadel: ['api', 'envoy', 'kit'],
  agent: ['api', 'envoy', 'envoy-binary', 'kit'],
  insights: ['api', 'model', 'kit'],
  seined: [
    'api',
    'kit',
    'envoy',
    'model',
    'source-files',
    'pilot-traffic',
    'pilot-discovery',
    'mixer-plugins',
    'mixer-telemetry',
    'citadel',
    'injector',
    'insights',
    'analysis',
  ],
  seinectl: [
    'api',
    'kit',
    'envoy',
    'model',
    'analysis',
    'source-files',
    'pilot-traffic',
    'mixer-plugins',
    'injector',
  ],
  dashboard: ['insights'],
  demo: ['kit', 'api', 'injector', 'envoy-binary'],
  testing: ['api', 'kit', 'envoy', 'envoy-binary', 'model', 'source-files', 'pilot-traffic', 'mixer-plugins'],
  e2e: ['testing'],
  bench: ['envoy-binary', 'kit', 'envoy', 'model', 'seined'],
}
/** Translation is pure: these may not reach for the outside world. */
const PURE = ['pilot-traffic', 'mixer-policy', 'model', 'analysis', 'api', 'injector']
/** Modules of the outside, of the clock and of chance. */
const IMPURE = [
  /from 'node:/,
  /\bDate\.now\(/,
  /\bMath\.random\(/,
  /\bsetTimeout\(/,
  /\bsetInterval\(/,
  /\bprocess\./,
  /new Date\(\)/,
]

const problems = []
const { workspaces } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
for (const folder of workspaces) {
  const name = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8')).name.replace(
    '@seine/',
    '',
  )
  const declared = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'))
  const dependencies = { ...declared.dependencies, ...declared.devDependencies }
  for (const file of sources(join(root, folder))) checkFile(file, name, dependencies)
  checkUse(folder, dependencies)
}

function sources(folder, pattern = /\.(ts|tsx)$/) {
  return readdirSync(folder, { withFileTypes: true }).flatMap(entry => {
    if (['node_modules', 'dist', 'gen', 'testdata', 'dev'].includes(entry.name)) return []
    const path = join(folder, entry.name)
    if (entry.isDirectory())
      return workspaces.some(other => join(root, other) === path) ? [] : sources(path, pattern)
    return pattern.test(entry.name) ? [path] : []
  })
}

/** What a package depends on it uses; types have no importer to be seen. */
function checkUse(folder, dependencies) {
  const text = sources(join(root, folder), /\.(tsx?|mjs|css|html)$/)
    .map(file => readFileSync(file, 'utf8'))
    .join('\n')
  for (const name of Object.keys(dependencies)) {
    const used = [`'${name}'`, `'${name}/`, `"${name}"`, `"${name}/`].some(form => text.includes(form))
    if (!used && !name.startsWith('@types/'))
      problems.push(`${folder}/package.json: nothing in ${folder} uses ${name}`)
  }
}

function checkFile(file, name, dependencies) {
  const text = readFileSync(file, 'utf8')
  const test = /\.test\.tsx?$/.test(file)
  const where = relative(root, file)
  for (const [, imported] of text.matchAll(/(?:from|import) '([^'.][^']*)'/g)) {
    const module = imported.startsWith('@')
      ? imported.split('/').slice(0, 2).join('/')
      : imported.split('/')[0]
    if (module.startsWith('node:')) continue
    const ours = module.startsWith('@seine/') ? module.slice('@seine/'.length) : undefined
    const isAllowed =
      ours === undefined ||
      ours === name ||
      (MAY_IMPORT[name] ?? []).includes(ours) ||
      (test && ours === 'testing')
    if (!isAllowed) problems.push(`${where}: ${name} may not import ${ours}`)
    if (!test && ours !== name && !(module in dependencies))
      problems.push(`${where}: ${module} is not among the package's dependencies`)
  }
  if (PURE.includes(name) && !test) {
    for (const pattern of IMPURE)
      if (pattern.test(text)) problems.push(`${where}: ${name} is pure, but this matches ${pattern}`)
  }
  const lines = text.split('\n').length
  if (lines > 480 && !test)
    problems.push(`${where}: ${lines} lines; a module holds one concept (far above 400 lines)`)
}

for (const problem of problems) console.error(`check: ${problem}`)
const biome = spawnSync(join(root, 'node_modules/.bin/biome'), ['check', '--diagnostic-level=warn', '.'], {
  cwd: root,
  stdio: ['ignore', 2, 2],
})
const reference = spawnSync(process.execPath, [join(root, 'tools/reference.mjs'), '--check'], {
  stdio: ['ignore', 2, 2],
})
if (problems.length > 0 || biome.status !== 0 || reference.status !== 0) process.exit(1)
console.error('check: imports, purity, sizes, dependencies, format, lint and the reference are in order')
