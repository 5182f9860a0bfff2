import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  brokenReferencesIn,
  casesIn,
  conflictsIn,
  envoyAccepts,
  goldenText,
  goldenYaml,
  renderCase,
  strayFiles,
  withoutProvenance,
} from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'

const TESTDATA = fileURLToPath(new URL('../testdata', import.meta.url))

describe.each(casesIn(TESTDATA))('golden %s', name => {
  const folder = join(TESTDATA, name)
  const outputs = renderCase(folder)

  it('is as it was read', () => {
    const text = goldenYaml(outputs)
    expect(text).toBe(goldenText(join(folder, 'out.yaml'), text))
    expect(strayFiles(folder, ['in', 'out.yaml', 'proxy.yaml'])).toEqual([])
  })

  it('holds nothing twice and refers to nothing that is not there', () => {
    const found = outputs.flatMap(({ config, generator }) => [
      ...(generator === 'envoy' ? conflictsIn(config) : []),
      ...brokenReferencesIn(config),
    ])
    expect(found).toEqual([])
  })

  it('says of each part which objects it came from', () => {
    const found = outputs.flatMap(({ config, inEmptyMesh }) => withoutProvenance(config, inEmptyMesh))
    expect(found).toEqual([])
  })

  const forEnvoy = outputs.filter(({ generator }) => generator === 'envoy')
  // What gRPC gets, it judges itself: see e2e/src/proxyless.
  if (forEnvoy.length > 0)
    it('is accepted by Envoy', async () => {
      for (const { config } of forEnvoy)
        expect(await envoyAccepts(config)).toEqual({ ok: true, value: undefined })
    }, 60_000)
})
