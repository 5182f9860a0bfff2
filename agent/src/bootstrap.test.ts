import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { ensureEnvoy } from '@seine/envoy-binary'
import { goldenText } from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'
import { testSettings } from '../test/settings.ts'
import { bootstrap } from './bootstrap.ts'
import { withPatches } from './bootstrap-patches.ts'

const GOLDEN = fileURLToPath(new URL('../testdata/bootstrap.json', import.meta.url))

/** What Envoy says against a bootstrap; an empty text when it takes it. */
async function objection(config: object): Promise<string> {
  const envoy = await ensureEnvoy(() => undefined)
  if (!envoy.ok) throw new Error(envoy.error.message)
  const folder = await mkdtemp(join(tmpdir(), 'seine-bootstrap-'))
  const file = join(folder, 'bootstrap.json')
  try {
    await writeFile(file, JSON.stringify(config))
    await promisify(execFile)(envoy.value.path, ['--mode', 'validate', '-l', 'error', '-c', file])
    return ''
  } catch (failure) {
    return (failure as { stderr?: string }).stderr || String(failure)
  } finally {
    await rm(folder, { recursive: true })
  }
}

describe('bootstrap', () => {
  it('is this, and Envoy takes it', async () => {
    const made = bootstrap(testSettings())
    const text = `${JSON.stringify(made, null, 2)}\n`
    expect(text).toBe(goldenText(GOLDEN, text))
    expect(await objection(made)).toBe('')
  })

  it.each([
    ['hub.seine-system.svc:4317', 'STRICT_DNS', { address: 'hub.seine-system.svc', port_value: 4317 }],
    ['192.0.2.7:4317', 'STATIC', { address: '192.0.2.7', port_value: 4317 }],
    ['[2001:db8::7]:4317', 'STATIC', { address: '2001:db8::7', port_value: 4317 }],
  ])('finds the receiver of spans at %s, and Envoy takes it', async (otlpAddress, type, address) => {
    const made = bootstrap(testSettings({ otlpAddress })) as {
      static_resources: { clusters: { name: string; type: string }[] }
    }
    const cluster = made.static_resources.clusters.find(({ name }) => name === 'otlp')
    expect(cluster?.type).toBe(type)
    expect(JSON.stringify(cluster)).toContain(JSON.stringify(address))
    expect(await objection(made)).toBe('')
  })

  it('keeps more statistics, counts them otherwise and has other values of the runtime, and Envoy takes it', async () => {
    const made = bootstrap(
      testSettings({
        ips: ['10.0.0.7', 'fd00::7'],
        bootstrap: {
          stats: {
            prefixes: ['http.{pod_ip}_'],
            suffixes: ['_cx_active'],
            regexps: ['tcp.*'],
            buckets: { z: [1, 2], istio_request: [1, 10] },
            flushMs: 5000,
            evictionMs: 60_000,
          },
          runtime: {
            'a.flag': 'false',
            'a.count': '7',
            'a.word': 'x',
            're2.max_program_size.error_level': '',
          },
        },
      }),
    ) as {
      stats_config: {
        stats_matcher: { inclusion_list: { patterns: object[] } }
        histogram_bucket_settings: object[]
      }
      layered_runtime: { layers: { static_layer: object }[] }
    }
    expect(made.stats_config.stats_matcher.inclusion_list.patterns.slice(-4)).toEqual([
      { prefix: 'http.10.0.0.7_' },
      { prefix: 'http.fd00::7_' },
      { suffix: '_cx_active' },
      { safe_regex: { regex: 'tcp.*' } },
    ])
    expect(made.stats_config.histogram_bucket_settings.slice(0, 2)).toEqual([
      { match: { prefix: 'istio_request' }, buckets: [1, 10] },
      { match: { prefix: 'z' }, buckets: [1, 2] },
    ])
    expect(made).toMatchObject({ stats_flush_interval: '5s', stats_eviction_interval: '60s' })
    expect(made.layered_runtime.layers[0]?.static_layer).toEqual({
      'a.flag': false,
      'a.count': 7,
      'a.word': 'x',
    })
    expect(await objection(made)).toBe('')
  })

  it('holds no secret and tells who the proxy is', () => {
    const text = JSON.stringify(bootstrap(testSettings()))
    expect(text).not.toMatch(/PRIVATE KEY|Bearer|token/i)
    expect(text).toContain('sidecar~10.0.0.7~reviews-v1-abc.default~default.svc.cluster.local')
  })

  it('takes patches, one after another', async () => {
    const patched = (await withPatches(bootstrap(testSettings()), [
      { operation: 'MERGE', value: { stats_config: { stats_tags: [{ tag_name: 'a', regex: '(a)' }] } } },
      { operation: 'MERGE', value: { stats_config: { stats_tags: [{ tag_name: 'b', regex: '(b)' }] } } },
      {
        operation: 'MERGE_AND_REPLACE_LIST',
        value: { stats_config: { histogram_bucket_settings: [{ match: { prefix: 'own' }, buckets: [1] }] } },
      },
    ])) as { statsConfig: { statsTags: { tagName: string }[]; histogramBucketSettings: object[] } }
    expect(patched.statsConfig.statsTags.map(({ tagName }) => tagName)).toEqual(['a', 'b'])
    expect(patched.statsConfig.histogramBucketSettings).toEqual([{ match: { prefix: 'own' }, buckets: [1] }])
    expect(patched).toHaveProperty('staticResources.clusters')
    expect(await objection(patched)).toBe('')
  })

  it('is judged by Envoy, which says what it does not take', async () => {
    expect(await objection({ ...bootstrap(testSettings()), nonsense: true })).toContain('nonsense')
  })
})
