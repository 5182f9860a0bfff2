// `npm run demo`: makes sure that what the demo needs is there, then starts it in this process.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Runs a step to its end; its output goes to stderr, for stdout is the demo's answer. */
function step(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['inherit', 2, 2] })
  if (error) process.stderr.write(`demo: ${command}: ${error.message}\n`)
  if (status !== 0) process.exit(1)
}

const help = process.argv.some(argument => argument === '--help' || argument === '-h')
// Inside the user namespace that the demo makes for itself, all of this has been done.
if (process.env['SEINE_DEMO_INSIDE'] === undefined && !help) {
  step('sh', ['tools/setup.sh', 'demo'])
  if (!existsSync(`${root}node_modules`)) step('npm', ['ci', '--no-audit', '--no-fund'])
  step(process.execPath, ['tools/build.mjs'])
}
await import('../demo/dist/main.js')
