import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { JsonObject, JsonValue } from '@bufbuild/protobuf'
import { type MeshResource, parseYaml } from '@seine/api'
import { formatProblem, type Problem } from '@seine/kit'
import { MeshModel } from '@seine/model'
import { type Proxy as MeshProxy, parseProxy } from '@seine/pilot-traffic'
import { parseAllDocuments, stringify } from 'yaml'
import { type RenderedJson, renderJson } from './rendered.ts'

/** Parts of the output that are the same in nearly every case, and shown only where a case is about them. */
type Part = 'telemetry' | 'sds'

/** A proxy of a case, as its `proxy.yaml` has it. */
interface CaseProxy {
  readonly id: string
  readonly labels?: Readonly<Record<string, string>>
  readonly workload?: string
  readonly serviceAccount?: string
  readonly show?: readonly Part[]
}

/** What one proxy of a case gets. */
export interface GoldenOutput {
  readonly proxy: string
  readonly config: RenderedJson
  /** The document of the golden file. */
  readonly document: JsonObject
}

/**
 * Renders a case: `in/*.yaml` holds the mesh, `proxy.yaml` a document for each proxy to render. What a proxy
 * would get in an empty mesh too is named and left out of the document, and so are the parts that a case does
 * not ask to show.
 */
export function renderCase(folder: string): GoldenOutput[] {
  const { resources, problems } = readMesh(join(folder, 'in'))
  const { snapshot } = new MeshModel().apply({ upserts: resources, deletes: [] })
  const settings = resources.filter(({ kind }) => kind === 'ConfigMap')
  const empty = new MeshModel().apply({ upserts: settings, deletes: [] }).snapshot
  const lines = [...problems, ...snapshot.problems].map(formatProblem)
  const isAboutSettings = resources.length === settings.length
  return readProxies(join(folder, 'proxy.yaml')).map(({ proxy, show }) => {
    const config = renderJson(snapshot, proxy)
    const base = isAboutSettings ? undefined : renderJson(empty, proxy)
    const document = {
      proxy: proxy.id,
      ...(lines.length > 0 ? { problems: lines } : {}),
      ...withoutBase(config, base, show),
    }
    return { proxy: proxy.id, config, document }
  })
}

/** The text of a golden file: a document for each proxy. */
export function goldenYaml(outputs: readonly GoldenOutput[]): string {
  return outputs
    .map(({ document }) => stringify(document, { lineWidth: 110, aliasDuplicateObjects: false }))
    .join('---\n')
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

function readProxies(file: string): { proxy: MeshProxy; show: readonly Part[] }[] {
  const documents = parseAllDocuments(readFileSync(file, 'utf8'))
  if (!Array.isArray(documents)) throw new Error(`${file} names no proxy`)
  return documents.map(document => {
    const { id, labels, workload, serviceAccount, show } = document.toJS() as CaseProxy
    const metadata = { LABELS: labels, WORKLOAD_NAME: workload, SERVICE_ACCOUNT: serviceAccount }
    const parsed = parseProxy(id, metadata, false)
    if (!parsed.ok) throw new Error(`${file}: ${parsed.error}`)
    return { proxy: parsed.value, show: show ?? [] }
  })
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
  if (key === 'accessLog' || key === 'tracing') return 'elided: telemetry'
  const isPeerIdentity = (one: JsonValue) => (one as JsonObject)['name'] === 'seine.peer_identity'
  if (key !== 'filters' || !Array.isArray(value) || !value.some(isPeerIdentity)) return undefined
  return value.map(one => (isPeerIdentity(one) ? 'elided: telemetry' : elide(one, show)))
}
