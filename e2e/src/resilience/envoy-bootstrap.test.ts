import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually, meshRuns, resource } from '../harness/index.ts'
import { OwnMesh } from './own-mesh.ts'

const WAIT = { timeoutMs: 30_000 }

describe.skipIf(!meshRuns())('what EnvoyFilters change in the bootstrap', () => {
  let mesh: OwnMesh
  let written = 0

  beforeAll(async () => {
    mesh = await OwnMesh.make()
    await mesh.seined()
  })
  afterAll(() => mesh?.close())

  /** Writes a patch, and resolves when pilot has it. */
  async function patchBootstrap(value: object): Promise<void> {
    written += 1
    const name = `bootstrap-${written}`
    const spec = { configPatches: [{ applyTo: 'BOOTSTRAP', patch: { operation: 'MERGE', value } }] }
    const text = resource('networking.istio.io/v1alpha3', 'EnvoyFilter', 'shop', name, { spec })
    await writeFile(join(mesh.configFolder, 'bootstrap.yaml'), text)
    await eventually(async () => {
      const { stdout } = await mesh.seinectl('get', 'envoyfilters', '-n', 'shop', '-o', 'json')
      expect(stdout).toContain(`"${name}"`)
    }, WAIT)
  }

  async function flushInterval(): Promise<string | undefined> {
    const dump = await mesh.get(15000, '/config_dump?mask=bootstrap.stats_flush_interval')
    return /"stats_flush_interval": "(\w+)"/.exec(dump)?.[1]
  }

  const ready = () =>
    eventually(async () => expect(await mesh.get(15021, '/healthz/ready')).toBe('200 ready'), WAIT)

  test('holds for Envoys that start from then on', async () => {
    await patchBootstrap({ stats_flush_interval: '7s' })
    const agent = await mesh.agent(mesh.token())
    await ready()
    expect(await flushInterval()).toBe('7s')
    await patchBootstrap({ stats_flush_interval: '8s' })
    expect(await flushInterval()).toBe('7s')
    await agent.stop()
    const next = await mesh.agent(mesh.token())
    await ready()
    expect(await flushInterval()).toBe('8s')
    await next.stop()
  }, 120_000)

  test('is left out where Envoy refuses it, and the agent says so', async () => {
    // A second cluster of a name.
    const cluster = { name: 'xds-grpc', type: 'STATIC', connect_timeout: '1s' }
    await patchBootstrap({ stats_flush_interval: '9s', static_resources: { clusters: [cluster] } })
    const agent = await mesh.agent(mesh.token())
    await ready()
    expect(await flushInterval()).toBe('2s')
    expect(await agent.log()).toContainEqual(
      expect.objectContaining({
        level: 50,
        msg: 'envoy refuses the patched bootstrap: it starts without the patches',
      }),
    )
    await agent.stop()
  }, 60_000)
})
