import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { JsonObject, JsonValue } from '@bufbuild/protobuf'
import { type MeshResource, parseObject, parseYaml, type WorkloadEntry } from '@seine/api'
import type { EncodedResource } from '@seine/envoy'
import { formatProblem, type Problem } from '@seine/kit'
import { type Condition, MeshModel, registeredEntry, type StatusBody } from '@seine/model'
import {
  asRegistered,
  type Proxy as MeshProxy,
  parseProxy,
  type RenderedResources,
  renderProxy,
  type TrafficPlugin,
} from '@seine/pilot-traffic'
import { Document, isPair, isScalar, parseAllDocuments, visit } from 'yaml'
import { mixerPlugins, type RenderedJson, renderJson, toJson } from './rendered.ts'

/** Parts of the output that are the same in nearly every case, and shown only where a case is about them. */
type Part = 'telemetry' | 'sds'

/** A proxy of a case, as its `proxy.yaml` has it. */
interface CaseProxy {
  readonly id: string
  readonly labels?: Readonly<Record<string, string>>
  readonly metadata?: Readonly<Record<string, unknown>>
  readonly workload?: string
  readonly serviceAccount?: string
  readonly show?: readonly Part[]
}

/** What one proxy of a case gets. */
export interface GoldenOutput {
  readonly proxy: string
  /** Who reads it. */
  readonly generator: MeshProxy['generator']
  readonly config: RenderedJson
  /** The same, still encoded. */
  readonly resources: RenderedResources
  /** What it would get in a mesh with nothing in it. */
  readonly inEmptyMesh: RenderedJson
  /** The document of the golden file. */
  readonly document: JsonObject
}

/**
 * Renders a case: `in/*.yaml` holds the mesh, `proxy.yaml` a document for each proxy to render. What a proxy
 * would get in an empty mesh too is named and left out of the document, and so are the parts that a case does
 * not ask to show.
 */
export function renderCase(folder: string): GoldenOutput[] {
  const { resources: written, problems } = readMesh(join(folder, 'in'))
  const proxies = registered(readProxies(readFileSync(join(folder, 'proxy.yaml'), 'utf8')), written)
  const resources = [...written, ...proxies.flatMap(({ entry }) => entry ?? [])]
  const { snapshot } = new MeshModel().apply({ upserts: resources, deletes: [] })
  const settings = resources.filter(({ kind }) => kind === 'ConfigMap')
  const empty = new MeshModel().apply({ upserts: settings, deletes: [] }).snapshot
  const ofMesh = [...problems, ...snapshot.problems]
  const isAboutSettings = resources.length === settings.length
  return proxies.map(({ proxy, show, entry }) => {
    const rendered = renderProxy(snapshot, proxy, mixerPlugins)
    const lines = [...ofMesh, ...rendered.problems].map(formatProblem)
    const config = toJson(rendered)
    const inEmptyMesh = renderJson(empty, proxy)
    const base = isAboutSettings ? undefined : inEmptyMesh
    const document = {
      proxy: proxy.id,
      ...(lines.length > 0 ? { problems: lines } : {}),
      ...(entry ? { registeredAs: asJson(entry) } : {}),
      ...withoutBase(config, base, show),
    }
    return { proxy: proxy.id, generator: proxy.generator, config, resources: rendered, inEmptyMesh, document }
  })
}

/** The text of a golden file: a document for each proxy. */
export function goldenYaml(outputs: readonly GoldenOutput[]): string {
  return outputs.map(({ document }) => documentYaml(document)).join('---\n')
}

/** What is shorter than this, as JSON, is written out each time. */
const WORTH_AN_ALIAS = 250

/** YAML in which a larger part that stands there already is an alias of its first place. */
function documentYaml(value: JsonObject): string {
  const document = new Document(value, { aliasDuplicateObjects: false })
  const seen = new Map<string, Parameters<typeof document.createAlias>[0]>()
  visit(document, {
    Collection(key, node, path) {
      const text = JSON.stringify(node)
      if (text.length < WORTH_AN_ALIAS || path.length < 3) return undefined
      const first = seen.get(text)
      if (first) return document.createAlias(first, anchorFor(key, path))
      seen.set(text, node)
      return undefined
    },
  })
  return document.toString({ lineWidth: 110 })
}

/** The name of the field that a part stands in. */
function anchorFor(key: unknown, path: readonly unknown[]): string {
  const pair = path.findLast(step => isPair(step))
  const name = pair && isScalar(pair.key) ? String(pair.key.value) : ''
  return /^[A-Za-z]\w*$/.test(name) ? `${name}${typeof key === 'number' ? 'Item' : ''}` : 'part'
}

function readMesh(folder: string): { resources: MeshResource[]; problems: Problem[] } {
  const parsed = readdirSync(folder)
    .sort()
    .map(name => parseYaml(readFileSync(join(folder, name), 'utf8'), name))
  return {
    resources: parsed.flatMap(({ resources }) => resources),
    problems: parsed.flatMap(({ problems }) => problems),
  }
}

/**
 * What comes of objects, as one text to compare: what proxies get, by versions, which are hashes of the resources'
 * bytes; the entries of workloads that register, and their probes; and the statuses of objects without what is said in
 * words. Objects that validation refuses are left out.
 */
export function outputOf(
  objects: readonly unknown[],
  proxies: string,
  plugins: readonly TrafficPlugin[] = mixerPlugins,
): string {
  const upserts = objects.flatMap(object => {
    const parsed = parseObject(object)
    return parsed.ok ? [parsed.value] : []
  })
  const ours = registered(readProxies(proxies), upserts)
  const entries = ours.flatMap(({ entry }) => entry ?? [])
  const probes = upserts.map(one => (one.kind === 'WorkloadGroup' ? one.spec.probe : undefined))
  const { snapshot } = new MeshModel().apply({ upserts: [...upserts, ...entries], deletes: [] })
  const versions = ours.map(({ proxy }) => {
    const { problems: _, ...resources } = renderProxy(snapshot, proxy, plugins)
    return Object.values(resources).map(list =>
      list.map(({ name, version }: EncodedResource) => [name, version]),
    )
  })
  return JSON.stringify([versions, [...snapshot.statuses].map(briefly), entries.map(asJson), probes])
}

/** A status as the facts in it. */
function briefly([key, status]: readonly [string, StatusBody]): unknown {
  const brief = (conditions: readonly Condition[] = []) =>
    conditions.map(one => [one.type, one.status, one.reason])
  return [
    key,
    brief(status.conditions),
    status.addresses,
    status.attachedListenerSets,
    status.listeners?.map(one => [one.name, one.attachedRoutes, one.supportedKinds, brief(one.conditions)]),
    [...(status.parents ?? []), ...(status.ancestors ?? [])].map(one => brief(one.conditions)),
  ]
}

function readProxies(text: string): { proxy: MeshProxy; show: readonly Part[] }[] {
  const documents = parseAllDocuments(text)
  if (!Array.isArray(documents)) throw new Error('no proxy is named')
  return documents.map(document => readOne(document.toJS() as CaseProxy))
}

function readOne({ id, labels, metadata: more, workload, serviceAccount, show }: CaseProxy): {
  proxy: MeshProxy
  show: readonly Part[]
} {
  const metadata = { ...more, LABELS: labels, WORKLOAD_NAME: workload, SERVICE_ACCOUNT: serviceAccount }
  const parsed = parseProxy(id, metadata, false)
  if (!parsed.ok) throw new Error(parsed.error)
  return { proxy: parsed.value, show: show ?? [] }
}

/** A proxy of a case; one that registers by a group is as that makes it. */
interface Registered extends ReturnType<typeof readOne> {
  readonly entry: WorkloadEntry | undefined
}

/** Registers the proxies that name a group, with good health, as pilot would. */
function registered(
  proxies: readonly ReturnType<typeof readOne>[],
  resources: readonly MeshResource[],
): Registered[] {
  return proxies.map(({ proxy, show }) => {
    const { namespace, group: name, network, labels, addresses } = proxy
    const group = resources.find(
      one =>
        one.kind === 'WorkloadGroup' && one.metadata.namespace === namespace && one.metadata.name === name,
    )
    if (group?.kind !== 'WorkloadGroup') return { proxy, show, entry: undefined }
    const workload = { group: group.metadata.name, namespace, address: addresses[0] ?? '', network, labels }
    const health = group.spec.probe && { healthy: true, message: '', since: 0 }
    const entry = registeredEntry(group, workload, health)
    return { proxy: asRegistered(proxy, entry.metadata.name, entry.spec.labels ?? {}), show, entry }
  })
}

/** The entry as people would see it. */
function asJson({ apiVersion, kind, metadata, spec, status }: WorkloadEntry): JsonObject {
  return JSON.parse(JSON.stringify({ apiVersion, kind, metadata, spec, status })) as JsonObject
}

function withoutBase(
  config: RenderedJson,
  base: RenderedJson | undefined,
  show: readonly Part[],
): JsonObject {
  const known = new Set(base && Object.values(base).flat().map(fingerprint))
  const common: string[] = []
  const document: JsonObject = {}
  for (const type of ['listeners', 'routes', 'clusters', 'endpoints'] as const) {
    const own: JsonValue[] = []
    for (const resource of config[type]) {
      if (known.has(fingerprint(resource))) common.push(String(resource['name']))
      else own.push(elide(resource, show))
    }
    document[type] = own
  }
  for (const type of ['extensions', 'bootstrap'] as const)
    if (config[type].length > 0) document[type] = config[type].map(one => elide(one, show))
  return { ...(common.length > 0 ? { asInAnEmptyMesh: common } : {}), ...document }
}

function fingerprint(resource: JsonObject): string {
  return JSON.stringify(resource)
}

/** Replaces the parts that are not shown by what they are called. */
function elide(value: JsonValue, show: readonly Part[]): JsonValue {
  if (Array.isArray(value)) return value.map(one => elide(one, show))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, short(key, inner, show) ?? elide(inner, show)]),
  )
}

function short(key: string, value: JsonValue, show: readonly Part[]): JsonValue | undefined {
  if (!show.includes('sds') && key === 'sdsConfig') return 'elided: sds'
  if (show.includes('telemetry')) return undefined
  if (key === 'accessLog') return (value as JsonObject[]).map(({ name }) => `${name} (elided)`)
  if (key === 'tracing') return 'elided: telemetry'
  const isPeerIdentity = (one: JsonValue) => (one as JsonObject)['name'] === 'seine.peer_identity'
  if (key !== 'filters' || !Array.isArray(value) || !value.some(isPeerIdentity)) return undefined
  return value.map(one => (isPeerIdentity(one) ? 'elided: telemetry' : elide(one, show)))
}
