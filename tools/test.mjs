// `npm test`: everything that this kind of machine can run, in the order in which it fails cheapest.
// The last line is `N passed, N failed[, N skipped]`.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const results = mkdtempSync(join(tmpdir(), 'seine-test-'))
const total = { passed: 0, failed: 0, skipped: 0 }

function run(title, command, args, options = {}) {
  console.log(`\n== ${title}`)
  const started = Date.now()
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    ...options,
  })
  if (error) console.error(error.message)
  console.log(
    `== ${title}: ${status === 0 ? 'ok' : 'FAILED'} in ${((Date.now() - started) / 1000).toFixed(1)} s`,
  )
  return status === 0
}

/** A step that counts as one test. */
function step(title, command, args, options) {
  if (run(title, command, args, options)) total.passed++
  else total.failed++
}

/** A vitest run; its tests are counted one by one. */
function vitest(title, name, args) {
  const file = join(results, `${name}.json`)
  const bin = join(root, 'node_modules', 'vitest', 'vitest.mjs')
  const ok = run(title, process.execPath, [
    bin,
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${file}`,
    ...args,
  ])
  if (!existsSync(file)) {
    total.failed++
    return
  }
  const report = JSON.parse(readFileSync(file, 'utf8'))
  total.passed += report.numPassedTests
  total.failed += report.numFailedTests
  total.skipped += report.numPendingTests + report.numTodoTests
  // A file that can't be loaded, or an error outside of a test, fails the run without failing a test.
  if (!ok && report.numFailedTests === 0) total.failed++
}

if (!run('set-up', 'sh', ['tools/setup.sh', 'test'])) process.exit(1)
if (!run('build', process.execPath, ['tools/build.mjs'])) process.exit(1)
step('imports, purity, format and lint', process.execPath, ['tools/check.mjs'])
vitest('unit tests, goldens, Envoy accepts', 'unit', [])
step('the demo turns green and leaves nothing behind', process.execPath, [
  'tools/demo.mjs',
  '--once',
  '--json',
])
if (existsSync(join(root, 'e2e', 'vitest.config.ts')))
  vitest('mesh and browser', 'e2e', ['--config', 'e2e/vitest.config.ts'])
vitest('proxyless gRPC: an unmodified library, real servers and certificates', 'proxyless', [
  '--config',
  'e2e/vitest.proxyless.config.ts',
])
vitest('the demo: started twice, stopped, killed, apart', 'demo', ['--config', 'e2e/vitest.demo.config.ts'])

rmSync(results, { recursive: true, force: true })
console.log(
  `\n${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ''}`,
)
process.exit(total.failed === 0 ? 0 : 1)
