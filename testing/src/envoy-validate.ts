import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findEnvoy } from '@seine/envoy-binary'
import { err, errorMessage, formatProblem, ok, type Result } from '@seine/kit'
import { staticBootstrap } from './envoy-static.ts'
import type { RenderedJson } from './rendered.ts'

const run = promisify(execFile)

let binary: Promise<string> | undefined

/** The Envoy of this machine; rejects when there is none. The build installs it. */
export function envoyPath(): Promise<string> {
  binary ??= findEnvoy().then(found => {
    if (!found.ok) throw new Error(formatProblem(found.error))
    if (!found.value) throw new Error('there is no Envoy: run "node tools/build.mjs", which installs it')
    return found.value.path
  })
  return binary
}

/** Asks the real Envoy whether it takes a proxy's whole configuration. @returns its objection otherwise. */
export async function envoyAccepts(config: RenderedJson): Promise<Result<void, string>> {
  const folder = await mkdtemp(join(tmpdir(), 'seine-validate-'))
  const file = join(folder, 'bootstrap.json')
  try {
    await writeFile(file, JSON.stringify(staticBootstrap(config)))
    const options = ['--mode', 'validate', '--concurrency', '1', '--log-level', 'error', '-c', file]
    await run(await envoyPath(), options, { timeout: 60_000 })
    return ok(undefined)
  } catch (failure) {
    const { stderr } = failure as { stderr?: string }
    return err(stderr?.trim() || errorMessage(failure))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
