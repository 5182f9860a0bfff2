import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { cacheFolder, err, errorMessage, ok, type Problem, type Result } from '@seine/kit'
import { ENVOY_VERSION } from './release.ts'

const run = promisify(execFile)

/** An Envoy that can be started. */
export interface EnvoyBinary {
  readonly path: string
  readonly version: string
  readonly from: '$SEINE_ENVOY' | 'PATH' | 'cache' | 'installed'
}

/** Where the locator keeps the release it installs. */
export function cachedEnvoyPath(env: NodeJS.ProcessEnv = process.env): string {
  return join(cacheFolder(env), 'envoy', ENVOY_VERSION, 'envoy')
}

/** The version that a binary reports, as `1.40.0`, or why it reports none. */
export async function envoyVersion(path: string): Promise<Result<string, string>> {
  try {
    const { stdout } = await run(path, ['--version'], { timeout: 10_000 })
    const version = /version: [0-9a-f]+\/([^/]+)\//.exec(stdout)?.[1]
    return version
      ? ok(version)
      : err(`it does not look like Envoy: it printed "${stdout.trim().slice(0, 80)}"`)
  } catch (failure) {
    return err(errorMessage(failure))
  }
}

/**
 * Looks for Envoy at `$SEINE_ENVOY`, then on `PATH`, then in the cache folder. An Envoy named by
 * `$SEINE_ENVOY` that is missing or of another version is an error; on `PATH` it is passed over.
 *
 * @returns the binary; `undefined` when there is none and it should be installed; or a problem.
 */
export async function findEnvoy(
  env: NodeJS.ProcessEnv = process.env,
): Promise<Result<EnvoyBinary | undefined, Problem>> {
  const named = env['SEINE_ENVOY']
  if (named) return checkNamed(named)
  const candidates = (env['PATH'] ?? '')
    .split(delimiter)
    .filter(Boolean)
    .map(folder => join(folder, 'envoy'))
  for (const path of candidates) {
    if (await hasRightVersion(path)) return ok({ path, version: ENVOY_VERSION, from: 'PATH' })
  }
  const cached = cachedEnvoyPath(env)
  if (await hasRightVersion(cached)) return ok({ path: cached, version: ENVOY_VERSION, from: 'cache' })
  return ok(undefined)
}

async function checkNamed(path: string): Promise<Result<EnvoyBinary, Problem>> {
  const version = await envoyVersion(path)
  if (!version.ok) {
    return err(
      problem(
        `$SEINE_ENVOY is ${path}, which can't be run (${version.error}); unset it to let Seine install Envoy ${ENVOY_VERSION}`,
      ),
    )
  }
  if (version.value !== ENVOY_VERSION) {
    return err(
      problem(
        `$SEINE_ENVOY is ${path}, version ${version.value}; Seine needs ${ENVOY_VERSION}: point it there, or unset it to let Seine install that`,
      ),
    )
  }
  return ok({ path, version: version.value, from: '$SEINE_ENVOY' })
}

async function hasRightVersion(path: string): Promise<boolean> {
  const runnable = await access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
  if (!runnable) return false
  const version = await envoyVersion(path)
  return version.ok && version.value === ENVOY_VERSION
}

/** A problem about the Envoy binary. */
export function problem(message: string): Problem {
  return { severity: 'error', code: 'envoy-binary', message }
}
