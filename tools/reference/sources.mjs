// Reading TypeScript sources as text, for what no program tells of itself.
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'

/** The product's own packages; tests, the demo's application and tools are none of it. */
const PACKAGES = [
  'kit',
  'api',
  'model',
  'sources/files',
  'pilot/traffic',
  'pilot/discovery',
  'mixer/policy',
  'mixer/telemetry',
  'citadel',
  'injector',
  'agent',
  'insights',
  'seined',
  'seinectl',
  'envoy/binary',
]

/** Every source file of the product: path below the root → text, tests left out. */
export function productSources(root, packages = PACKAGES) {
  const found = new Map()
  const read = folder => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name)
      if (entry.isDirectory()) read(path)
      else if (/\.ts$/.test(entry.name) && !/(\.test|^testing-.*)\.ts$/.test(entry.name))
        found.set(relative(root, path), readFileSync(path, 'utf8'))
    }
  }
  for (const name of packages) read(join(root, name, 'src'))
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** A string literal's text: `'it\'s'`, `"it's"`. */
export function literal(text) {
  return text.slice(1, -1).replace(/\\(.)/g, '$1')
}

/**
 * The descriptions of what was found, in the order found. Throws when something found has none, or when
 * something described is no longer there: then the table in `where` is to be corrected.
 */
export function describe(found, descriptions, where) {
  const undescribed = [...found].filter(name => !(name in descriptions))
  const gone = Object.keys(descriptions).filter(name => !found.has(name))
  if (undescribed.length > 0) throw new Error(`${where} does not describe ${undescribed.join(', ')}`)
  if (gone.length > 0) throw new Error(`${where} describes ${gone.join(', ')}, which the sources do not have`)
  return [...found].map(name => [name, descriptions[name]])
}
