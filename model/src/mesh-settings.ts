import {
  type ConfigMap,
  defaultMeshConfig,
  keyOf,
  type MeshConfig,
  type MeshResource,
  meshConfigWarnings,
  parseMeshConfig,
  refOf,
} from '@seine/api'
import { formatRef, type Problem } from '@seine/kit'

/**
 * The mesh's settings. They lie where Istio's do, in the ConfigMap `istio` of `istio-system`, or in one called
 * `seine` or of `seine-system`. Of several, the first by namespace and name counts. A broken one is reported,
 * and the last good settings stay.
 */
export class MeshSettings {
  readonly #written = new Map<string, ConfigMap>()
  #config: MeshConfig = defaultMeshConfig
  #problems: readonly Problem[] = []

  /** The settings in force. */
  get config(): MeshConfig {
    return this.#config
  }

  /** What is wrong with what was written. */
  get problems(): readonly Problem[] {
    return this.#problems
  }

  /** Takes a ConfigMap in. @returns whether it is one of settings. */
  write(resource: ConfigMap): boolean {
    if (!isMeshConfig(resource)) return false
    this.#written.set(keyOf(refOf(resource)), resource)
    return true
  }

  /** @returns whether the ConfigMap was one of settings. */
  remove(resource: ConfigMap): boolean {
    return this.#written.delete(keyOf(refOf(resource)))
  }

  /** Puts into force what is written now. */
  refresh(): void {
    const [first, ...others] = [...this.#written.values()].sort((a, b) =>
      keyOf(refOf(a)) < keyOf(refOf(b)) ? -1 : 1,
    )
    this.#problems = first ? others.map(other => collision(other, first)) : []
    const parsed = first && parse(first)
    if (!parsed) this.#config = defaultMeshConfig
    else if (!parsed.ok) this.#problems = [...parsed.error, ...this.#problems]
    else {
      this.#problems = [...warningsOf(first, parsed.value), ...this.#problems]
      if (JSON.stringify(parsed.value) !== JSON.stringify(this.#config)) this.#config = parsed.value
    }
  }
}

function parse(resource: ConfigMap): ReturnType<typeof parseMeshConfig> {
  const at = { path: 'data.mesh', ...(resource.origin ? { origin: resource.origin } : {}) }
  const parsed = parseMeshConfig(resource.spec.data?.['mesh'] ?? '', at)
  if (parsed.ok) return parsed
  return { ok: false, error: parsed.error.map(problem => ({ ...problem, resource: refOf(resource) })) }
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
  const parsed = isMeshConfig(resource) ? parse(resource) : undefined
  if (!parsed) return []
  return parsed.ok ? warningsOf(resource, parsed.value) : parsed.error
}

/** The mesh's settings among resources; the defaults where there are none that can be read. */
export function meshConfigOf(resources: Iterable<MeshResource>): MeshConfig {
  const settings = new MeshSettings()
  for (const resource of resources) if (resource.kind === 'ConfigMap') settings.write(resource)
  settings.refresh()
  return settings.config
}

function collision(other: ConfigMap, winner: ConfigMap): Problem {
  return {
    severity: 'error',
    code: 'mesh-config',
    message: `the mesh's settings are in ${formatRef(refOf(winner))} already, which is used; write them in one place`,
    resource: refOf(other),
    path: 'data.mesh',
    ...(other.origin ? { position: other.origin.locate('data.mesh') } : {}),
  }
}

function isMeshConfig(resource: ConfigMap): boolean {
  const { name, namespace } = resource.metadata
  return (
    (name === 'istio' || name === 'seine') &&
    (namespace === defaultMeshConfig.rootNamespace || namespace === 'seine-system') &&
    resource.spec.data?.['mesh'] !== undefined
  )
}
