import { defaultMeshConfig, type ProxyConfig } from '@seine/api'
import { objectYaml, resourcesOf } from '@seine/testing/unit'
import { describe, expect, it } from 'vitest'
import { effectiveProxyConfig } from './proxy-config.ts'

type Spec = ProxyConfig['spec']

function config(namespace: string, spec: Spec, name = 'proxies', creationTimestamp?: string): ProxyConfig {
  const [made] = resourcesOf(
    objectYaml('networking.istio.io/v1beta1', 'ProxyConfig', `${name}.${namespace}`, spec),
  )
  const { metadata, ...rest } = made as ProxyConfig
  return { ...rest, metadata: { ...metadata, ...(creationTimestamp ? { creationTimestamp } : {}) } }
}

const pod = { name: 'web-1', namespace: 'shop', labels: { app: 'web' }, annotations: {} }
const selector = { matchLabels: { app: 'web' } }
const variables = (level: string) => ({ LEVEL: level, [`FROM_${level.toUpperCase()}`]: 'yes' })
const mesh = config('istio-system', { concurrency: 1, environmentVariables: variables('mesh') })
const namespace = config('shop', { concurrency: 2, environmentVariables: variables('namespace') })
const workload = config(
  'shop',
  { selector, concurrency: 4, environmentVariables: variables('workload') },
  'web',
)
const own = { concurrency: 3, proxyMetadata: variables('own') }
const effective = (configs: readonly ProxyConfig[], annotation = {}, of = pod) =>
  effectiveProxyConfig(of, annotation, configs, defaultMeshConfig)

describe('what is said of a proxy', () => {
  it('is nothing where nobody says anything', () => {
    expect(effective([])).toEqual({ concurrency: undefined, environment: {}, start: {}, live: {} })
  })

  it.each([
    ['the mesh', [mesh], {}, 1, 'mesh'],
    ['its namespace before the mesh', [mesh, namespace], {}, 2, 'namespace'],
    ['its annotation before its namespace', [mesh, namespace], own, 3, 'own'],
    ['its workload before its annotation', [workload, mesh, namespace], own, 4, 'workload'],
  ])('is what is said of %s', (_title, configs, annotation, concurrency, level) => {
    const found = effective(configs, annotation)
    expect([found.concurrency, found.environment['LEVEL']]).toEqual([concurrency, level])
    expect(found.environment['FROM_MESH']).toBe('yes')
  })

  it('is merged field by field', () => {
    const variable = config('shop', { environmentVariables: { A: 'a' } })
    expect(effective([mesh, variable])).toMatchObject({
      concurrency: 1,
      environment: { A: 'a', LEVEL: 'mesh' },
    })
    expect(effective([config('shop', { selector, concurrency: 0 }), mesh]).concurrency).toBe(0)
  })

  it('is nothing that is for others', () => {
    expect(effective([workload], {}, { ...pod, labels: { app: 'api' } }).concurrency).toBeUndefined()
    expect(effective([namespace, workload], {}, { ...pod, namespace: 'bank' }).concurrency).toBeUndefined()
  })

  it('is what the oldest says of several for the same; a selector without labels is for all', () => {
    const older = config('shop', { selector: {}, concurrency: 7 }, 'z', '2026-01-01T00:00:00Z')
    const newer = config('shop', { concurrency: 8 }, 'a', '2026-02-01T00:00:00Z')
    expect(effective([newer, older]).concurrency).toBe(7)
  })
})
