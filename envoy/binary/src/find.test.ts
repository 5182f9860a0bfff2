import { chmod, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { findEnvoy } from './find.ts'

async function script(name: string, prints: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'seine-envoy-'))
  const path = join(folder, name)
  await writeFile(path, `#!/bin/sh\necho '${prints}'\n`)
  await chmod(path, 0o755)
  return path
}

const banner = (version: string) => `envoy  version: 9e558093/${version}/Clean/RELEASE/BoringSSL`

it('takes $SEINE_ENVOY first', async () => {
  const path = await script('envoy', banner('1.40.0'))
  expect(await findEnvoy({ SEINE_ENVOY: path })).toEqual({
    ok: true,
    value: { path, version: '1.40.0', from: '$SEINE_ENVOY' },
  })
})

it('refuses a named binary of another version and says what to do', async () => {
  const path = await script('envoy', banner('1.31.2'))
  const found = await findEnvoy({ SEINE_ENVOY: path })
  expect(found.ok ? '' : found.error.message).toMatch(/version 1\.31\.2; Seine needs 1\.40\.0.*unset it/)
})

it('refuses a named binary that is no Envoy', async () => {
  const path = await script('envoy', 'hello')
  const found = await findEnvoy({ SEINE_ENVOY: path })
  expect(found.ok ? '' : found.error.message).toMatch(/does not look like Envoy/)
})

it('passes over another version on PATH and reports that none is there', async () => {
  const path = await script('envoy', banner('1.31.2'))
  const folder = path.slice(0, path.lastIndexOf('/'))
  const empty = await mkdtemp(join(tmpdir(), 'seine-cache-'))
  expect(await findEnvoy({ PATH: folder, SEINE_CACHE: empty })).toEqual({ ok: true, value: undefined })
})
