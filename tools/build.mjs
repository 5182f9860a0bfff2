// Builds everything that is not up to date: `npm ci` calls it, and so do `npm run demo` and `npm test`.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const require = createRequire(import.meta.url)

/** Runs a step; what it prints goes to stderr, stdout stays free for the caller's own answer. */
function step(command, args, cwd = root) {
  const { status, error } = spawnSync(command, args, { cwd, stdio: ['ignore', 2, 2] })
  if (error) console.error(`build: ${command}: ${error.message}`)
  if (status !== 0) {
    console.error(`build: failed at: ${args.join(' ')}`)
    process.exit(1)
  }
}

function newest(folder) {
  let time = 0
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (['node_modules', 'dist', 'dev'].includes(entry.name)) continue
    const path = join(folder, entry.name)
    time = Math.max(time, entry.isDirectory() ? newest(path) : statSync(path).mtimeMs)
  }
  return time
}

const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc')
step('sh', ['tools/setup.sh', 'build'])
// The messages are made from Envoy itself, which the locator finds or installs: it comes first.
step(process.execPath, [tsc, '-b', 'kit', 'envoy/binary'])
step(process.execPath, ['envoy/xds/scripts/generate.mjs'])
step(process.execPath, [tsc, '-b'])
const page = join(root, 'dashboard', 'dist', 'index.html')
const dashboard = join(root, 'dashboard')
if (
  existsSync(join(dashboard, 'index.html')) &&
  (!existsSync(page) || statSync(page).mtimeMs < newest(dashboard))
) {
  step(
    process.execPath,
    [join(root, 'node_modules', 'vite', 'bin', 'vite.js'), 'build', '--logLevel', 'warn'],
    dashboard,
  )
}
