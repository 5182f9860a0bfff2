import { keyOf, type MeshResource, refOf } from '@seine/api'
import type { EncodedResource, Provenance } from '@seine/envoy'
import { TypeUrl } from '@seine/envoy'
import type { Problem } from '@seine/kit'
import { mixerPlugins } from '@seine/mixer-plugins'
import { hasProxy, type MeshSnapshot } from '@seine/model'
import {
  BOOTSTRAP_PATCHES_TYPE,
  type RenderedResources,
  renderProxy,
  resourceToJson,
} from '@seine/pilot-traffic'
import { asDeployed } from './as-deployed.ts'
import { proxyOf } from './proxies.ts'
import type { World } from './world.ts'

/** One resource that a proxy would get anew, get changed, or lose. */
export interface ResourceChange {
  readonly type: keyof RenderedResources
  readonly name: string
  readonly change: 'added' | 'changed' | 'removed'
  readonly causes: readonly Provenance[]
  /** The fields that differ, `path: before → after`; only of a changed one. */
  readonly fields: readonly FieldChange[]
}

/** A field of Envoy's configuration before and after. Absent means it is not there. */
export interface FieldChange {
  readonly path: string
  readonly before?: string
  readonly after?: string
}

/** Proxies for which the same changes. */
export interface ProxyGroup {
  readonly proxies: readonly string[]
  readonly changes: readonly ResourceChange[]
}

/** What a change of configuration would do. */
export interface MeshDiff {
  readonly groups: readonly ProxyGroup[]
  readonly unchanged: readonly string[]
  /** What would be wrong that is not wrong now. */
  readonly problems: readonly Problem[]
}

const TYPES = [
  ['listeners', TypeUrl.listener],
  ['routes', TypeUrl.route],
  ['clusters', TypeUrl.cluster],
  ['endpoints', TypeUrl.endpoint],
  ['extensions', TypeUrl.extension],
  ['bootstrap', BOOTSTRAP_PATCHES_TYPE],
] as const

/**
 * Compares what every proxy of the mesh gets now with what it would get. The world is changed.
 *
 * @param isWhole the world is all that a running mesh has; else what a platform would add to it is assumed
 */
export function diffMesh(world: World, applied: readonly MeshResource[], isWhole: boolean): MeshDiff {
  const replaced = new Set(applied.map(resource => keyOf(refOf(resource))))
  const rest = (all: readonly MeshResource[]) => all.filter(one => !replaced.has(keyOf(refOf(one))))
  const { view } = world
  const old = new Map(
    [...view.snapshot.workloads].map(([key, workload]) => [key, view.snapshotFor(workload)]),
  )
  const before = view.snapshot
  // What is held back may come into force by what is applied.
  const after = [...rest(world.held), ...applied]
  view.apply(isWhole ? after : asDeployed([...rest(world.resources), ...applied]))
  const next = view.snapshot
  const groups = new Map<string, { proxies: string[]; changes: readonly ResourceChange[] }>()
  const unchanged: string[] = []
  for (const workload of next.workloads.values()) {
    if (!hasProxy(workload)) continue
    const name = `${workload.workloadName}.${workload.namespace}`
    const proxy = proxyOf(workload)
    const was = old.get(`${workload.namespace}/${workload.name}`) ?? before
    const [rendered, wouldBe] = [was, view.snapshotFor(workload)].map(snapshot =>
      renderProxy(snapshot, proxy, mixerPlugins),
    )
    const changes = compare(rendered, wouldBe)
    if (changes.length === 0) {
      unchanged.push(name)
      continue
    }
    const key = JSON.stringify(changes)
    const group = groups.get(key) ?? { proxies: [], changes }
    group.proxies.push(name)
    groups.set(key, group)
  }
  return {
    groups: [...groups.values()].map(({ proxies, changes }) => ({ proxies: proxies.sort(), changes })),
    unchanged: unchanged.sort(),
    problems: newProblems(before, next),
  }
}

function compare(
  before: RenderedResources | undefined,
  after: RenderedResources | undefined,
): ResourceChange[] {
  return TYPES.flatMap(([type, url]) => {
    const [old, next] = [byName(before?.[type]), byName(after?.[type])]
    const names = [...new Set([...old.keys(), ...next.keys()])].sort()
    return names.flatMap((name): ResourceChange[] => {
      const [was, is] = [old.get(name), next.get(name)]
      if (was && is && was.version === is.version) return []
      const causes = (is ?? was)?.provenance ?? []
      if (!was) return [{ type, name, change: 'added', causes, fields: [] }]
      if (!is) return [{ type, name, change: 'removed', causes, fields: [] }]
      const fields = fieldChanges(resourceToJson(url, was), resourceToJson(url, is), '')
      return [{ type, name, change: 'changed', causes, fields }]
    })
  })
}

function byName(resources: readonly EncodedResource[] | undefined): Map<string, EncodedResource> {
  return new Map((resources ?? []).map(resource => [resource.name, resource]))
}

/** The leaves that differ between two JSON values. Lists are compared by position, those of named things by name. */
export function fieldChanges(before: unknown, after: unknown, path: string): FieldChange[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return []
  const [old, next] = [entriesOf(before), entriesOf(after)]
  if (!old || !next)
    return [
      {
        path,
        ...(before === undefined ? {} : { before: JSON.stringify(before) }),
        ...(after === undefined ? {} : { after: JSON.stringify(after) }),
      },
    ]
  const keys = [...new Set([...old.keys(), ...next.keys()])]
  return keys.flatMap(key => fieldChanges(old.get(key), next.get(key), join(path, key)))
}

function join(path: string, key: string): string {
  if (key.startsWith('[')) return `${path}${key}`
  return path === '' ? key : `${path}.${key}`
}

function entriesOf(value: unknown): Map<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  if (!Array.isArray(value)) return new Map(Object.entries(value))
  const names = value.map(one =>
    typeof one === 'object' && one !== null ? (one as { name?: unknown }).name : undefined,
  )
  const named = names.every(name => typeof name === 'string') && new Set(names).size === names.length
  return new Map(value.map((one, index) => [named ? `[${names[index]}]` : `[${index}]`, one]))
}

function newProblems(before: MeshSnapshot, after: MeshSnapshot): Problem[] {
  const known = new Set(before.problems.map(problemKey))
  return after.problems.filter(problem => !known.has(problemKey(problem)))
}

function problemKey({ code, resource, path, message }: Problem): string {
  return JSON.stringify([code, resource && keyOf(resource), path, message])
}
