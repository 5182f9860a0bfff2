import { CANARY_ANNOTATION, type MeshResource, refOf } from '@seine/api'
import { TypeUrl } from '@seine/envoy'
import { mixerPlugins } from '@seine/mixer-plugins'
import { MeshModel, type ResourceChange } from '@seine/model'
import { NAME_TABLE_TYPE, type ProxyConfiguration, TrafficGenerator } from '@seine/pilot-traffic'
import { randomChanges, sidecar } from '@seine/testing/unit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ProxySources } from './proxy-sources.ts'

const NAMED = sidecar('web-1.a', { labels: { app: 'web', version: 'v1' } })
const OTHERS = [
  sidecar('web-2.a', { address: '10.1.0.2', labels: { app: 'web', version: 'v1' } }),
  sidecar('api-1.b', { address: '10.1.0.3', labels: { app: 'api' } }),
]
const TYPES = [...Object.values(TypeUrl), NAME_TABLE_TYPE]
const RUNS = Number(process.env['SEINE_RUNS'] ?? 20)

function versions(configuration: ProxyConfiguration): Record<string, string> {
  return Object.fromEntries(
    TYPES.flatMap(type =>
      [...configuration.names(type)].map(name => [
        `${type} ${name}`,
        configuration.get(type, name)?.version ?? 'named, but not there',
      ]),
    ),
  )
}

/** Objects as the version that {@link NAMED} alone gets. */
function asCanaries(resources: readonly MeshResource[]): MeshResource[] {
  return resources.map(resource => {
    const { metadata } = resource
    const annotations = { ...metadata.annotations, [CANARY_ANNOTATION]: 'web-1.a' }
    return { ...resource, metadata: { ...metadata, annotations } } as MeshResource
  })
}

/** A control plane's model and sources. */
class Mesh {
  readonly model = new MeshModel()
  readonly sources = new ProxySources(this.model.snapshot)

  apply(change: ResourceChange): void {
    this.sources.update(change, this.model.apply(change), this.model)
  }

  versionsFor(proxy: typeof NAMED): Record<string, string> {
    return versions(this.sources.of(proxy).configurationOf(proxy))
  }
}

describe('canaries', () => {
  it('change not a byte of what other proxies get; their own get what the mesh with them gives', () => {
    const step = fc.tuple(randomChanges(1), randomChanges(1))
    const check = (steps: readonly (readonly [ResourceChange[], ResourceChange[]])[]) => {
      const [plain, canaried] = [new Mesh(), new Mesh()]
      let versionsThere: MeshResource[] = []
      for (const [[change], [canary]] of steps) {
        if (!change || !canary) continue
        plain.apply(change)
        const put = asCanaries(canary.upserts)
        const deletes = asCanaries(versionsThere.slice(0, 1)).map(refOf)
        versionsThere = [...versionsThere.slice(1), ...put]
        canaried.apply({ upserts: [...change.upserts, ...put], deletes: [...change.deletes, ...deletes] })
        for (const proxy of OTHERS) expect(canaried.versionsFor(proxy)).toEqual(plain.versionsFor(proxy))
        const { snapshot } = canaried.sources.of(NAMED)
        const scratch = new TrafficGenerator(snapshot, mixerPlugins).configurationOf(NAMED)
        expect(canaried.versionsFor(NAMED)).toEqual(versions(scratch))
      }
      const left = [...canaried.model.resources.values()].filter(one => refOf(one).canary)
      canaried.apply({ upserts: [], deletes: left.map(refOf) })
      expect(canaried.versionsFor(NAMED)).toEqual(plain.versionsFor(NAMED))
    }
    fc.assert(fc.property(fc.array(step, { minLength: 1, maxLength: 4 }), check), { numRuns: RUNS })
  }, 120_000)
})
