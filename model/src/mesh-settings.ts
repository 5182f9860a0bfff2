import {
  type ConfigMap,
  defaultMeshConfig,
  keyOf,
  type MeshConfig,
  type MeshResource,
  meshConfigWarnings,
  noMeshNetworks,
  parseMeshConfig,
  parseMeshNetworks,
  refOf,
} from '@seine/api'
import { formatRef, type Problem, type Result } from '@seine/kit'
import type { WrittenNetworks } from './network-registry.ts'

/** The entries that hold settings: what is said of the mesh as a whole, and its networks. */
type Entry = 'mesh' | 'meshNetworks'
const ENTRIES: readonly Entry[] = ['mesh', 'meshNetworks']

/**
 * The mesh's settings. They lie where Istio's do, in the ConfigMap `istio` of `istio-system`, or in one called
 * `seine` or of `seine-system`. Of several that have an entry, the first by namespace and name counts. A broken one is
 * reported, and the last good settings stay.
 */
export class MeshSettings {
  readonly #written = new Map<string, ConfigMap>()
  #config: MeshConfig = defaultMeshConfig
  #networks: WrittenNetworks = { networks: noMeshNetworks, ref: undefined }
  /** The ConfigMap that each entry in force was read from, as it was then. */
  readonly #sources = new Map<Entry, ConfigMap | undefined>()
  #problems: readonly Problem[] = []

  /** The settings in force. */
  get config(): MeshConfig {
    return this.#config
  }

  /** The networks in force; the same object as long as they are the same. */
  get networks(): WrittenNetworks {
    return this.#networks
  }

  /** A ConfigMap with those of its entries that are in force: itself where that is so of all, or it has none. */
  inForce(resource: ConfigMap): ConfigMap {
    const key = keyOf(refOf(resource))
    if (!this.#written.has(key)) return resource
    const textInForce = (entry: Entry) => {
      const source = this.#sources.get(entry)
      return source && keyOf(refOf(source)) === key ? source.spec.data?.[entry] : undefined
    }
    const others = ENTRIES.filter(
      entry => holds(resource, entry) && textInForce(entry) !== resource.spec.data?.[entry],
    )
    if (others.length === 0) return resource
    const data = { ...resource.spec.data }
    for (const entry of others) {
      const text = textInForce(entry)
      if (text === undefined) delete data[entry]
      else data[entry] = text
    }
    return { ...resource, spec: { ...resource.spec, data } }
  }

  /** What is wrong with what was written. */
  get problems(): readonly Problem[] {
    return this.#problems
  }

  /** Takes a ConfigMap in. @returns whether it is one of settings. */
  write(resource: ConfigMap): boolean {
    if (!ENTRIES.some(entry => holds(resource, entry))) return false
    this.#written.set(keyOf(refOf(resource)), resource)
    return true
  }

  /** @returns whether the ConfigMap was one of settings. */
  remove(resource: ConfigMap): boolean {
    return this.#written.delete(keyOf(refOf(resource)))
  }

  /** Puts into force what is written now. */
  refresh(): void {
    const sorted = [...this.#written.values()].sort((a, b) => (keyOf(refOf(a)) < keyOf(refOf(b)) ? -1 : 1))
    const problems: Problem[] = []
    const first = (entry: Entry) => {
      const [winner, ...others] = sorted.filter(one => holds(one, entry))
      if (winner) problems.push(...others.map(other => collision(other, winner, entry)))
      return winner
    }
    const mesh = first('mesh')
    const config = mesh ? parseEntry(mesh, 'mesh') : undefined
    if (config && !config.ok) problems.push(...config.error)
    else {
      this.#sources.set('mesh', mesh)
      if (mesh && config) problems.push(...warningsOf(mesh, config.value))
      this.#config = sameOrNew(this.#config, config?.value ?? defaultMeshConfig)
    }
    const holder = first('meshNetworks')
    const networks = holder ? parseEntry(holder, 'meshNetworks') : undefined
    if (networks && !networks.ok) problems.push(...networks.error)
    else {
      this.#sources.set('meshNetworks', holder)
      const ref = holder && refOf(holder)
      this.#networks = sameOrNew(this.#networks, { networks: networks?.value ?? noMeshNetworks, ref })
    }
    this.#problems = problems
  }
}

function sameOrNew<T>(old: T, next: T): T {
  return JSON.stringify(old) === JSON.stringify(next) ? old : next
}

const PARSERS = { mesh: parseMeshConfig, meshNetworks: parseMeshNetworks } as const

/** What an entry holds. */
function parseEntry<E extends Entry>(resource: ConfigMap, entry: E): ReturnType<(typeof PARSERS)[E]> {
  const at = { path: `data.${entry}`, ...(resource.origin ? { origin: resource.origin } : {}) }
  const parsed: Result<unknown, Problem[]> = PARSERS[entry](resource.spec.data?.[entry] ?? '', at)
  const result = parsed.ok
    ? parsed
    : { ok: false, error: parsed.error.map(problem => ({ ...problem, resource: refOf(resource) })) }
  return result as ReturnType<(typeof PARSERS)[E]>
}

function warningsOf(resource: ConfigMap, config: MeshConfig): Problem[] {
  return meshConfigWarnings(config).map(
    (warning): Problem => ({
      ...warning,
      severity: 'warning',
      code: 'mesh-config',
      resource: refOf(resource),
      ...(resource.origin ? { position: resource.origin.locate('data.mesh') } : {}),
    }),
  )
}

/** What is wrong with the settings that a ConfigMap holds, and what of them has no effect; nothing where it holds none. */
export function meshConfigProblems(resource: ConfigMap): readonly Problem[] {
  return ENTRIES.filter(entry => holds(resource, entry)).flatMap(entry => {
    const parsed = parseEntry(resource, entry)
    if (!parsed.ok) return parsed.error
    return entry === 'mesh' ? warningsOf(resource, parsed.value as MeshConfig) : []
  })
}

/** The mesh's settings among resources; the defaults where there are none that can be read. */
export function meshConfigOf(resources: Iterable<MeshResource>): MeshConfig {
  const settings = new MeshSettings()
  for (const resource of resources) if (resource.kind === 'ConfigMap') settings.write(resource)
  settings.refresh()
  return settings.config
}

function collision(other: ConfigMap, winner: ConfigMap, entry: Entry): Problem {
  const [what, code] =
    entry === 'mesh' ? ["mesh's settings", 'mesh-config'] : ["mesh's networks", 'mesh-networks']
  return {
    severity: 'error',
    code,
    message: `the ${what} are in ${formatRef(refOf(winner))} already, which is used; write them in one place`,
    resource: refOf(other),
    path: `data.${entry}`,
    ...(other.origin ? { position: other.origin.locate(`data.${entry}`) } : {}),
  }
}

function holds(resource: ConfigMap, entry: Entry): boolean {
  const { name, namespace } = resource.metadata
  return (
    (name === 'istio' || name === 'seine') &&
    (namespace === defaultMeshConfig.rootNamespace || namespace === 'seine-system') &&
    resource.spec.data?.[entry] !== undefined
  )
}
