import { TypeUrl } from '@seine/envoy'
import { MeshModel, type MeshSnapshot, type ResourceChange } from '@seine/model'
import { mixerPlugins, randomChanges, sidecar } from '@seine/testing/unit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ChangedNames, type ProxyConfiguration, TrafficGenerator } from './generator.ts'
import { NAME_TABLE_TYPE } from './name-table.ts'

/** Policy makes the inbound side depend on more of the snapshot; telemetry depends on nothing of it and costs time. */
const PLUGINS = mixerPlugins.filter(({ name }) => name === 'authorization')

const TYPES = [...Object.values(TypeUrl), NAME_TABLE_TYPE]

/** Proxies of both namespaces, of two versions, by delta with virtual hosts one by one and with whole tables. */
const PROXIES = [
  sidecar('web-1.a', { labels: { app: 'web', version: 'v1' } }),
  sidecar('web-2.a', {
    address: '10.1.0.2',
    labels: { app: 'web', version: 'v2' },
    virtualHostDiscovery: false,
  }),
  sidecar('api-1.b', { address: '10.1.0.3', labels: { app: 'api' } }),
]

type Versions = Record<string, string>

/** Versions of everything that a proxy gets, by type and name. */
function versions(configuration: ProxyConfiguration): Versions {
  const found: Versions = {}
  for (const type of TYPES) {
    for (const name of configuration.names(type))
      found[`${type} ${name}`] = configuration.get(type, name)?.version ?? 'named, but not there'
  }
  return found
}

function fromScratch(snapshot: MeshSnapshot): Versions[] {
  const generator = new TrafficGenerator(snapshot, PLUGINS)
  return PROXIES.map(proxy => versions(generator.configurationOf(proxy)))
}

/** What differs between two states and is not among the names that an update gave as possibly changed. */
function unannounced(before: Versions, after: Versions, changed: ChangedNames): string[] {
  return Object.keys({ ...before, ...after }).filter(key => {
    const [type = '', ...name] = key.split(' ')
    const names = changed.get(type)
    return before[key] !== after[key] && names !== 'all' && !names?.has(name.join(' '))
  })
}

/** More runs than usual: `SEINE_RUNS=2000 npx vitest run …`. */
const RUNS = Number(process.env['SEINE_RUNS'] ?? 30)

describe('an update', () => {
  it('gives what translation from scratch gives, and announces all that changed', () => {
    fc.assert(fc.property(randomChanges(10), follow), { numRuns: RUNS })
  }, 600_000)
})

function follow(sequence: readonly ResourceChange[]): void {
  const model = new MeshModel()
  const generator = new TrafficGenerator(model.snapshot, PLUGINS)
  const configurations = PROXIES.map(proxy => generator.configurationOf(proxy))
  let before = configurations.map(versions)
  for (const change of sequence) {
    const { snapshot, changes } = model.apply(change)
    const changed = generator.update(snapshot, changes)
    const after = configurations.map(versions)
    expect(after).toEqual(fromScratch(snapshot))
    for (const [index, state] of after.entries())
      expect(unannounced(before[index] ?? {}, state, changed)).toEqual([])
    before = after
  }
}
